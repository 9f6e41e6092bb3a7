"""Stores pending heads, so that they survive a restart.

A peer forwards a broadcast at once, before it has the blocks. If the author then restarts and has forgotten what it
wrote, as a Go betar does, the peers that the broadcast was forwarded to go on asking us for a block that will never be
announced again. If we restarted too without remembering it, the block would be lost although a connected peer has it,
and Go peers accept nothing else while they wait. So heads that do not come soon are stored, and wanted again by the
next run."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import Protocol

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.errors import StoreError
from betar_tui.sync.pending_heads import PendingHeads

log = logging.getLogger(__name__)

WRITE_DELAY = 0.5
"""Seconds until a pending head is stored, unless the peer stops before."""
MAX_STORED = 1024
"""Maximum number of stored heads, the most recently announced ones."""
MAX_AGE = 86_400.0
"""Seconds until a stored head is deleted: an invented one must go in the end, however short the runs."""
RETRY = 30.0
"""Seconds from a failed write to the next."""


class PendingHeadsStorage(Protocol):
    """Storage of pending heads, by CID with the peers that announced them. Raises StoreError."""

    def announced(self, now: float, max_age: float) -> Mapping[bytes, Collection[str]]:
        """The stored heads, oldest first. `now` is Unix seconds; deletes those older than `max_age` seconds."""

    def change_announced(self, named: Mapping[bytes, Collection[str]], gone: Collection[bytes], at: float) -> None:
        """Store heads as of `at`, Unix seconds, or replace the authors of stored ones; delete those `gone`."""


class PendingHeadsJournal:
    """Writes `pending_heads` to a storage, with a delay. `clock` is Unix seconds."""

    def __init__(self, pending_heads: PendingHeads, storage: PendingHeadsStorage, clock: Callable[[], float]) -> None:
        self.pending_heads = pending_heads
        self._storage = storage
        self._clock = clock
        self._stored: Mapping[bytes, frozenset[str]] = {}
        self._restored = False
        self._changed = Wakeup()

    def schedule_write(self) -> None:
        """The pending heads have changed."""
        self._changed.set()

    def arrived(self, cids: Iterable[bytes]) -> None:
        """Remove heads whose blocks are here or not wanted any more."""
        before = len(self.pending_heads)
        self.pending_heads.arrived(cids)
        if len(self.pending_heads) != before:
            self.schedule_write()

    async def restore(self) -> tuple[bytes, ...]:
        """Make the heads of an earlier run pending, once; returns those that still are. Raises StoreError."""
        if not self._restored:
            stored = await trio.to_thread.run_sync(self._storage.announced, self._clock(), MAX_AGE)
            self._stored = {cid: frozenset(authors) for cid, authors in stored.items()}
            self.pending_heads.restore(self._stored)
            self._restored = True
        return tuple(cid for cid in self._stored if cid in self.pending_heads)

    async def run(self) -> None:
        """Write changes, until cancelled."""
        while True:
            await self._changed.wait()
            pause = WRITE_DELAY
            while pause:
                await trio.sleep(pause)
                settled = len(self.pending_heads.older_than(WRITE_DELAY)) == len(self.pending_heads)
                written = await self._write(WRITE_DELAY)
                pause = RETRY if not written else 0.0 if settled else WRITE_DELAY

    async def finish(self) -> None:
        """Write all heads, however new, after the last announcement."""
        with trio.CancelScope(shield=True):
            await self._write(0)

    async def _write(self, age: float) -> bool:
        """Store the heads of at least this age; whether that succeeded.

        A failure is only logged: the journal is a convenience, and a full disk must stop a peer only where data is
        lost."""
        heads = self.pending_heads.older_than(age)
        current = dict(islice(heads.items(), max(0, len(heads) - MAX_STORED), None))
        named = {cid: authors for cid, authors in current.items() if self._stored.get(cid) != authors}
        gone = self._stored.keys() - current.keys()
        if named or gone:
            try:
                await trio.to_thread.run_sync(self._storage.change_announced, named, gone, self._clock())
            except StoreError as error:
                log.warning("announced heads that have not come are not remembered: %s", error)
                return False
            self._stored = current
        return True
