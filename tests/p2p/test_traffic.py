"""How a connection reads: no packet for what can wait, and nothing lost or stuck for that."""

from __future__ import annotations

import socket

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.stream_muxer.yamux.yamux import DEFAULT_WINDOW_SIZE

from betar_tui.p2p.liveness import LiveYamux
from betar_tui.p2p.transport import ReadAhead
from tests.p2p.peers import pair, until

TEST = TProtocol("/test/bulk")


def sent(connection: LiveYamux, stream_id: int, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The frames that go out for a stream from now on, data and window updates."""
    frames: list[bytes] = []
    write = connection.meter.write

    async def watched(data: bytes) -> None:
        if int.from_bytes(data[4:8], "big") == stream_id:
            frames.append(data[:12])
        await write(data)

    monkeypatch.setattr(connection.meter, "write", watched)
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

    async with pair() as (alice, bob):
        bob.network._host.set_stream_handler(TEST, take)
        stream = await alice.network.open_stream(bob.id, TEST)
        for _ in range(50):
            await stream.write(b"x" * size)
        await until(lambda: len(got) >= 50 * size)
    assert frames == [[]]


async def test_much_more_than_the_window_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten megabytes, forty times what may be under way at first: few updates, and nobody waits for ever."""
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
        stream = await alice.network.open_stream(bob.id, TEST)
        with trio.fail_after(30):
            for at in range(0, size, DEFAULT_WINDOW_SIZE):
                await stream.write(bytes(min(DEFAULT_WINDOW_SIZE, size - at)))
            await done.wait()
    assert got == size
    assert 1 <= len(frames[0]) <= 80, "one for each half of a window at most"


async def test_a_reader_of_single_bytes_does_not_strand_its_sender() -> None:
    """All of the window lies unread; it is then read in the smallest steps there are."""
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
        stream = await alice.network.open_stream(bob.id, TEST)
        await stream.write(bytes(DEFAULT_WINDOW_SIZE - 1000))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.write, bytes(2000))
            full.set()
            with trio.fail_after(10):
                await done.wait()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1), st.lists(st.integers(0, 90), min_size=1))
def test_what_is_read_ahead_comes_in_order(pieces: list[bytes], sizes: list[int]) -> None:
    async def run() -> bytes:
        ours, theirs = socket.socketpair()
        stream = ReadAhead(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        for piece in pieces:
            theirs.send(piece)
        theirs.close()
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
