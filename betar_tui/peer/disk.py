"""How large the replica may get: from that size on nothing of strangers is taken, while own listings are stored as ever."""

import logging
import shutil
from pathlib import Path

import trio

from betar_tui.store.database import Store
from betar_tui.values import Quota

log = logging.getLogger(__name__)

DEFAULT_MOST = 10 << 30
"""Maximum bytes of the replica where the person has not chosen another limit."""
DEFAULT_SHARE = 2
"""Divisor of the free space: the limit where the disk has less."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the size."""
ROOM = 0.98
"""Part of the limit below which the size has to fall until more is taken."""


class DiskQuota:
    """The size of the replica and its limit, in bytes; `chosen` is the person's, None for the default, 0 for none."""

    def __init__(self, store: Store, directory: Path, chosen: int | None) -> None:
        self._store = store
        self.used = store.used()
        self.allowed = _default(directory, self.used) if chosen is None else chosen
        self.full = False
        self._judge()

    async def look(self) -> bool:
        """Look at the size again; returns whether `full` has changed. Raises StoreError."""
        before = self.full
        self.used = await trio.to_thread.run_sync(self._store.used)
        self._judge()
        return self.full is not before

    def quota(self, refused: int) -> Quota:
        """The quota; `refused` counts the blocks that were not taken because of it."""
        return Quota(self.allowed, self.used, refused)

    def _judge(self) -> None:
        bound = self.allowed * ROOM if self.full else self.allowed
        self.full = bool(self.allowed) and self.used >= bound


def _default(directory: Path, used: int) -> int:
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        log.warning("the free space of %s is not known: %s", directory, error)
        return DEFAULT_MOST
    return min(DEFAULT_MOST, used + free // DEFAULT_SHARE)
