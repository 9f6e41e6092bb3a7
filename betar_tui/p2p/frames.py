"""Length-prefixed messages over a stream: an unsigned varint, then that many bytes.

One reader for gossip, Bitswap and identify. It reads ahead in large pieces (py-libp2p 0.8.1 reads a prefix byte by
byte, with a lock and a task switch each) and refuses a message by its announced length, before memory is spent on it.
"""

from typing import Protocol

import trio

from betar_tui.errors import DecodeError
from betar_tui.ipld.protobuf import read_varint, write_varint

READ_SIZE = 256 * 1024
MAX_PREFIX = 10
_MESSAGES_PER_TURN = 64
"""Maximum messages between two turns of the event loop."""


def frame(message: bytes) -> bytes:
    """`message` with its length before it."""
    return write_varint(len(message)) + message


class Readable(Protocol):
    """The part of a stream that a reader uses."""

    async def read(self, n: int) -> bytes:
        """At most `n` bytes; b"" or EOFError at the end."""


class FrameReader:
    """Reads the frames of one stream, in order."""

    def __init__(self, stream: Readable, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._buffer, self._at = bytearray(), 0
        self._taken = 0

    async def next(self) -> bytes | None:
        """The next message, or None when the stream ended between messages.

        Raises DecodeError for a length beyond the limit or an end inside a message, and the stream's own errors."""
        self._taken += 1
        if not self._taken % _MESSAGES_PER_TURN:
            # One read may bring a quarter of a million empty messages, which must not hold up the event loop.
            await trio.lowlevel.checkpoint()
        while True:
            message = self._take()
            if message is not None:
                return message
            try:
                data = await self._stream.read(READ_SIZE)
            except EOFError:  # libp2p's StreamEOF is one
                data = b""
            if not data:
                if self._at < len(self._buffer):
                    raise DecodeError("the stream ended inside a message")
                return None
            del self._buffer[: self._at]
            self._at = 0
            self._buffer += data

    def _take(self) -> bytes | None:
        buffer, at = self._buffer, self._at
        for index in range(at, min(len(buffer), at + MAX_PREFIX)):
            if buffer[index] < 0x80:
                break
        else:
            if len(buffer) - at >= MAX_PREFIX:
                raise DecodeError("the length of a message is not a varint")
            return None
        length, _ = read_varint(bytes(buffer[at : index + 1]), 0, index + 1 - at)
        if length > self._limit:
            raise DecodeError(f"a message of {length} bytes is announced; {self._limit} are allowed")
        start, end = index + 1, index + 1 + length
        if len(buffer) < end:
            return None
        self._at = end
        message = bytes(memoryview(buffer)[start:end])
        if end >= READ_SIZE:  # it may be megabytes, and a while until the next one is asked for
            del buffer[:end]
            self._at = 0
        return message
