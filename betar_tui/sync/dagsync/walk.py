"""Finds the blocks that answer a request. Pure: blocks are looked up through a function.

Blocks are visited by falling height. Blocks at or below a *have* are known to the client; this mark spreads to links
like a visit does, and the walk ends when all blocks left to visit have it. Heights only order the visits: if a hostile
delta lies about its height, the client may get a block that it has.

With `large_last`, a large block that the client may lack is put off until nothing else is left to send: to merge it takes
the client up to a second, and everything behind it would wait. What only it links to comes after it. A client that wants
nothing but large blocks has been sent what is between them, and gets them first: below each of them the walk comes to blocks
that it has and cannot say so, since a *have* stands for all below it."""

import heapq
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from betar_tui.errors import DecodeError
from betar_tui.p2p.types import LARGE_BLOCK
from betar_tui.replica.node import outline

Lookup = Callable[[Collection[bytes]], Mapping[bytes, bytes | None]]
"""Finds blocks by CID, None for one that is not stored. It may leave out some, but not all, to be looked up again."""

MAX_KEPT = 1024
"""Maximum number of blocks kept in memory until their visit; others are looked up again."""
KEPT_BYTES = 8 << 20
"""Maximum bytes of these blocks."""
MAX_LOOKUP = 32
"""Maximum number of blocks looked up at once."""
MAX_LINKS_KEPT = 64
"""Maximum links of a block that are kept until its visit: one may have thousands, and thousands of such may be queued."""


class _Visit(NamedTuple):
    """A block to visit, in the order of the visits: its height, negated, its CID, and its links or None where they are not
    kept."""

    place: int
    cid: bytes
    links: tuple[bytes, ...] | None


class Walk:
    """The answer to one request.

    Iterating gives (36-byte CID, block) for each block to send, and None for each visit to a block that the client has,
    so that the caller can limit the number of visits."""

    def __init__(
        self, wants: Iterable[bytes], haves: Iterable[bytes], lookup: Lookup, *, large_last: bool = False
    ) -> None:
        self._lookup = lookup
        self._large_from = LARGE_BLOCK if large_last else math.inf
        self._queue: list[_Visit] = []
        self._put_off: list[_Visit] = []
        self._kept: dict[bytes, bytes] = {}
        self._weight = 0
        self._queued: set[bytes] = set()
        self._known: set[bytes] = set(haves)
        # To send, unless the mark comes first: small ones in the queue, and those that are put off.
        self._small: set[bytes] = set()
        self._large: dict[bytes, _Visit] = {}
        # Those that are sent first, the last of them before the others.
        self._wanted: list[_Visit] = []
        self._start = [*self._known, *wants]

    def __iter__(self) -> Iterator[tuple[bytes, bytes] | None]:
        self._add(self._start)
        if not self._small:
            self._wanted = sorted(self._large.values(), reverse=True)
            self._large.clear()
            self._put_off.clear()
        while (visit := self._next()) is not None:
            links, block = visit.links, self._kept.pop(visit.cid, None)
            self._weight -= len(block or b"")
            known = visit.cid in self._known
            if block is None and (links is None or not known):
                block = self._lookup([visit.cid]).get(visit.cid)
            if links is None:
                links = outline(block)[0] if block is not None else ()
            if known:
                self._mark(links)
            self._add(links)
            if known:
                yield None
            elif block is not None:
                yield visit.cid, block

    def _next(self) -> _Visit | None:
        """The next visit, None when nothing is left to send."""
        if self._wanted:
            return self._wanted.pop()
        if self._small:
            return self._from_queue()
        if not self._large:
            return None
        while self._put_off[0].cid not in self._large:
            heapq.heappop(self._put_off)
        # Its mark may come from any block that is higher.
        if self._queue and self._queue[0] < self._put_off[0]:
            return self._from_queue()
        return self._large.pop(heapq.heappop(self._put_off).cid)

    def _from_queue(self) -> _Visit:
        visit = heapq.heappop(self._queue)
        self._small.discard(visit.cid)
        return visit

    def blocks(self) -> Iterator[tuple[bytes, bytes]]:
        """Only the blocks to send."""
        return (found for found in self if found is not None)

    def _mark(self, links: Iterable[bytes]) -> None:
        """The client has these: they are not to be sent."""
        for cid in links:
            self._known.add(cid)
            self._small.discard(cid)
            if (visit := self._large.pop(cid, None)) is not None:
                heapq.heappush(self._queue, visit)  # to spread the mark

    def _add(self, cids: Iterable[bytes]) -> None:
        left = deque(cid for cid in dict.fromkeys(cids) if cid not in self._queued)
        while left:
            asked = [left.popleft() for _ in range(min(MAX_LOOKUP, len(left)))]
            found = self._lookup(asked)
            assert found, "a look-up leaves out some, never all: it would be repeated for ever"
            for cid, block in found.items():
                if block is not None:
                    self._enqueue(cid, block)
            left.extend(cid for cid in asked if cid not in found)

    def _enqueue(self, cid: bytes, block: bytes) -> None:
        try:
            links, height = outline(block)
        except DecodeError:
            return  # a block of a file, not of the DAG
        self._queued.add(cid)
        visit = _Visit(-height, cid, links if len(links) <= MAX_LINKS_KEPT else None)
        if cid not in self._known and len(block) >= self._large_from:
            heapq.heappush(self._put_off, visit)
            self._large[cid] = visit
            return
        heapq.heappush(self._queue, visit)
        if cid not in self._known:
            self._small.add(cid)
            if len(self._kept) < MAX_KEPT and self._weight + len(block) <= KEPT_BYTES:
                self._kept[cid] = block
                self._weight += len(block)


def locator(heads: Sequence[bytes], lookup: Lookup, limit: int, farthest: int = 1024) -> tuple[bytes, ...]:
    """At most `limit` complete blocks from which another replica sees what we have: the heads, and the deltas 1, 2, 4,
    8 … steps below the first of them (docs/protocol.md#dag-exchange)."""
    found = list(heads[:limit])
    cid = heads[0] if heads else b""
    for distance in range(1, farthest + 1):
        block = lookup([cid]).get(cid) if cid else None
        links = outline(block)[0] if block is not None else ()
        if not links or len(found) >= limit:
            break
        cid = links[0]
        if distance & (distance - 1) == 0:
            found.append(cid)
    return tuple(dict.fromkeys(found))
