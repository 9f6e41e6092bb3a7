"""The RPCs that wait to be written to one gossip neighbour, limited in number and in bytes.

A neighbour that grants its window byte by byte answers every ping, so its queue must not grow without bound. Beyond
either limit the newest RPC is dropped: its heads are announced again with the next round of announcements."""

from collections import deque

from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.rpc_queue import PriorityQueue

MAX_RPCS, MAX_BYTES = 4096, 8 << 20
"""Maximum RPCs, and bytes of them, that wait for one neighbour: room for a burst, and eight of the largest RPCs."""


class SendQueue(PriorityQueue):
    """Replaces the library's queue and takes over its contents.

    py-libp2p 0.8.1: the library's queue holds 32 RPCs, of any size, and drops the rest silently
    (docs/py-libp2p.md#gossip)."""

    def __init__(self, before: PriorityQueue) -> None:
        super().__init__(MAX_RPCS)
        self._sizes: dict[bool, deque[int]] = {False: deque(), True: deque()}
        self._bytes = 0
        for priority, rpcs in ((True, before._priority), (False, before._non_priority)):
            for rpc in rpcs:
                self.push(rpc, priority)

    def push(self, rpc: rpc_pb2.RPC, priority: bool = False) -> bool:
        """Add an RPC. Returns whether there was room."""
        size = rpc.ByteSize()
        if self._bytes + size > MAX_BYTES or not super().push(rpc, priority):
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
