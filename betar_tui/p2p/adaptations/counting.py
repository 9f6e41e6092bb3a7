"""A secured connection that counts its bytes and knows for how long it has been waiting for the other side."""

import math
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, cast

import trio
from libp2p.abc import ISecureConn
from libp2p.stream_muxer.yamux.yamux import HEADER_SIZE

_STEPS_PER_TURN = 64
"""Maximum reads, one or two per frame, and frames that are passed over between two turns of the event loop."""
_TCP_INFO_BYTES, _BYTES_ACKED = 128, 120
"""Bytes of Linux's `struct tcp_info` that are asked for, and the offset of its `tcpi_bytes_acked`."""

Shortcut = Callable[[bytes, int], int]
"""Handles the frame of yamux that begins at an offset of these bytes. Returns the offset of its end, or the same one if it
is left to the library."""


class CountingConnection:
    """A secured connection that counts its bytes.

    `waiting_since` is when the first byte was sent that nothing has been received after, in trio's time; infinity while
    nothing is outstanding. `sent_at` is when something was sent last. `shortcut` is offered each frame before its header
    is read, which is when as many bytes are asked for while `inside_frame` is false: a packet may have hundreds of frames,
    and the library takes many steps for each."""

    def __init__(self, connection: ISecureConn, shortcut: Shortcut) -> None:
        self._connection = connection
        self._shortcut = shortcut
        self._ahead, self._at = b"", 0
        self.inside_frame = False
        self.received = self.sent = self._steps = 0
        self.waiting_since = math.inf
        self.sent_at = -math.inf

    async def read(self, n: int | None = None) -> bytes:
        """At most `n` bytes of what has arrived, after frames that the shortcut takes care of."""
        if self._at == len(self._ahead):
            await self._receive()
        if n == HEADER_SIZE and not self.inside_frame:
            await self._pass_over()
        await self._leave_turns()
        end = len(self._ahead) if n is None else self._at + n
        data = self._ahead[self._at : end]
        self._at += len(data)
        return data

    async def _pass_over(self) -> None:
        while (end := self._shortcut(self._ahead, self._at)) != self._at:
            self._at = end
            if end == len(self._ahead):
                await self._receive()
            await self._leave_turns()

    async def _leave_turns(self) -> None:
        self._steps += 1
        if not self._steps % _STEPS_PER_TURN:
            # One packet may bring thousands of frames, which must not hold up the event loop.
            await trio.lowlevel.checkpoint()

    async def _receive(self) -> None:
        self._ahead, self._at = await self._connection.read(), 0
        self.received += len(self._ahead)
        self.waiting_since = math.inf

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
