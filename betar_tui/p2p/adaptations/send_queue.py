"""The RPCs that wait to be written to one gossip neighbour, limited in number and in bytes.

A neighbour that grants its window byte by byte answers every ping, so its queue must not grow without bound. Beyond
either limit the newest RPC is dropped: its heads are announced again with the next round of announcements. This peer's
own messages go before those that it forwards, and take their places while the queue is full, or a flood of messages
would keep it from publishing.

RPCs are queued as they are written: a forwarded message is encoded once for all neighbours, and what waits for one of
them goes out in one piece."""

from collections import deque

import trio
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.rpc_queue import PriorityQueue, RpcQueue

from betar_tui.p2p.frames import frame

MAX_RPCS, MAX_BYTES = 4096, 8 << 20
"""Maximum RPCs, and bytes of them, that wait for one neighbour: room for a burst, and eight of the largest RPCs."""
MAX_PIECE = 60_000
"""Maximum bytes that are written at once, unless one RPC is longer: they fit into one frame of yamux and one of Noise."""


class SendQueue(PriorityQueue):
    """Replaces the library's queue and takes over its contents.

    py-libp2p 0.8.1: the library's queue holds 32 RPCs, of any size, and drops the rest silently; and each RPC is a
    packet of its own (docs/py-libp2p.md#gossip)."""

    def __init__(self, before: PriorityQueue) -> None:
        super().__init__(MAX_RPCS)
        self._control: deque[bytes] = deque()
        self._own: deque[bytes] = deque()
        self._frames: deque[bytes] = deque()
        self.bytes = 0
        for priority, rpcs in ((True, before._priority), (False, before._non_priority)):
            for rpc in rpcs:
                self.push(rpc, priority)

    def __len__(self) -> int:
        return len(self._control) + len(self._own) + len(self._frames)

    def push(self, rpc: rpc_pb2.RPC, priority: bool = False) -> bool:
        """Add an RPC. Returns whether there was room."""
        return self.push_frame(frame(rpc.SerializeToString()), priority)

    def push_frame(self, data: bytes, priority: bool = False, own: bool = False) -> bool:
        """Add an RPC that is encoded, with its length before it. Returns whether there was room."""
        while self._is_full(len(data)):
            if not own or not self._frames:
                return False
            self.bytes -= len(self._frames.pop())
        (self._control if priority else self._own if own else self._frames).append(data)
        self.bytes += len(data)
        return True

    def _is_full(self, size: int) -> bool:
        return len(self) >= self.max_size or self.bytes + size > MAX_BYTES

    def pop(self) -> bytes | None:  # type: ignore[override]
        """The next RPCs in one piece, those with priority first and then own ones, or None."""
        piece: list[bytes] = []
        size = 0
        for frames in (self._control, self._own, self._frames):
            while frames and (not piece or size + len(frames[0]) <= MAX_PIECE):
                piece.append(frames.popleft())
                size += len(piece[-1])
            if frames:
                break
        self.bytes -= size
        return b"".join(piece) if piece else None


def push_frame(queue: RpcQueue, data: bytes, own: bool = False) -> bool:
    """Add an encoded RPC to a neighbour's queue and wake its writer, as `RpcQueue.push`. Returns whether there was room."""
    waiting = queue._queue
    if queue.closed or not isinstance(waiting, SendQueue) or not waiting.push_frame(data, own=own):
        return False
    queue._notify.set()
    queue._notify = trio.Event()
    return True
