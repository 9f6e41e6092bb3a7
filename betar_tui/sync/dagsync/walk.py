"""Finds the blocks that answer a request, newest first. Pure: blocks are looked up through a function.

Blocks are visited by falling height. Blocks at or below a *have* are known to the client; this mark spreads to links
like a visit does, and the walk ends when all blocks left to visit have it. Heights only order the visits: if a hostile
delta lies about its height, the client may get a block that it has."""

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from betar_tui.errors import DecodeError
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


class Walk:
    """The answer to one request.

    Iterating gives (36-byte CID, block) for each block to send, and None for each visit to a block that the client has,
    so that the caller can limit the number of visits."""

    def __init__(self, wants: Iterable[bytes], haves: Iterable[bytes], lookup: Lookup) -> None:
        self._lookup = lookup
        self._queue: list[tuple[int, bytes, tuple[bytes, ...] | None]] = []  # by height; None for links not kept
        self._kept: dict[bytes, bytes] = {}
        self._weight = 0
        self._queued: set[bytes] = set()
        self._known: set[bytes] = set(haves)
        self._open = 0
        self._start = [*self._known, *wants]

    def __iter__(self) -> Iterator[tuple[bytes, bytes] | None]:
        self._add(self._start)
        while self._open:
            _, cid, links = heapq.heappop(self._queue)
            block = self._kept.pop(cid, None)
            self._weight -= len(block or b"")
            known = cid in self._known
            if block is None and (links is None or not known):
                block = self._lookup([cid]).get(cid)
            if links is None:
                links = outline(block)[0] if block is not None else ()
            if known:
                self._mark(links)
            else:
                self._open -= 1
            self._add(links)
            if known:
                yield None
                continue
            if block is not None:
                yield cid, block

    def blocks(self) -> Iterator[tuple[bytes, bytes]]:
        """Only the blocks to send."""
        return (found for found in self if found is not None)

    def _mark(self, links: Iterable[bytes]) -> None:
        """The client has these: those that are queued for a visit are not open any more."""
        for cid in links:
            if cid not in self._known:
                self._known.add(cid)
                if cid in self._queued:
                    self._open -= 1

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
        heapq.heappush(self._queue, (-height, cid, links if len(links) <= MAX_LINKS_KEPT else None))
        if cid not in self._known:
            self._open += 1
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
