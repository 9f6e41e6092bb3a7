"""A queue of blocks that wait to be merged, with limits on their number and bytes."""

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
"""Number of waiting bytes at which `put` waits; a block may have two megabytes."""

MERGE_TIME = 0.06
"""Seconds for the merges of a crowd's single deltas: one takes as long as three or four deltas. Others do not wait for it,
since a broadcast is relayed before it is merged."""


class MergeQueue:
    """A queue with many producers and one consumer. `put` waits while the queue is full."""

    def __init__(self) -> None:
        self._waiting: deque[RawBlock] = deque()
        self._bytes = 0
        self._added = Wakeup()
        self._crowd = Crowd()
        self._merges = Rounds(self._crowd, MERGE_TIME)
        self._taken = trio.Event()

    async def put(self, blocks: Sequence[RawBlock]) -> None:
        """Add blocks, all at once so that they are merged together."""
        while len(self._waiting) >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES:
            await self._taken.wait()
        self._waiting += blocks
        for block in blocks:
            if block.author:
                self._crowd.came(block.author)
        self._bytes += sum(len(block.data) for block in blocks)
        self._added.set()

    async def take(self) -> list[RawBlock]:
        """The blocks of one merge, in the order in which they came; waits for the first.

        Single deltas of a crowd are merged together: a transaction costs as much as a delta or two."""
        while not self._waiting:
            await self._added.wait()
        await self._merges.gather()
        self._merges.begin()
        batch: list[RawBlock] = []
        size = 0
        while self._waiting and len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1].data)
        self._bytes -= size
        self._taken.set()
        self._taken = trio.Event()
        return batch
