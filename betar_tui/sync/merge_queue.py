"""A queue of blocks that wait to be merged, with limits on their number and bytes.

Large blocks have a queue of their own: merging one takes seconds, in slices between which the others are merged."""

from collections import deque
from collections.abc import Sequence

import trio

from betar_tui.concurrency import Crowd, Rounds, Wakeup
from betar_tui.sync.writer import RawBlock

MAX_BATCH = 1024
"""Maximum number of blocks in one merge."""
MAX_BATCH_BYTES = 4 << 20
"""Number of bytes at which a merge takes no further block."""
MAX_WAITING = 1024
"""Number of waiting blocks at which `put` waits."""
MAX_WAITING_BYTES = 16 << 20
"""Number of waiting bytes at which `put` waits, small and large ones together; a block may have two megabytes."""
LARGE = 64 << 10
"""Number of bytes from which on a block is a large one."""

MERGE_TIME = 0.06
"""Seconds for the merges of a crowd's single deltas: one takes as long as three or four deltas. Others do not wait for it,
since a broadcast is relayed before it is merged."""


class MergeQueue:
    """A queue with many producers and one consumer for each kind of block. `put` waits while the queue is full."""

    def __init__(self) -> None:
        self._small: deque[RawBlock] = deque()
        self._large: deque[RawBlock] = deque()
        self._here: set[bytes] = set()
        self._bytes = 0
        self._added, self._added_large = Wakeup(), Wakeup()
        self._crowd = Crowd()
        self._merges = Rounds(self._crowd, MERGE_TIME)
        self._taken = trio.Event()

    def __contains__(self, cid: bytes) -> bool:
        """Whether a block waits or is being merged."""
        return cid in self._here

    async def put(self, blocks: Sequence[RawBlock]) -> None:
        """Add blocks, all at once so that they are merged together; those that are here already are left out."""
        while len(self._small) + len(self._large) >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES:
            await self._taken.wait()
        for block in blocks:
            if block.cid in self._here:
                continue
            self._here.add(block.cid)
            self._bytes += len(block.data)
            if len(block.data) >= LARGE:
                self._large.append(block)
                self._added_large.set()
            else:
                self._small.append(block)
                self._added.set()
            if block.author:
                self._crowd.came(block.author)

    async def take(self) -> list[RawBlock]:
        """The blocks of one merge, in the order in which they came; waits for the first. They are here until `done`.

        Single deltas of a crowd are merged together: a transaction costs as much as a delta or two."""
        while not self._small:
            await self._added.wait()
        await self._merges.gather()
        self._merges.begin()
        batch: list[RawBlock] = []
        size = 0
        while self._small and len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
            batch.append(self._small.popleft())
            size += len(batch[-1].data)
        self._took(size)
        return batch

    async def take_large(self) -> list[RawBlock]:
        """The next large block; waits for it."""
        while not self._large:
            await self._added_large.wait()
        block = self._large.popleft()
        self._took(len(block.data))
        return [block]

    def done(self, batch: Sequence[RawBlock]) -> None:
        """These are merged, or their merge has failed."""
        self._here.difference_update(block.cid for block in batch)

    def _took(self, size: int) -> None:
        self._bytes -= size
        self._taken.set()
        self._taken = trio.Event()
