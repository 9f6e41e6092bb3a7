"""A machine that moves or loses its cable, without any discovery: the peers have what they remember, and no more."""

from pathlib import Path

from betar_tui.market.marketplace import ListingDraft
from tests.namespaces import Lan
from tests.peers.harness import Served, eventually, level, served

ANY = ("/ip4/0.0.0.0/tcp/4001",)
SECONDS = 15.0
"""Longest time until both are level again, from the change on."""


async def test_a_machine_loses_its_cable_and_then_moves(lan: Lan, tmp_path: Path) -> None:
    """It was dialled: that it finds the other again, it owes to what it has learnt by identify."""
    here, there = await lan.machine("10.1.0.1/24"), await lan.machine("10.1.0.2/24")
    async with (
        served(tmp_path / "one", listen=ANY, inside=here.command()) as one,
        served(tmp_path / "other", listen=ANY, inside=there.command()) as other,
    ):
        await other.market.connect(f"/ip4/10.1.0.1/tcp/4001/p2p/{one.peer_id}")
        await level(one, other, "before", within=SECONDS)

        (before,) = await other.market.peers()
        await here.add("eth0", "10.2.0.1/24")
        await eventually(lambda: _listens(other, "10.1.0.1", "10.2.0.1"), what="a further address is known")
        assert (await other.market.peers())[0].connected_since == before.connected_since
        await here.remove("eth0", "10.2.0.1/24")

        await here.unplug()
        await eventually(lambda: _alone(other), what="the silence is noticed by use", within=SECONDS)
        await other.market.publish([ListingDraft("meanwhile", 1)])
        await here.plug()
        await level(one, other, "plugged in", within=SECONDS)

        await here.unplug()
        await here.remove("eth0", "10.1.0.1/24")
        await here.add("eth0", "10.1.0.77/24")
        await here.plug()
        await level(one, other, "moved", within=SECONDS)
        await eventually(lambda: _listens(other, "10.1.0.77"), what="the new address is known")


async def _alone(peer: Served) -> bool:
    return not await peer.market.peers()


async def _listens(peer: Served, *hosts: str) -> bool:
    """Whether the only connected peer listens on these hosts, and nowhere else that others can reach."""
    (found,) = await peer.market.peers()
    return {each.split("/")[2] for each in found.addrs} - {"127.0.0.1"} == set(hosts)
