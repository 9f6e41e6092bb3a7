"""Announced heads that wait to be looked up.

Whether a block is stored is only known between two merges. The broadcasts behind one that announces heads without their
blocks must not wait for that: of invented heads there may be any number, and each would cost the next honest delta the
time of a merge."""

from collections.abc import Awaitable, Callable, Collection
from heapq import nlargest
from typing import NamedTuple

from betar_tui.concurrency import Wakeup

MAX_WAITING = 8192
"""Maximum heads that wait. Beyond it, the last of who announced most are dropped: a broadcast begins with the highest."""


class Announcement(NamedTuple):
    """Who announced heads and which neighbour brought that; `below` says that they announced something above them."""

    author: str
    peer: str
    below: bool = False


class HeadLookups:
    """`missing(CIDs)` returns those that are not stored; `found(CIDs, announcement)` is called with them."""

    def __init__(
        self,
        missing: Callable[[Collection[bytes]], Awaitable[Collection[bytes]]],
        found: Callable[[Collection[bytes], Announcement], None],
    ) -> None:
        self._missing = missing
        self._found = found
        self._waiting: dict[Announcement, dict[bytes, None]] = {}
        self._count = 0
        self._added = Wakeup()

    def add(self, heads: Collection[bytes], announcement: Announcement) -> None:
        """Look these up as soon as possible, together with others that wait."""
        waiting = self._waiting.setdefault(announcement, {})
        self._count -= len(waiting)
        waiting.update(dict.fromkeys(heads))
        self._count += len(waiting)
        while self._count > MAX_WAITING:
            self._drop(self._count - MAX_WAITING)
        self._added.set()

    def _drop(self, excess: int) -> None:
        """Drop heads of who announced most, down to the number of the next: many at a time, since there may be thousands
        of authors to look through."""
        most, *others = nlargest(2, self._waiting, key=lambda each: len(self._waiting[each]))
        waiting = self._waiting[most]
        more = len(waiting) - (len(self._waiting[others[0]]) if others else 0)
        for _ in range(min(excess, max(1, more))):
            waiting.popitem()
            self._count -= 1
        if not waiting:
            del self._waiting[most]

    async def run(self) -> None:
        """A service: looks up what waits. Raises StoreError."""
        while True:
            await self._added.wait()
            await self.look_up()

    async def look_up(self) -> None:
        """Look up what waits now; it goes on waiting if that fails or is cancelled. Raises StoreError."""
        batch, self._waiting, self._count = self._waiting, {}, 0
        heads = list({cid for waiting in batch.values() for cid in waiting})
        try:
            missing = frozenset(await self._missing(heads)) if heads else frozenset()
        except BaseException:
            for announcement, waiting in batch.items():
                self.add(waiting, announcement)
            raise
        for announcement, waiting in batch.items():
            if wanted := [cid for cid in waiting if cid in missing]:
                self._found(wanted, announcement)

    def left(self) -> dict[Announcement, list[bytes]]:
        """The heads that still wait."""
        return {announcement: list(heads) for announcement, heads in self._waiting.items()}
