"""Streams that a peer opens: they count, and are kept, until both sides have ended them."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamEOF, StreamReset

from betar_tui.errors import NetworkError
from betar_tui.p2p.adaptations import yamux
from betar_tui.p2p.bitswap.messages import V12
from betar_tui.p2p.duplicates.messages import PROTOCOL as INSTANCES
from betar_tui.p2p.frames import frame
from betar_tui.p2p.reachability.messages import PROTOCOL as AUTONAT
from tests.p2p.peers import SECONDS, Peer, pair, raw_stream, until

TEST = TProtocol("/test/ends")
ANSWERING = {"/ipfs/id/1.0.0": b"", "/ipfs/id/push/1.0.0": frame(b""), AUTONAT: frame(b"")}
"""Protocols whose handler returns while the asker's side is open, and what to ask."""


def kept(one: Peer, other: Peer, stream: INetStream) -> bool:
    """Whether a peer keeps a stream that another one opened."""
    connections: Any = [each.muxed_conn for each in one.network._table.connections(other.id)]
    number: int = stream.muxed_stream.stream_id  # type: ignore[attr-defined]
    return any(number in each.streams for each in connections)


async def read_to_the_reset(stream: INetStream) -> None:
    with trio.fail_after(SECONDS), pytest.raises(StreamReset):
        while True:
            try:
                await stream.read(1000)
            except StreamEOF:
                await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("protocol", ANSWERING)
@pytest.mark.parametrize("talks", [True, False])
async def test_a_stream_that_its_peer_does_not_end_is_reset(
    protocol: str, talks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yamux, "END_TIMEOUT", 0.1)
    async with pair() as (alice, bob):
        stream = await raw_stream(alice, bob.id, protocol)
        await stream.write(ANSWERING[protocol] or b"nothing is expected here")
        if talks:
            await stream.write(b"and another thing")
        await read_to_the_reset(stream)
        await until(lambda: not kept(bob, alice, stream))
        assert bob.network.misbehaviours() == {}


@pytest.mark.parametrize("protocol", [*ANSWERING, INSTANCES, V12])
async def test_a_stream_that_its_peer_ends_is_ended(protocol: str) -> None:
    async with pair() as (alice, bob):
        stream = await raw_stream(alice, bob.id, protocol)
        await stream.write(ANSWERING.get(protocol, b""))
        await stream.close()
        with trio.fail_after(SECONDS), pytest.raises(StreamEOF):
            while await stream.read(1000):
                pass
        await until(lambda: not kept(bob, alice, stream))
        assert bob.network.misbehaviours() == {}


async def test_an_answer_is_read_before_the_stream_ends() -> None:
    """The asker's side is open meanwhile, and what it still sends does no harm."""

    async def answer(stream: INetStream) -> None:
        await stream.write(bytes(200_000))

    async with pair() as (alice, bob):
        bob.network._host.set_stream_handler(TEST, answer)
        stream = await raw_stream(alice, bob.id, TEST)
        await stream.write(bytes(100_000))
        got = 0
        with trio.fail_after(SECONDS), pytest.raises(StreamEOF):
            while True:
                got += len(await stream.read(10_000))
        assert got == 200_000
        assert kept(bob, alice, stream)
        await stream.close()
        await until(lambda: not kept(bob, alice, stream))


async def test_a_stream_counts_until_its_peer_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamux, "END_TIMEOUT", 60.0)
    returned = 0

    async def ignore(stream: INetStream) -> None:
        nonlocal returned
        returned += 1

    async with pair(max_streams_per_peer=10) as (alice, bob):
        bob.network._host.set_stream_handler(TEST, ignore)
        for _ in range(20):  # ended ones do not count
            stream = await raw_stream(alice, bob.id, TEST)
            await stream.close()
            await until(lambda stream=stream: not kept(bob, alice, stream))  # type: ignore[misc]
        assert (returned, bob.network.misbehaviours()) == (20, {})
        with pytest.raises(NetworkError):
            for _ in range(10):
                await raw_stream(alice, bob.id, TEST)
        assert returned < 30
        assert bob.network.misbehaviours() == {alice.id: 1}
