"""Attacks on the places for connections: all from one address, refilled as they fall."""

from __future__ import annotations

import itertools
import os

import trio
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.pubsub.pb import rpc_pb2  # noqa: F401  # before multiaddr: libp2p's import order
from multiaddr import Multiaddr

from betar_tui.p2p import addresses
from betar_tui.p2p.adaptations.services import start_service
from betar_tui.p2p.host import build_host
from betar_tui.p2p.types import NetworkConfig
from tests.attack.attacker import Attacker
from tests.proxy import port_of

PLACES = 300


async def half_open(attacker: Attacker) -> None:
    """300 connections that never say a word of their handshake."""

    async def hold() -> None:
        while attacker.left > 0:
            try:
                async with await trio.open_tcp_stream("127.0.0.1", port_of(attacker.target)) as stream:
                    attacker.count(0)
                    while await stream.receive_some(4096):
                        pass
            except (OSError, trio.BrokenResourceError):
                pass
            await attacker.rest(0.2)

    async with trio.open_nursery() as nursery:
        for _ in range(PLACES):
            nursery.start_soon(hold)


async def idle(attacker: Attacker) -> None:
    """300 complete connections, each of a peer of its own, that do nothing."""
    dialling = trio.CapacityLimiter(6)
    failures = itertools.count()

    async def hold(nursery: trio.Nursery) -> None:
        while attacker.left > 0:
            try:
                await _complete(attacker, nursery, dialling)
            except Exception:
                next(failures)
            await attacker.rest(0.5)

    async with trio.open_nursery() as nursery:
        for _ in range(PLACES):
            nursery.start_soon(hold, nursery)
        await attacker.rest(attacker.seconds)
        nursery.cancel_scope.cancel()
    attacker.remarks.append(f"{next(failures)} dials failed")


async def _complete(attacker: Attacker, nursery: trio.Nursery, dialling: trio.CapacityLimiter) -> None:
    """One connection, until it ends."""
    host = build_host(NetworkConfig(seed=os.urandom(32), listen=()))
    host.contain(lambda peer, reason: None, 128)
    swarm = host.get_network()
    await start_service(nursery, swarm, lambda task, error: None)
    async with dialling:
        with trio.fail_after(8):
            connection = await swarm.dial_addr(Multiaddr(attacker.target), addresses.peer_id(attacker.victim))
    attacker.count(0)
    assert isinstance(connection, SwarmConn)
    try:
        await connection.event_closed.wait()
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(1):
            await swarm.close()
