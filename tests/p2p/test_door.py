"""Connections that nobody needs and sockets that say nothing keep no honest peer out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import pytest
import trio
import trio.testing
from libp2p.network.exceptions import SwarmException
from multiaddr import Multiaddr

from betar_tui.errors import NetworkError
from betar_tui.p2p import door, places
from betar_tui.p2p.adaptations.services import start_service
from betar_tui.p2p.addresses import peer_id
from betar_tui.p2p.host import build_host
from betar_tui.p2p.misbehaviour import Ban
from betar_tui.p2p.places import Refusal
from tests.p2p.peers import PATIENT, QUICK, Peer, config, peer, until

PLACES = 16


@asynccontextmanager
async def sockets(target: Peer, number: int) -> AsyncIterator[list[trio.SocketStream]]:
    """TCP connections over which nothing is said."""
    port = int(target.network.addrs[0].split("/")[4])
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port)) for _ in range(number)]


@asynccontextmanager
async def idlers(target: Peer, number: int) -> AsyncIterator[None]:
    """Peers that connect, and do nothing else. Those that are turned away do not matter."""
    address = Multiaddr(target.network.addrs[0].partition("/p2p/")[0])
    async with trio.open_nursery() as nursery:
        for index in range(number):
            host = build_host(config(f"idler {index}"))
            host.contain(lambda peer, reason: None, 8)
            await start_service(nursery, host.get_network(), lambda task, error: None)
            with trio.move_on_after(20), suppress(SwarmException):
                await host.get_network().dial_addr(address, peer_id(target.id))
        yield
        nursery.cancel_scope.cancel()


async def ends(socket: trio.SocketStream) -> None:
    """Read until the other end closes."""
    with trio.fail_after(20), suppress(trio.BrokenResourceError):
        while await socket.receive_some(1000):
            pass


async def joins(one: Peer, other: Peer) -> None:
    """Connect, again and again if need be, until both are on the topic."""
    while other.id not in one.network.topic_peers():
        try:
            await one.network.connect(other.network.addrs[0])
            with trio.move_on_after(2):
                await until(lambda: other.id in one.network.topic_peers())
        except NetworkError:
            await trio.sleep(0.1)


async def test_hundreds_of_silent_sockets_keep_nobody_out() -> None:
    async with peer("alice") as alice, peer("bob") as bob, sockets(alice, 300):
        await until(lambda: alice.network._swarm.door.half_open == 300)
        with trio.fail_after(20):
            await joins(bob, alice)
        assert alice.network._swarm.door.half_open == 300


async def test_beyond_the_limit_silent_sockets_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MIN_HALF_OPEN", 0.0)
    async with peer("alice") as alice, peer("bob") as bob:
        alice.network._swarm.door._half_open = places.HalfOpen(maximum=20, per_ip=16)
        async with sockets(alice, 40) as silent:
            await until(lambda: alice.network._swarm.door.half_open == 16)
            await ends(silent[0])
            with trio.fail_after(20):
                await joins(bob, alice)


async def test_a_handshake_ends_after_its_time() -> None:
    timing = replace(QUICK, handshake_timeout=0.3)
    async with peer("alice", timing=timing) as alice, sockets(alice, 3) as silent:
        for each in silent:
            await ends(each)
        assert alice.network._swarm.door.half_open == 0


async def test_idle_connections_give_way_to_a_peer_of_the_market(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "GRACE", 0.0)
    alices = peer("alice", max_connections=PLACES, timing=PATIENT)
    async with alices as alice, peer("dora", timing=PATIENT) as dora:
        await joins(dora, alice)
        await dora.network.broadcast(b"useful")
        async with idlers(alice, 2 * PLACES), peer("bob", timing=PATIENT) as bob:
            swarm = alice.network._swarm
            await until(lambda: len(swarm.get_connections()) >= places.limits_of("127.0.0.1", PLACES))
            with trio.fail_after(20):
                await joins(bob, alice)
            assert len(swarm.get_connections()) <= PLACES
            assert dora.id in alice.network.topic_peers()


async def test_while_all_are_new_a_further_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "GRACE", 1000.0)  # on a busy machine the first are soon not new
    async with peer("alice", max_connections=PLACES, timing=PATIENT) as alice, idlers(alice, PLACES + 4):
        swarm = alice.network._swarm
        assert len(swarm.get_connections()) <= places.limits_of("127.0.0.1", PLACES)
        assert swarm.door.refused > 0


async def test_handshakes_of_one_address_wait_and_others_do_not(autojump_clock: trio.testing.MockClock) -> None:
    gate, done = door.Door(100), list[tuple[str, float]]()

    async def shake(ip: str) -> None:
        await gate.turn(ip)
        done.append((ip, trio.current_time()))

    async with trio.open_nursery() as nursery:
        start = trio.current_time()
        for _ in range(400):
            nursery.start_soon(shake, "127.0.0.1")
        await trio.sleep(1.0)
        nursery.start_soon(shake, "127.0.0.2")
    many = [at - start for ip, at in done if ip == "127.0.0.1"]
    assert len(many) == 400
    assert 2.0 < max(many) < 12.0
    (one,) = [at - start for ip, at in done if ip == "127.0.0.2"]
    assert one < 1.1


async def test_a_banned_address_gets_no_handshake() -> None:
    async with peer("alice") as alice:
        alice.network._swarm.door.barred = lambda ip: ip == "127.0.0.1"
        async with sockets(alice, 1) as (only,):
            await ends(only)
        with pytest.raises(Refusal):
            alice.network._swarm.door.enter("127.0.0.1")


async def test_bans_of_an_earlier_run_are_in_force() -> None:
    async with peer("bob") as bob, peer("alice", bans=(Ban(bob.id, 4e9, 3e9),)) as alice:
        assert alice.network.bans() == (Ban(bob.id, 4e9, 3e9),)
        with trio.move_on_after(3):
            await joins(bob, alice)
        assert bob.id not in alice.network.topic_peers()
        await joins(alice, bob)  # a person asks for it
        assert alice.network.bans() == ()
        assert alice.network.bans_changed.is_set()


async def test_a_turn_that_is_given_up_leaves_nothing_behind(autojump_clock: trio.testing.MockClock) -> None:
    gate, done = door.Door(100), list[str]()

    async def shake(ip: str, patience: float) -> None:
        with trio.move_on_after(patience):
            await gate.turn(ip)
            done.append(ip)

    async with trio.open_nursery() as nursery:
        for _ in range(200):
            await gate.turn("127.0.0.1")
        for number in range(9):
            nursery.start_soon(shake, f"127.0.0.{number % 3}", 0.0001 * number)
    assert gate._queues == {}
    await shake("127.0.0.2", 10)
    assert done[-1] == "127.0.0.2"


async def test_all_addresses_of_one_customer_wait_together(autojump_clock: trio.testing.MockClock) -> None:
    gate = door.Door(100)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(400):
            nursery.start_soon(gate.turn, f"2a00:1450:4001:80{number % 16:x}::{number:x}")
    assert trio.current_time() - start > 2.0
    for number in range(places.MAX_HALF_OPEN_PER_IP):
        gate.enter(f"2a00:1450:4001:80{number % 16:x}::{number:x}")
    with pytest.raises(Refusal):
        gate.enter("2a00:1450:4001:80f::ffff")
    gate.enter("2a00:1450:4001:900::1")


async def test_a_peer_that_has_left_is_not_remembered_as_useful() -> None:
    async with peer("alice") as alice, peer("bob") as bob:
        alice.network.address_book.dismiss(bob.id)
        await joins(bob, alice)
        await bob.network.broadcast(b"useful")
        await until(lambda: alice.network._useful == {bob.id})
        await bob.network.disconnect(alice.id)
        await until(lambda: not alice.network.connections())
        alice.network._delivered(bob.id, bob.id, b"late", 4, False)
        assert alice.network._useful == set()
