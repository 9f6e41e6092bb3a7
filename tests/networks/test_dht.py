"""Peers on networks that share no link find each other through a server of the DHT."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from tests.interop.driver import GoPeer, open_gopeer
from tests.namespaces import Lan, Machine, ip_packets, open_lan
from tests.peers.harness import Served, eventually, served

ANY = ("/ip4/0.0.0.0/tcp/0",)
ABSENT = "12D3KooWPnmAARxjFHdAxwtj8Jses8UvEDpfGBQqou22Qejk3DJp"
WITHIN = 20.0
"""Seconds in which two peers must have found each other."""


@dataclass(frozen=True, slots=True)
class Networks:
    """Two links, a machine on each, and one on both that routes between them."""

    west: Machine
    middle: Machine
    east: Machine


@pytest.fixture
async def networks(lan: Lan) -> AsyncIterator[Networks]:
    """See `Networks`. No multicast passes from one link to the other."""
    async with open_lan() as other:
        west, middle, east = await lan.machine("10.1.0.2/24"), await lan.machine("10.1.0.1/24"), await other.machine()
        await middle.attach(other, "10.2.0.1/24")
        await east.attach(other, "10.2.0.2/24")
        await middle.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        await west.run("ip", "route", "add", "default", "via", "10.1.0.1")
        await east.run("ip", "route", "add", "default", "via", "10.2.0.1")
        yield Networks(west, middle, east)


@asynccontextmanager
async def ours(directory: Path, machine: Machine, *options: str) -> AsyncIterator[Served]:
    """A peer of ours that looks for others in the DHT."""
    async with served(directory, "--dht", *options, listen=ANY, inside=machine.command()) as peer:
        yield peer


async def addresses(peer: Served) -> tuple[str, ...]:
    """Where a peer of ours listens."""
    return (await peer.market.status()).addrs


async def sees(peer: Served, other: str) -> bool:
    """Whether `other` is connected and on the topic."""
    return any(each.peer_id == other and each.on_topic for each in await peer.market.peers())


def on(addrs: tuple[str, ...], ip: str) -> str:
    """The address of a machine's peer on one of its links."""
    return next(each for each in addrs if f"/{ip}/" in each)


async def test_ours_and_go_meet_at_a_go_server(
    networks: Networks, gopeer_binary: Path, nursery: trio.Nursery, tmp_path: Path
) -> None:
    async with (
        open_gopeer(
            nursery, binary=gopeer_binary, listen=ANY, dht="server", inside=networks.middle.command()
        ) as server,
        ours(tmp_path, networks.west, "--bootstrap", on(server.addrs, "10.1.0.1")) as one,
        go(nursery, gopeer_binary, networks.east, on(server.addrs, "10.2.0.1")) as other,
    ):
        await eventually(lambda: sees(one, other.peer_id), within=WITHIN)
        found = {each.peer_id: each.found for each in await one.market.peers()}
        assert found == {server.peer_id: "bootstrap", other.peer_id: "dht"}
        await other.topic_peers(one.peer_id)


async def test_ours_and_go_meet_at_a_server_of_ours(
    networks: Networks, gopeer_binary: Path, nursery: trio.Nursery, tmp_path: Path
) -> None:
    async with ours(tmp_path / "server", networks.middle, "--dht-server") as server:
        addrs = await addresses(server)
        async with (
            ours(tmp_path / "west", networks.west, "--bootstrap", on(addrs, "10.1.0.1")) as one,
            ours(tmp_path / "east", networks.east, "--bootstrap", on(addrs, "10.2.0.1")) as other,
        ):
            await eventually(lambda: sees(one, other.peer_id), within=WITHIN)
            await eventually(lambda: sees(other, one.peer_id), within=WITHIN)
            async with go(nursery, gopeer_binary, networks.east, on(addrs, "10.2.0.1")) as late:
                await eventually(lambda: sees(one, late.peer_id), within=WITHIN)


async def test_without_dht_nothing_is_sent(lan: Lan, tmp_path: Path) -> None:
    """With it and without bootstrap peers, the public ones are dialled; here nobody carries the packets any further."""
    quiet, asking, router = [await lan.machine(f"10.1.0.{number}/24") for number in (2, 3, 1)]
    for machine in (quiet, asking):
        await machine.run("ip", "route", "add", "default", "via", "10.1.0.1")
    assert "10.1.0.1" in await router.run("ip", "address")
    async with (
        lan.capture() as frames,
        served(tmp_path / "quiet", listen=ANY, inside=quiet.command()),
        ours(tmp_path / "asking", asking),
    ):
        await eventually(lambda: "10.1.0.3 > 104.131.131.82" in ip_packets(frames, "10.1.0.3"))
    assert ip_packets(frames, "10.1.0.2") == []


@asynccontextmanager
async def go(nursery: trio.Nursery, binary: Path, machine: Machine, bootstrap: str) -> AsyncIterator[GoPeer]:
    """A Go peer as betar runs it: it provides itself and never searches.

    It provides itself at once only if a server is in its routing table by then, for which go-libp2p asks that server
    something first; otherwise it tries again after two minutes. Its second bootstrap peer, which is not there, gives it
    the time."""
    absent = f"/ip4/10.2.0.99/tcp/4001/p2p/{ABSENT}"
    async with open_gopeer(
        nursery, binary=binary, listen=ANY, dht="auto", bootstrap=[bootstrap, absent], inside=machine.command()
    ) as peer:
        yield peer
