"""A secured connection that counts its bytes and knows for how long it has been waiting for the other side."""

import math
import socket
import struct
import sys
from typing import Any, cast

import trio
from libp2p.abc import ISecureConn

_READS_PER_TURN = 64
"""Maximum reads, one or two per frame, between two turns of the event loop."""
_TCP_INFO_BYTES, _BYTES_ACKED = 128, 120
"""Bytes of Linux's `struct tcp_info` that are asked for, and the offset of its `tcpi_bytes_acked`."""


class CountingConnection:
    """A secured connection that counts its bytes.

    `waiting_since` is when the first byte was sent that nothing has been received after, in trio's time; infinity while
    nothing is outstanding. `sent_at` is when something was sent last."""

    def __init__(self, connection: ISecureConn) -> None:
        self._connection = connection
        self.received = self.sent = self._reads = 0
        self.waiting_since = math.inf
        self.sent_at = -math.inf

    async def read(self, n: int | None = None) -> bytes:
        self._reads += 1
        if not self._reads % _READS_PER_TURN:
            # One read of the socket may bring thousands of frames, which must not hold up the event loop.
            await trio.lowlevel.checkpoint()
        data = await self._connection.read(n)
        self.received += len(data)
        self.waiting_since = math.inf
        return data

    async def write(self, data: bytes) -> None:
        self.sent_at = trio.current_time()
        if self.waiting_since == math.inf:
            self.waiting_since = self.sent_at
        await self._connection.write(data)
        self.sent += len(data)

    def acknowledged(self) -> tuple[int, int] | None:
        """Bytes that the far end's system has acknowledged, and bytes that are still on their way to it.

        None where the system does not tell: it is asked on Linux only."""
        if sys.platform != "linux":
            return None
        import fcntl
        import termios

        secured = cast(Any, self._connection)
        try:
            tcp = secured.conn.conn.stream.stream.socket
            info = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            (queued,) = struct.unpack("i", fcntl.ioctl(tcp.fileno(), termios.TIOCOUTQ, bytes(4)))
            (acknowledged,) = struct.unpack_from("Q", info, _BYTES_ACKED)
        except (AttributeError, OSError, ValueError, struct.error):
            return None
        return acknowledged, queued

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
