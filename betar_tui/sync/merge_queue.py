"""A queue of blocks that wait to be merged, with limits on their number and bytes.

Large blocks have a queue of their own: merging one takes seconds, in slices between which the others are merged."""

from collections import deque
from collections.abc import Sequence

import trio

from betar_tui.concurrency import Crowd, Rounds, Wakeup
from betar_tui.p2p.types import LARGE_BLOCK
from betar_tui.sync.writer import RawBlock

MAX_BATCH = 1024
"""Maximum number of blocks in one merge."""
MAX_BATCH_BYTES = 4 << 20
"""Number of bytes at which a merge takes no further block."""
MAX_WAITING = 1024
"""Maximum waiting blocks of a kind, small or large, before `put` waits with further ones of that kind."""
MAX_WAITING_BYTES, MAX_LARGE_BYTES = 8 << 20, 4 << 20
"""Maximum bytes of waiting small blocks, and of large ones, before `put` waits; a block may have two megabytes."""
MERGE_TIME = 0.06
"""Seconds for the merges of a crowd's single deltas: one takes as long as three or four deltas. Others do not wait for it,
since a broadcast is relayed before it is merged."""


class _Kind:
    """The blocks of a kind that wait, up to `max_bytes` of them."""

    def __init__(self, max_bytes: int) -> None:
        self.blocks: deque[RawBlock] = deque()
        self._max_bytes = max_bytes
        self._bytes = 0
        self._added = Wakeup()
        self._taken = trio.Event()

    async def wait_for_room(self) -> None:
        while len(self.blocks) >= MAX_WAITING or self._bytes >= self._max_bytes:
            await self._taken.wait()

    async def wait_for_block(self) -> None:
        while not self.blocks:
            await self._added.wait()

    def add(self, block: RawBlock) -> None:
        self.blocks.append(block)
        self._bytes += len(block.data)
        self._added.set()

    def take(self, most: int, most_bytes: int) -> list[RawBlock]:
        """Remove and return up to `most` blocks, the last of which may exceed `most_bytes` in all."""
        batch: list[RawBlock] = []
        size = 0
        while self.blocks and len(batch) < most and size < most_bytes:
            batch.append(self.blocks.popleft())
            size += len(batch[-1].data)
        self._bytes -= size
        self._taken.set()
        self._taken = trio.Event()
        return batch


class MergeQueue:
    """A queue with many producers and one consumer for each kind of block. `put` waits while there are too many
    of the kind that it brings: a broadcast, whose blocks are small, does not wait for large ones."""

    def __init__(self) -> None:
        self._small, self._large = _Kind(MAX_WAITING_BYTES), _Kind(MAX_LARGE_BYTES)
        self._here: set[bytes] = set()
        self._crowd = Crowd()
        self._merges = Rounds(self._crowd, MERGE_TIME)

    def __contains__(self, cid: bytes) -> bool:
        """Whether a block waits or is being merged."""
        return cid in self._here

    async def put(self, blocks: Sequence[RawBlock]) -> None:
        """Add blocks, the small ones all at once so that they are merged together; those that are here already are left
        out."""
        for kind, large in ((self._small, False), (self._large, True)):
            if added := [block for block in blocks if (len(block.data) >= LARGE_BLOCK) is large]:
                await kind.wait_for_room()
                self._add(kind, added)

    def _add(self, kind: _Kind, blocks: Sequence[RawBlock]) -> None:
        for block in blocks:
            if block.cid in self._here:
                continue
            self._here.add(block.cid)
            kind.add(block)
            if block.author:
                self._crowd.came(block.author)

    async def take(self) -> list[RawBlock]:
        """The blocks of one merge, in the order in which they came; waits for the first. They are here until `done`.

        Single deltas of a crowd are merged together: a transaction costs as much as a delta or two."""
        await self._small.wait_for_block()
        await self._merges.gather()
        self._merges.begin()
        return self._small.take(MAX_BATCH, MAX_BATCH_BYTES)

    async def take_large(self) -> list[RawBlock]:
        """The next large block; waits for it."""
        await self._large.wait_for_block()
        return self._large.take(1, MAX_BATCH_BYTES)

    def done(self, batch: Sequence[RawBlock]) -> None:
        """These are merged, or their merge has failed."""
        self._here.difference_update(block.cid for block in batch)
