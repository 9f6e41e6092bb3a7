"""Peers that freeze, crash and come back: the table of zombie connections in docs/py-libp2p.md#connections."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace

import pytest
import trio
import trio.testing
from libp2p.abc import INetConn, INetwork
from multiaddr import Multiaddr

from betar_tui.errors import NetworkError
from betar_tui.p2p.adaptations.counting import CountingConnection
from betar_tui.p2p.adaptations.yamux import LiveYamux
from betar_tui.p2p.addresses import peer_id
from betar_tui.p2p.types import PeerDisconnected, PeerJoined, ReceivedBroadcast
from tests.p2p.peers import PATIENT, QUICK, Lived, Peer, lived, pair, peer, raw_stream, until
from tests.p2p.remote import Remote, remote

needs_signals = pytest.mark.skipif(os.name != "posix", reason="freezing a process needs SIGSTOP")


async def both_ways(one: Peer, other: Remote, word: str) -> float:
    """Wait until a fresh message went each way; seconds it took."""
    start = time.perf_counter()
    heard = len(one.of(ReceivedBroadcast))
    with trio.fail_after(15):
        while not (len(one.of(ReceivedBroadcast)) > heard and any(word in each for each in other.heard)):
            await one.network.broadcast(word.encode())
            await trio.sleep(0.05)
    return time.perf_counter() - start


@needs_signals
async def test_a_frozen_peer_is_noticed_and_found_again() -> None:
    async with peer("alice") as alice, remote("bob") as bob:
        await alice.network.connect(bob.address)
        await both_ways(alice, bob, "before")
        bob.freeze()
        async with lived() as so_far:
            await until(lambda: alice.of(PeerDisconnected))
        assert so_far.seconds < 3
        assert alice.network.topic_peers() == ()
        bob.thaw()
        print(f"frozen, then continued: {await both_ways(alice, bob, 'after'):.2f} s")


@needs_signals
async def test_silence_is_noticed_by_use() -> None:
    """The next ping would be due in half a minute."""
    used = replace(QUICK, ping_interval=30.0, silence=0.5, ping_timeout=12.0)
    async with peer("alice", timing=used) as alice, remote("bob") as bob:
        await alice.network.connect(bob.address)
        await both_ways(alice, bob, "before")
        bob.freeze()
        await alice.network.broadcast(b"to nobody")
        await until(lambda: alice.of(PeerDisconnected))


@needs_signals
async def test_a_slow_line_is_not_taken_for_a_dead_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as queued bytes keep being acknowledged at the other end, an answer may be behind them; but not for ever."""
    looks = 0

    def acknowledged(self: CountingConnection) -> tuple[int, int]:
        nonlocal looks
        looks += 1
        return looks, 1000

    slow = replace(QUICK, silence=0.2, probe_timeout=0.2, ping_timeout=1.0)
    async with peer("alice", timing=slow) as alice, remote("bob") as bob:
        await alice.network.connect(bob.address)
        await both_ways(alice, bob, "before")
        monkeypatch.setattr(CountingConnection, "acknowledged", acknowledged)
        bob.freeze()
        await until(lambda: looks > 6)  # two for each probe that failed
        assert alice.network.connections()
        await until(lambda: not alice.network.connections())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
async def test_the_system_tells_what_arrived() -> None:
    async with pair() as (alice, bob):
        muxed = alice.network._table.connections(bob.id)[0].muxed_conn
        assert isinstance(muxed, LiveYamux)
        before = muxed.counted.acknowledged()
        assert before is not None
        await alice.network.broadcast(bytes(1000))
        await until(lambda: (muxed.counted.acknowledged() or (0, 0)) >= (before[0] + 1000, 0))
        await until(lambda: (muxed.counted.acknowledged() or (0, 1))[1] == 0)


@needs_signals
async def test_a_probe_forgives_a_stall_of_this_process() -> None:
    """The answer comes while this process does something else, for longer than the probe may take."""
    patient = replace(QUICK, ping_interval=30.0, silence=30.0, ping_timeout=30.0)
    async with peer("alice", timing=patient) as alice, remote("bob") as bob, trio.open_nursery() as nursery:
        await alice.network.connect(bob.address)
        await both_ways(alice, bob, "before")
        muxed = alice.network._table.connections(bob.peer)[0].muxed_conn
        assert isinstance(muxed, LiveYamux)
        answered: list[bool] = []

        async def probe() -> None:
            answered.append(await muxed.probe(0.4))

        bob.freeze()
        await trio.sleep(0.1)
        nursery.start_soon(probe)
        await trio.testing.wait_all_tasks_blocked()
        bob.thaw()
        time.sleep(1)  # noqa: ASYNC251  # the stall
        await until(lambda: answered)
        assert answered == [True]


@needs_signals
async def test_after_a_sleep_dead_connections_end_at_once() -> None:
    slow = replace(QUICK, ping_interval=30.0, silence=30.0, ping_timeout=30.0)
    async with peer("alice", timing=slow) as alice, remote("bob") as bob, peer("carol") as carol:
        await alice.network.connect(bob.address)
        await carol.network.connect(alice.network.addrs[0])
        await both_ways(alice, bob, "before")
        bob.freeze()
        alice.network._recovery.woke()
        await until(lambda: [each.peer_id for each in alice.network.connections()] == [carol.id])
        await until(lambda: [event.peer for event in alice.of(PeerDisconnected)] == [bob.peer])


@needs_signals
async def test_a_frozen_peer_does_not_hide_its_successor() -> None:
    """Frozen, and a new process with the same key dials us: as shipped neither direction ever works again."""
    slow = replace(
        QUICK, ping_interval=30.0, silence=30.0, ping_timeout=30.0
    )  # the pings alone would need half a minute
    async with peer("alice", timing=slow) as alice, remote("bob", dial=alice.network.addrs[0]) as old:
        await both_ways(alice, old, "before")
        old.freeze()
        async with remote("bob", dial=alice.network.addrs[0]) as new:
            print(f"frozen, replaced, dials us: {await both_ways(alice, new, 'after'):.2f} s")
            await until(lambda: len(alice.network._table.connections(new.peer)) == 1)


@needs_signals
async def test_a_frozen_peer_that_listens_elsewhere_can_be_dialled() -> None:
    """`host.connect` returns at once for a dead connection; the dialler probes it first."""
    slow = replace(QUICK, ping_interval=30.0, silence=30.0, ping_timeout=30.0)
    async with peer("alice", timing=slow) as alice, remote("bob") as old:
        await alice.network.connect(old.address)
        await both_ways(alice, old, "before")
        old.freeze()
        async with remote("bob") as new:
            await alice.network.connect(new.address)
            print(f"frozen, listens elsewhere: {await both_ways(alice, new, 'after'):.2f} s")


@needs_signals
async def test_a_killed_peer_comes_back_with_the_same_key() -> None:
    async with peer("alice", timing=PATIENT) as alice:
        async with remote("bob", dial=alice.network.addrs[0]) as old:
            await both_ways(alice, old, "before")
            await old.kill()
        async with remote("bob", dial=alice.network.addrs[0]) as new:
            print(f"killed and restarted: {await both_ways(alice, new, 'after'):.2f} s")
        assert [event.peer for event in alice.of(PeerJoined)] == [old.peer, old.peer]


@needs_signals
async def test_leaving_does_not_wait_for_a_frozen_peer() -> None:
    leaving = Lived()
    async with remote("bob") as bob, trio.open_nursery() as nursery:
        async with peer("alice") as alice:
            await alice.network.connect(bob.address)
            await both_ways(alice, bob, "before")
            bob.freeze()
            nursery.start_soon(leaving.count)
        assert leaving.seconds < 2
        nursery.cancel_scope.cancel()


async def test_pings_give_the_latency() -> None:
    async with pair() as (alice, bob):
        await until(lambda: alice.network.connections()[0].latency_ms is not None)
        latency = alice.network.connections()[0].latency_ms
        assert latency is not None
        assert 0 < latency < 200
        assert {each.direction for each in alice.network.connections() + bob.network.connections()} == {"in", "out"}


def watch_ends(one: Peer, reported: set[str]) -> None:
    """Note the peer's id when the library has notified its table of the end of a connection."""
    table = one.network._table
    original = table.disconnected

    async def disconnected(network: INetwork, conn: INetConn) -> None:
        await original(network, conn)
        reported.add(one.id)

    table.disconnected = disconnected  # type: ignore[method-assign]


async def test_a_second_connection_does_not_end_membership() -> None:
    """Both dial at once; when the first of two connections ends the peer stays on the topic, and is heard."""
    async with pair() as (alice, bob):
        first = alice.network._table.connections(bob.id)[0]
        reported: set[str] = set()
        for each in (alice, bob):
            watch_ends(each, reported)
        await alice.network._dialer._race(bob.id, bob.network.addrs)
        await until(lambda: len(bob.network._table.connections(alice.id)) == 2)
        assert isinstance(first.muxed_conn, LiveYamux)
        await first.muxed_conn.kill()
        await until(lambda: len(alice.network._table.connections(bob.id)) == 1)

        async def through() -> None:
            while not (alice.of(ReceivedBroadcast) and bob.of(ReceivedBroadcast)):
                await alice.network.broadcast(b"a")
                await bob.network.broadcast(b"b")
                await trio.sleep(0.05)

        with trio.fail_after(5):
            await through()
        # The library reports the end of a connection later than it happens.
        await until(lambda: reported == {alice.id, bob.id})
        for one, other in ((alice, bob), (bob, alice)):
            cid = other.shelf.put(b"and blocks come over the other connection to " + one.id.encode())
            await one.fetch([cid], other.id)
        assert alice.of(PeerDisconnected) == bob.of(PeerDisconnected) == []


async def test_every_accepted_connection_gives_its_slot_back() -> None:
    """As shipped a peer accepts `max_connections` connections in its whole life."""
    async with peer("alice", max_connections=4) as alice, peer("bob") as bob:
        alice.network.address_book.dismiss(bob.id)
        for _ in range(8):
            await bob.network.connect(alice.network.addrs[0])
            await bob.network.disconnect(alice.id)
            await until(lambda: not alice.network.connections())
        assert alice.network._swarm.door.half_open == 0


async def test_a_stream_to_a_peer_that_left_does_not_dial() -> None:
    async with pair() as (alice, bob):
        addrs = bob.network.addrs
        await alice.network.disconnect(bob.id)
        await until(lambda: not alice.network.connections())
        target = peer_id(bob.id)
        alice.network._host.get_peerstore().add_addrs(target, [Multiaddr(addrs[0].partition("/p2p/")[0])], 60)
        with pytest.raises(NetworkError):
            await raw_stream(alice, bob.id, "/ipfs/ping/1.0.0")
        assert not alice.network.connections()
