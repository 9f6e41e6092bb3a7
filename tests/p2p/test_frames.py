"""The frames of a connection, however they are cut into packets: the shortcut for data does what the library does."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, cast

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.abc import ISecureConn
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_FIN,
    FLAG_SYN,
    TYPE_DATA,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
    Yamux,
)

from betar_tui.p2p.adaptations.yamux import LiveYamux
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.types import Timing

PEER = ID(b"\x00\x24\x08\x01\x12\x20" + bytes(32))
NUMBERS = (1, 3, 5)


def encoded(kind: int, flags: int, number: int, length: int, data: bytes = b"") -> bytes:
    return struct.pack(YAMUX_HEADER_FORMAT, 0, kind, flags, number, length) + data


DATA = st.builds(
    lambda number, data, flags: encoded(TYPE_DATA, flags, number, len(data), data),
    st.sampled_from((*NUMBERS, 7)),  # nobody opens 7
    st.binary(max_size=60),
    st.sampled_from((0, 0, 0, 0, FLAG_FIN)),
)
WINDOW = st.builds(
    lambda number, room: encoded(TYPE_WINDOW_UPDATE, 0, number, room), st.sampled_from(NUMBERS), st.integers(0, 9999)
)
PING = st.builds(lambda number: encoded(TYPE_PING, FLAG_SYN, 0, number), st.integers(0, 9))


class Packets:
    """A secured connection that brings these packets, then ends. Bytes are asked for one or more at a time."""

    is_initiator = False

    def __init__(self, packets: list[bytes]) -> None:
        self._packets = packets
        self._rest = b""
        self.written: list[bytes] = []
        self.ended: Callable[[], None] = lambda: None

    async def read(self, n: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._rest:
            if not self._packets:
                self.ended()
                raise trio.BrokenResourceError
            self._rest = self._packets.pop(0)
        data = self._rest if n is None else self._rest[:n]
        self._rest = self._rest[len(data) :]
        return data

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.written.append(data)

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()


async def outcome(connection: Any, packets: Packets) -> tuple[object, list[bytes]]:
    """The state of every stream after all packets, and what was answered."""
    state: dict[int, object] = {}

    def note() -> None:
        for number, stream in connection.streams.items():
            buffer = bytes(connection.stream_buffers[number])
            state[number] = (buffer, stream.recv_window, stream.send_window, stream.recv_closed, stream.closed)

    packets.ended = note
    await connection.handle_incoming()
    return state, packets.written


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """These bytes in pieces of these sizes, again and again."""
    pieces, at = [], 0
    while at < len(data):
        for size in sizes:
            pieces.append(data[at : at + size])
            at += size
    return [piece for piece in pieces if piece]


@settings(max_examples=150, deadline=None)
@given(st.lists(DATA | WINDOW | PING, max_size=20), st.lists(st.integers(1, 200), min_size=1, max_size=5))
def test_frames_mean_what_they_mean_to_the_library(frames: list[bytes], sizes: list[int]) -> None:
    opened = [encoded(TYPE_WINDOW_UPDATE, FLAG_SYN, number, 0) for number in NUMBERS]
    pieces = cut(b"".join([*opened, *frames]), sizes)

    async def both() -> None:
        theirs, ours = Packets(list(pieces)), Packets(list(pieces))
        library = Yamux(cast(ISecureConn, theirs), PEER, is_initiator=False)
        live = LiveYamux(cast(ISecureConn, ours), PEER, Timing(), lambda peer, reason: None)
        found = await outcome(live, ours)
        assert found == await outcome(library, theirs)
        assert found[0]

    trio.run(both)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=400), max_size=20), st.lists(st.integers(1, 300), min_size=1, max_size=5))
def test_messages_come_out_as_they_went_in(messages: list[bytes], sizes: list[int]) -> None:
    class Pieces:
        def __init__(self) -> None:
            self._pieces = cut(b"".join(map(frame, messages)), sizes)

        async def read(self, n: int) -> bytes:
            return self._pieces.pop(0) if self._pieces else b""

    async def read() -> list[bytes]:
        reader, got = FrameReader(Pieces(), 1000), []
        while (message := await reader.next()) is not None:
            got.append(message)
        return got

    assert trio.run(read) == messages
