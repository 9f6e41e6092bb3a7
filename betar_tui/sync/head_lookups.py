"""Announced heads that are looked up while a merge runs.

Whether a block is stored is only known between two merges. The broadcasts behind one that announces heads without their
blocks must not wait for that: of invented heads there may be any number, and each would cost the next honest delta the
time of a merge."""

from collections.abc import Awaitable, Callable, Collection

import trio

from betar_tui.concurrency import Wakeup

MAX_PER_AUTHOR, MAX_AUTHORS = 512, 16
"""Maximum heads of one author that wait, the newest; and maximum authors, those that came last."""


class HeadLookups:
    """`missing(CIDs)` returns those that are not stored; `found(CIDs, author, peer)` is called with them."""

    def __init__(
        self,
        missing: Callable[[Collection[bytes]], Awaitable[Collection[bytes]]],
        found: Callable[[Collection[bytes], str, str], None],
    ) -> None:
        self._missing = missing
        self._found = found
        self._waiting: dict[tuple[str, str], dict[bytes, None]] = {}
        self._added = Wakeup()

    def add(self, heads: Collection[bytes], author: str, peer: str) -> None:
        """Look these up as soon as possible, together with others that wait. `peer` forwarded them."""
        mine = self._waiting.setdefault((author, peer), {})
        mine.update(dict.fromkeys(heads))
        for cid in list(mine)[: max(0, len(mine) - MAX_PER_AUTHOR)]:
            del mine[cid]
        if len(self._waiting) > MAX_AUTHORS:
            del self._waiting[next(iter(self._waiting))]
        self._added.set()

    async def run(self) -> None:
        """A service: looks up what waits."""
        while True:
            await self._added.wait()
            batch, self._waiting = self._waiting, {}
            try:
                missing = frozenset(await self._missing(list({cid for heads in batch.values() for cid in heads})))
            except trio.Cancelled:
                self._waiting = {**batch, **self._waiting}
                raise
            for (author, peer), heads in batch.items():
                if wanted := [cid for cid in heads if cid in missing]:
                    self._found(wanted, author, peer)

    def left(self) -> list[tuple[str, list[bytes]]]:
        """The heads that still wait, by author, once the service has ended."""
        return [(author, list(heads)) for (author, _), heads in self._waiting.items()]
