"""Reads and window updates of a connection: few packets, and nothing is lost or stuck."""

from __future__ import annotations

import random
import socket
import struct
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    FLAG_ACK,
    FLAG_SYN,
    TYPE_DATA,
    YAMUX_HEADER_FORMAT,
)

from betar_tui.p2p.adaptations.transport import ReadAhead
from betar_tui.p2p.adaptations.yamux import LiveYamux
from betar_tui.p2p.types import Misbehaviour, PeerDisconnected, ReceivedBroadcast
from tests.p2p.peers import Peer, pair, raw_stream, until

TEST = TProtocol("/test/bulk")


def sent(connection: LiveYamux, stream_id: int, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The frames that go out for a stream from now on, data and window updates."""
    frames: list[bytes] = []
    write = connection.counted.write

    async def watched(data: bytes) -> None:
        if int.from_bytes(data[4:8], "big") == stream_id:
            frames.append(data[:12])
        await write(data)

    monkeypatch.setattr(connection.counted, "write", watched)
    return frames


@pytest.mark.parametrize("size", [100, 1000])
async def test_a_message_is_answered_by_no_window_update(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    got, frames = bytearray(), []

    async def take(stream: INetStream) -> None:
        connection = stream.muxed_conn
        assert isinstance(connection, LiveYamux)
        frames.append(sent(connection, stream.muxed_stream.stream_id, monkeypatch))  # type: ignore[attr-defined]
        while len(got) < 50 * size:
            got.extend(await stream.read(4096))
        await trio.sleep_forever()

    async with pair() as (alice, bob):
        bob.network._host.set_stream_handler(TEST, take)
        stream = await raw_stream(alice, bob.id, TEST)
        for _ in range(50):
            await stream.write(b"x" * size)
        await until(lambda: len(got) >= 50 * size)
    assert frames == [[]]


async def test_much_more_than_the_window_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten megabytes, forty times what may be under way at first: few updates, and no task waits for ever."""
    size, got, frames = 40 * DEFAULT_WINDOW_SIZE, 0, []
    done = trio.Event()

    async def take(stream: INetStream) -> None:
        nonlocal got
        connection = stream.muxed_conn
        assert isinstance(connection, LiveYamux)
        frames.append(sent(connection, stream.muxed_stream.stream_id, monkeypatch))  # type: ignore[attr-defined]
        while got < size:
            got += len(await stream.read(1000))
        done.set()

    async with pair() as (alice, bob):
        bob.network._host.set_stream_handler(TEST, take)
        stream = await raw_stream(alice, bob.id, TEST)
        with trio.fail_after(30):
            for at in range(0, size, DEFAULT_WINDOW_SIZE):
                await stream.write(bytes(min(DEFAULT_WINDOW_SIZE, size - at)))
            await done.wait()
    assert got == size
    assert 1 <= len(frames[0]) <= 80, "one for each half of a window at most"


async def test_a_reader_of_single_bytes_does_not_strand_its_sender() -> None:
    """All of the window is unread; it is then read byte by byte."""
    size, got = DEFAULT_WINDOW_SIZE + 1000, 0
    full, done = trio.Event(), trio.Event()

    async def take(stream: INetStream) -> None:
        nonlocal got
        await full.wait()
        for n in (*[1] * 200, *[DEFAULT_WINDOW_SIZE // 3] * 10):
            got += len(await stream.read(n))
            if got == size:
                done.set()
                return

    async with pair() as (alice, bob):
        bob.network._host.set_stream_handler(TEST, take)
        stream = await raw_stream(alice, bob.id, TEST)
        await stream.write(bytes(DEFAULT_WINDOW_SIZE - 1000))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.write, bytes(2000))
            full.set()
            with trio.fail_after(10):
                await done.wait()


async def raw(stream: INetStream, size: int, flags: int = 0, announced: int = 0) -> None:
    """Send a frame of data as it is, whatever the window."""
    muxed: Any = stream.muxed_stream
    header = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, flags, muxed.stream_id, announced or size)
    await muxed.conn._write_frame(header + bytes(size))


def unread(one: Peer, other: Peer) -> int:
    """Unread bytes of one peer that another one sent."""
    connections: Any = [each.muxed_conn for each in one.network._table.connections(other.id)]
    return sum(len(buffer) for each in connections for buffer in each.stream_buffers.values())


async def leave_unread(stream: INetStream) -> None:
    await trio.sleep_forever()


async def test_a_peer_that_sends_beyond_its_window_is_cut_off_and_penalized() -> None:
    """The library kept all bytes that came: 300 MB for a stream that is not read."""
    async with pair() as (alice, bob):
        bob.network._host.set_stream_handler(TEST, leave_unread)
        stream = await raw_stream(alice, bob.id, TEST)
        granted = stream.muxed_stream.send_window  # type: ignore[attr-defined]  # as alice knows bob's window
        for _ in range(8):
            await raw(stream, granted // 8)
        await raw(stream, granted % 8)
        await until(lambda: unread(bob, alice) == granted)
        assert bob.network.misbehaviours() == {}
        await raw(stream, 1)
        await until(lambda: bob.of(PeerDisconnected))
        assert bob.network.misbehaviours() == {alice.id: 1}
        assert "window" in bob.of(Misbehaviour)[0].reason


async def test_bytes_read_but_not_granted_again_are_not_room() -> None:
    """A window update waits until half of the window is used up: until then the sender may not count on it."""
    async with pair() as (alice, bob):

        async def take_a_little(stream: INetStream) -> None:
            await stream.read(1000)
            await trio.sleep_forever()

        bob.network._host.set_stream_handler(TEST, take_a_little)
        stream = await raw_stream(alice, bob.id, TEST)
        granted = stream.muxed_stream.send_window  # type: ignore[attr-defined]
        await raw(stream, 1000)
        await until(lambda: unread(bob, alice) == 0)
        await raw(stream, granted - 1000)
        await until(lambda: unread(bob, alice) == granted - 1000)
        await raw(stream, 1)
        await until(lambda: bob.of(PeerDisconnected))
        assert bob.network.misbehaviours() == {alice.id: 1}


@pytest.mark.parametrize("ending", ["finished", "reset", "open"])
async def test_bytes_for_a_stream_whose_handler_has_returned_are_not_kept(ending: str) -> None:
    """On one stream after the other a peer could fill any memory, within their windows."""
    done: list[INetStream] = []

    async def ignore(stream: INetStream) -> None:
        await until(lambda: ending == "open" or unread(bob, alice) >= 1000)
        done.append(stream)

    async with pair() as (alice, bob):
        bob.network._host.set_stream_handler(TEST, ignore)
        for number in range(5):
            stream = await raw_stream(alice, bob.id, TEST)
            if ending == "open":
                await until(lambda number=number: len(done) > number)  # type: ignore[misc]
            await stream.write(bytes(1000))
            if ending != "open":
                await (stream.close() if ending == "finished" else stream.reset())
            await until(lambda number=number: len(done) > number)  # type: ignore[misc]
        await alice.network.broadcast(b"after them")
        await until(lambda: bob.of(ReceivedBroadcast))
        await until(lambda: unread(bob, alice) == 0)
        assert bob.network.misbehaviours() == {}


@pytest.mark.parametrize("flags", [0, FLAG_SYN, FLAG_ACK])
async def test_a_frame_larger_than_any_window_is_not_awaited(flags: int) -> None:
    async with pair() as (alice, bob):
        bob.network._host.set_stream_handler(TEST, leave_unread)
        stream = await raw_stream(alice, bob.id, TEST)
        await raw(stream, 1, flags, announced=DEFAULT_WINDOW_SIZE + 1)
        await until(lambda: bob.of(PeerDisconnected))
        assert bob.network.misbehaviours() == {alice.id: 1}


async def test_window_that_could_not_be_granted_is_granted_by_the_next_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is cancelled before the grant is written: its peer would wait for ever for the room that is lost."""
    async with pair() as (alice, bob):
        bob.network._host.set_stream_handler(TEST, leave_unread)
        stream: Any = (await raw_stream(alice, bob.id, TEST)).muxed_stream
        write, left = stream.conn.counted.write, DEFAULT_WINDOW_SIZE // 2 - 1
        stream.recv_window = left
        scope = trio.CancelScope()

        async def cancelled(data: bytes) -> None:
            scope.cancel()
            await trio.lowlevel.checkpoint()

        monkeypatch.setattr(stream.conn.counted, "write", cancelled)
        with scope:
            await stream._auto_tune_and_send_window_update(bytes_read=1)
        assert scope.cancelled_caught
        assert stream.recv_window == left
        monkeypatch.setattr(stream.conn.counted, "write", write)
        frames = sent(stream.conn, stream.stream_id, monkeypatch)
        await stream._auto_tune_and_send_window_update(bytes_read=1)
        granted = sum(int.from_bytes(each[8:], "big") for each in frames)
        assert stream.recv_window == left + granted > left


async def test_a_reader_that_is_cancelled_all_the_time_costs_its_sender_nothing() -> None:
    size, turns, done = 16 * DEFAULT_WINDOW_SIZE, random.Random(1), trio.Event()

    async def take(stream: INetStream) -> None:
        while True:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(cancel_after, turns.randrange(6), scope)
                    try:
                        while await stream.read(turns.randrange(1, 60_000)):
                            pass
                    except StreamEOF:
                        done.set()
                        return

    async def cancel_after(count: int, scope: trio.CancelScope) -> None:
        for _ in range(count):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with pair() as (alice, bob):
        bob.network._host.set_stream_handler(TEST, take)
        stream = await raw_stream(alice, bob.id, TEST)
        with trio.fail_after(30):
            for _ in range(0, size, 50_000):
                await stream.write(bytes(50_000))
            await stream.close()
            await done.wait()
        assert bob.network.misbehaviours() == {}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1), st.lists(st.integers(0, 90), min_size=1))
def test_bytes_read_ahead_come_in_order(pieces: list[bytes], sizes: list[int]) -> None:
    async def run() -> bytes:
        here, there = socket.socketpair()
        stream = ReadAhead(trio.SocketStream(trio.socket.from_stdlib_socket(here)))
        for piece in pieces:
            there.send(piece)
        there.close()
        got = bytearray()
        for n in (*sizes, *[64] * 10_000):
            data = await stream.read(n)
            assert len(data) <= n
            if n and not data:
                break
            got += data
        await stream.close()
        return bytes(got)

    assert trio.run(run) == b"".join(pieces)
