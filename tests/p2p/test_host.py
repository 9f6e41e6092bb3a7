"""The adapted swarm: a stream that comes before its connection is listed waits for that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from libp2p.network.stream.net_stream import NetStream
from libp2p.peer.id import ID

from betar_tui.concurrency import FastLock
from betar_tui.p2p.adaptations.swarm import PeerSwarm
from betar_tui.p2p.host import build_host
from tests.p2p.peers import config

PEER = ID(b"\x00\x04anne")


class Connection(SimpleNamespace):
    """A connection as far as the swarm looks at it here."""

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def stream_of(connection: Connection) -> Any:
    return NetStream(SimpleNamespace(muxed_conn=connection.muxed_conn), connection, None)  # type: ignore[arg-type]


def some_swarm() -> PeerSwarm:
    swarm = build_host(config("host")).get_network()
    assert isinstance(swarm, PeerSwarm)
    return swarm


@pytest.mark.parametrize("ending", ["listed", "gone"])
async def test_a_stream_waits_until_its_connection_is_listed_or_gone(ending: str) -> None:
    """As shipped the first wants of a Go peer came from an unknown peer, and were never answered."""
    swarm = some_swarm()
    connection = Connection(muxed_conn=SimpleNamespace(peer_id=PEER), is_closed=False)
    handled = trio.Event()

    async def handle() -> None:
        await swarm.notify_opened_stream(stream_of(connection))
        handled.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(handle)
        await trio.testing.wait_all_tasks_blocked()
        assert not handled.is_set()
        if ending == "gone":
            swarm.remove_conn(connection)  # type: ignore[arg-type]
        else:
            swarm.connections[PEER] = [connection]  # type: ignore[list-item]
            await swarm.notify_connected(connection)  # type: ignore[arg-type]
        with trio.fail_after(5):
            await handled.wait()


async def test_streams_of_a_listed_connection_go_on_at_once() -> None:
    swarm = some_swarm()
    connection = Connection(muxed_conn=SimpleNamespace(peer_id=PEER), is_closed=False)
    swarm.connections[PEER] = [connection]  # type: ignore[list-item]
    stream = stream_of(connection)
    with trio.fail_after(5):
        await swarm.notify_opened_stream(stream)
    assert isinstance(stream._state_lock, FastLock)


async def test_a_stream_of_a_connection_that_has_ended_holds_up_nothing() -> None:
    """The connection's own tasks end only when all its streams are done with."""
    connection = Connection(muxed_conn=SimpleNamespace(peer_id=PEER), is_closed=True)
    with trio.fail_after(5):
        await some_swarm().notify_opened_stream(stream_of(connection))
