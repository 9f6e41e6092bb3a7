"""What waits to be written to one gossip neighbour: so many RPCs, and so many bytes of them.

A neighbour that grants its window byte by byte is never found dead; what it is to be sent must not pile up for it. Beyond
either limit the newest is left out: what it told of is told again with the next round of announcements.
"""

from __future__ import annotations

from collections import deque

from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.rpc_queue import PriorityQueue

RPCS = 4096
BYTES = 8 << 20


class SendQueue(PriorityQueue):
    """Takes the place of the library's queue, with what is in it.

    py-libp2p 0.8.1: it holds 32 RPCs, of any size, and drops the rest without a word.
    """

    def __init__(self, before: PriorityQueue) -> None:
        super().__init__(RPCS)
        self._sizes: dict[bool, deque[int]] = {False: deque(), True: deque()}
        self._bytes = 0
        for priority, waiting in ((True, before._priority), (False, before._non_priority)):
            for rpc in waiting:
                self.push(rpc, priority)

    def push(self, rpc: rpc_pb2.RPC, priority: bool = False) -> bool:
        """Take an RPC; whether there was room."""
        size = rpc.ByteSize()
        if self._bytes + size > BYTES or not super().push(rpc, priority):
            return False
        self._sizes[priority].append(size)
        self._bytes += size
        return True

    def pop(self) -> rpc_pb2.RPC | None:
        """The next RPC, or None."""
        sizes = self._sizes[bool(self._priority)]
        rpc = super().pop()
        if rpc is not None:
            self._bytes -= sizes.popleft()
        return rpc
