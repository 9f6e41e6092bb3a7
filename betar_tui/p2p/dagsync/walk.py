"""Which blocks answer a request, newest first. Pure: blocks are looked up through a function.

Blocks are visited by falling height. What is reached from a *have* is known to the asker; such a mark spreads to links
like a visit does, and the walk ends when everything left to visit carries it. Heights only order the visits: where a
hostile delta lies about its own, the asker may get a block that it has.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from betar_tui.errors import DecodeError
from betar_tui.replica.node import outline

Lookup = Callable[[Collection[bytes]], Mapping[bytes, bytes]]


class Walk:
    """The answer to one request, block by block, each as (36-byte CID, block). Iterate over it."""

    def __init__(self, wants: Iterable[bytes], haves: Iterable[bytes], lookup: Lookup) -> None:
        self._lookup = lookup
        self._queue: list[tuple[int, bytes, bytes, tuple[bytes, ...]]] = []
        self._queued: set[bytes] = set()
        self._known: set[bytes] = set(haves)
        self._open = 0
        self._add([*self._known, *wants])

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        while self._open:
            _, name, block, links = heapq.heappop(self._queue)
            known = name in self._known
            if known:
                self._mark(links)
            else:
                self._open -= 1
            self._add(links)
            if not known:
                yield name, block

    def _mark(self, links: Iterable[bytes]) -> None:
        """The asker has these: those that wait to be visited are not open any more."""
        for name in links:
            if name not in self._known:
                self._known.add(name)
                if name in self._queued:
                    self._open -= 1

    def _add(self, names: Iterable[bytes]) -> None:
        fresh = [name for name in dict.fromkeys(names) if name not in self._queued]
        for name, block in self._lookup(fresh).items() if fresh else ():
            try:
                links, height = outline(block)
            except DecodeError:
                continue  # a file's block: nothing below it
            self._queued.add(name)
            heapq.heappush(self._queue, (-height, name, block, links))
            if name not in self._known:
                self._open += 1
