"""Which blocks answer a request, newest first. Pure: blocks are looked up through a function.

Blocks are visited by falling height. What is reached from a *have* is known to the asker; such a mark spreads to links
like a visit does, and the walk ends when everything left to visit carries it. Heights only order the visits: where a
hostile delta lies about its own, the asker may get a block that it has.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from betar_tui.errors import DecodeError
from betar_tui.replica.node import outline

Lookup = Callable[[Collection[bytes]], Mapping[bytes, bytes]]

MAX_HELD = 1024
"""How many blocks that wait for their visit are held in memory; others are looked up again."""
HELD_BYTES = 8 << 20
"""How many bytes of them."""
MAX_LOOKUP = 32
"""How many blocks are looked up at once; nobody knows how large they are before."""
LOOKUP_BYTES = 4 << 20
"""Fewer are where so many of the largest block so far would exceed so many bytes."""


class Walk:
    """The answer to one request. Iterating gives (36-byte CID, block) for each block to send, and None for each visit
    to a block that the asker has, so that whoever iterates can stop after so many visits."""

    def __init__(self, wants: Iterable[bytes], haves: Iterable[bytes], lookup: Lookup) -> None:
        self._lookup = lookup
        self._queue: list[tuple[int, bytes, tuple[bytes, ...]]] = []
        self._held: dict[bytes, bytes] = {}
        self._weight = 0
        self._largest = 1
        self._queued: set[bytes] = set()
        self._known: set[bytes] = set(haves)
        self._open = 0
        self._start = [*self._known, *wants]

    def __iter__(self) -> Iterator[tuple[bytes, bytes] | None]:
        self._add(self._start)
        while self._open:
            _, name, links = heapq.heappop(self._queue)
            block = self._held.pop(name, None)
            self._weight -= len(block or b"")
            known = name in self._known
            if known:
                self._mark(links)
            else:
                self._open -= 1
            self._add(links)
            if known:
                yield None
                continue
            if block is None:
                block = self._lookup([name]).get(name)
            if block is not None:
                yield name, block

    def blocks(self) -> Iterator[tuple[bytes, bytes]]:
        """The blocks to send alone."""
        return (each for each in self if each is not None)

    def _mark(self, links: Iterable[bytes]) -> None:
        """The asker has these: those that wait to be visited are not open any more."""
        for name in links:
            if name not in self._known:
                self._known.add(name)
                if name in self._queued:
                    self._open -= 1

    def _add(self, names: Iterable[bytes]) -> None:
        fresh = [name for name in dict.fromkeys(names) if name not in self._queued]
        start = 0
        while start < len(fresh):
            size = max(1, min(MAX_LOOKUP, LOOKUP_BYTES // self._largest))
            for name, block in self._lookup(fresh[start : start + size]).items():
                self._enqueue(name, block)
            start += size

    def _enqueue(self, name: bytes, block: bytes) -> None:
        self._largest = max(self._largest, len(block))
        try:
            links, height = outline(block)
        except DecodeError:
            return  # a file's block: nothing below it
        self._queued.add(name)
        heapq.heappush(self._queue, (-height, name, links))
        if name not in self._known:
            self._open += 1
            if len(self._held) < MAX_HELD and self._weight + len(block) <= HELD_BYTES:
                self._held[name] = block
                self._weight += len(block)


def locator(heads: Sequence[bytes], lookup: Lookup, limit: int, farthest: int = 1024) -> tuple[bytes, ...]:
    """At most `limit` complete blocks by which another replica can tell what we have: the heads, and what lies 1, 2, 4,
    8 … deltas below the first of them (PROTOCOL 5)."""
    found = list(heads[:limit])
    name = heads[0] if heads else b""
    for distance in range(1, farthest + 1):
        block = lookup([name]).get(name) if name else None
        links = outline(block)[0] if block is not None else ()
        if not links or len(found) >= limit:
            break
        name = links[0]
        if distance & (distance - 1) == 0:
            found.append(name)
    return tuple(dict.fromkeys(found))
