"""Peers on one link find each other without being told anything."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.interop.driver import GoPeer, open_gopeer
from tests.namespaces import Lan, Machine, ip_packets
from tests.peers.harness import Served, eventually, served

ANY = ("/ip4/0.0.0.0/tcp/0",)
WITHIN = 10.0
"""Seconds within which all are one mesh."""


async def test_smoke(lan: Lan, tmp_path: Path, nursery: trio.Nursery, gopeer_binary: Path) -> None:
    one, other, third = [await lan.machine(f"10.1.0.{i}/24") for i in (1, 2, 3)]
    async with (
        served(tmp_path / "a", "--mdns", listen=ANY, inside=one.command()) as a,
        served(tmp_path / "b", "--mdns", listen=ANY, inside=other.command()) as b,
        open_gopeer(nursery, binary=gopeer_binary, listen=ANY, mdns=True, inside=third.command()) as g,
    ):
        t = trio.current_time()
        await eventually(lambda: on_topic(a, b.peer_id, g.peer_id))
        print("a", trio.current_time() - t)
        await eventually(lambda: on_topic(b, a.peer_id, g.peer_id))
        print("b", trio.current_time() - t)
        await g.topic_peers(a.peer_id)
        await g.topic_peers(b.peer_id)
        print("g", trio.current_time() - t)
        print(await a.market.peers())
        print(a.log.read_text())


async def on_topic(peer: Served, *others: str) -> bool:
    there = {each.peer_id for each in await peer.market.peers() if each.on_topic}
    return there >= set(others)
