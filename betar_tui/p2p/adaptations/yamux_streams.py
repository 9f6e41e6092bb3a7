"""The streams of a yamux connection: their locks, their unread bytes, and how those are read."""

import struct
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import trio
from libp2p.stream_muxer.rw_lock import ReadWriteLock
from libp2p.stream_muxer.yamux.yamux import (
    HEADER_SIZE,
    TYPE_DATA,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
    Yamux,
    YamuxStream,
)

from betar_tui.concurrency import FastLock

_HEADER = struct.Struct(YAMUX_HEADER_FORMAT)


class LiveStream(YamuxStream):
    """A stream that is read, written and granted window in few steps.

    py-libp2p 0.8.1: each read formats five lines for the log and looks three times into the environment."""

    _unreported = 0

    async def read(self, n: int | None = -1) -> bytes:
        """At most `n` bytes. Every state in which there is nothing to wait for is left to the library, as is n = -1."""
        connection, number = self.conn, self.stream_id
        while n and n > 0 and not (self.recv_closed or self.closed or self.reset_received):
            buffer = connection.stream_buffers.get(number)
            if buffer is None or connection.event_shutting_down.is_set():
                break
            if buffer:
                data = bytes(buffer[:n])
                del buffer[:n]
                await self._auto_tune_and_send_window_update(bytes_read=len(data))
                return data
            event = connection.stream_events.get(number)
            if event is None:
                break
            await event.wait()
            if number in connection.stream_events:
                connection.stream_events[number] = trio.Event()
        return await super().read(n)

    async def _auto_tune_and_send_window_update(self, *, bytes_read: int = 0) -> None:
        """Grant window once half of it is read and used up, as in go-yamux.

        py-libp2p 0.8.1: it answers every read with a window update, though it means to wait: a packet for each block
        and broadcast, and five for each stream whose protocol is negotiated."""
        self._unreported += bytes_read
        held = self.recv_window + len(self.conn.stream_buffers.get(self.stream_id, b""))
        if held > self.target_recv_window // 2:
            return
        read, self._unreported = self._unreported, 0
        await super()._auto_tune_and_send_window_update(bytes_read=read)

    async def send_window_update(self, increment: int, skip_lock: bool = False) -> None:
        """Grant window that is counted as granted already. What cannot be granted, as when cancelled, is not counted."""
        try:
            await super().send_window_update(increment, skip_lock)
        except BaseException:
            self.recv_window -= increment
            raise


class _WriteLock(ReadWriteLock):
    """py-libp2p 0.8.1: a writer takes two turns of the event loop for it; nobody takes it for reading."""

    def __init__(self) -> None:
        self._lock = FastLock()

    def write_lock(self) -> Any:
        return self._lock


class Streams(dict[int, YamuxStream]):
    """The streams of a connection. A stream gets this room's class and locks as it is added, before any task has it."""

    def __setitem__(self, stream_id: int, stream: YamuxStream) -> None:
        stream.window_lock = cast(trio.Lock, FastLock())
        stream.rw_lock = _WriteLock()
        stream.__class__ = LiveStream
        super().__setitem__(stream_id, stream)


class WindowedBuffer(bytearray):
    """The unread bytes of a stream. Each addition must be admitted, and is dropped once the buffer is abandoned."""

    def __init__(self, admit: Callable[[int], None]) -> None:
        super().__init__()
        self._admit = admit
        self._abandoned = False

    def extend(self, data: Any) -> None:
        self._admit(len(data))
        if not self._abandoned:
            super().extend(data)

    def abandon(self) -> None:
        """Drop the bytes that have arrived, and all that will."""
        self._abandoned = True
        self.clear()


class Buffers(dict[int, bytearray]):
    """The unread bytes by stream. A new, empty buffer is replaced by a `WindowedBuffer` as it is added."""

    def __init__(self, admit: Callable[[int, int], None]) -> None:
        super().__init__()
        self._admit = admit

    def __setitem__(self, stream_id: int, buffer: bytearray) -> None:
        super().__setitem__(stream_id, WindowedBuffer(partial(self._admit, stream_id)))


def take_frame(connection: Yamux, data: bytes, at: int) -> int:
    """Handle the frame that begins at `at` if that is simple: whole, without flags, of data within the window of a known
    stream or with more window for it. Returns where it ends, or else `at`: it is for the library."""
    begin = at + HEADER_SIZE
    if len(data) < begin:
        return at
    _, kind, flags, number, length = _HEADER.unpack_from(data, at)
    stream = connection.streams.get(number)
    if flags or stream is None or stream.closed:
        return at
    if kind == TYPE_WINDOW_UPDATE:
        stream.send_window += length
        return begin
    end: int = begin + length
    if kind != TYPE_DATA or end > len(data) or length > stream.recv_window:
        return at
    connection.stream_buffers[number].extend(data[begin:end])
    stream.recv_window -= length
    connection.stream_events[number].set()
    return end
