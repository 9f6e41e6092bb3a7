"""Blocks that have come and wait to be merged: so many of them, of so many bytes. Whoever brings more waits."""

from collections import deque
from collections.abc import Sequence

import trio

from betar_tui.sync.writer import RawBlock

MAX_BATCH = 1024
MAX_BATCH_BYTES = 4 << 20
MAX_WAITING = 1024
MAX_WAITING_BYTES = 16 << 20
"""What may wait while a merge runs; a block may have two megabytes."""


class MergeQueue:
    """A queue with many who bring and one who takes."""

    def __init__(self) -> None:
        self._waiting: deque[RawBlock] = deque()
        self._bytes = 0
        self._came, self._taken = trio.Event(), trio.Event()

    async def put(self, blocks: Sequence[RawBlock]) -> None:
        """Add blocks, all at once, so that they are merged together; where there is no room, when there is."""
        while len(self._waiting) >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES:
            await self._taken.wait()
        self._waiting += blocks
        self._bytes += sum(len(block.data) for block in blocks)
        self._came.set()

    async def take(self) -> list[RawBlock]:
        """As many as make one merge, in the order in which they came; waits for the first."""
        while not self._waiting:
            self._came = trio.Event()
            await self._came.wait()
        batch: list[RawBlock] = []
        size = 0
        while self._waiting and len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1].data)
        self._bytes -= size
        self._taken.set()
        self._taken = trio.Event()
        return batch
