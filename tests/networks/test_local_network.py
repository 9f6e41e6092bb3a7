"""Peers on one link find each other without being told anything."""

import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio

from betar_tui.market.marketplace import ListingDraft
from betar_tui.p2p.discovery.mdns_messages import LIBP2P, MARKET, Record, decode
from tests.interop.driver import wait_until
from tests.namespaces import Lan, ip_packets
from tests.networks.members import ANY, GoMember, Member, OurMember, one_mesh
from tests.peers.harness import Served, eventually, served

WITHIN = 10.0
"""Seconds within which all are one mesh, and show what each of them publishes."""
WITHIN_AFTER_MOVE = 15.0
"""The same after a machine's address changed."""
ANNOUNCED = 1.5
"""Seconds after which a peer has asked and announced itself."""
OF_THE_SYSTEM = ("224.0.0.22", "ff02::2", "ff02::16", "ff02::1:ff")
"""Where the system itself sends packets about groups and neighbours."""


@pytest.fixture
async def members(
    lan: Lan, tmp_path: Path, nursery: trio.Nursery, gopeer_binary: Path
) -> AsyncIterator[tuple[Member, ...]]:
    """Two of ours and one Go, each on a machine of its own, started with no option."""
    machines = [await lan.machine(f"10.1.0.{number}/24") for number in (1, 2, 3)]
    go = GoMember(machines[2], tmp_path / "go", binary=gopeer_binary, nursery=nursery)
    members = OurMember(machines[0], tmp_path / "a"), OurMember(machines[1], tmp_path / "b"), go
    try:
        async with trio.open_nursery() as starts:
            for each in members:
                starts.start_soon(each.start)
        yield members
    finally:
        with trio.CancelScope(shield=True):
            for each in members:
                await each.close()


async def test_all_are_one_mesh_whoever_was_stopped_or_killed(members: tuple[Member, ...]) -> None:
    await one_mesh(members, "start", WITHIN)
    for number, each in enumerate(members):
        for end in (each.stop, each.kill):
            await end()
            await each.start()
            await one_mesh(members, f"{end.__name__}{number}", WITHIN)


async def test_a_machine_whose_address_changes_is_found_again(members: tuple[Member, ...]) -> None:
    await one_mesh(members, "start", WITHIN)
    machine = members[0].machine
    await machine.unplug()
    await machine.remove("eth0", "10.1.0.1/24")
    await machine.add("eth0", "10.1.0.77/24")
    await machine.plug()
    await one_mesh(members, "moved", WITHIN_AFTER_MOVE)


async def test_a_machine_without_a_network_says_so_once_and_is_found_when_it_has_one(lan: Lan, tmp_path: Path) -> None:
    bare, other = await lan.machine(), await lan.machine("10.1.0.2/24")
    async with (
        served(tmp_path / "a", "--mdns", listen=ANY, inside=bare.command()) as a,
        served(tmp_path / "b", "--mdns", listen=ANY, inside=other.command()) as b,
    ):
        await eventually(lambda: "not looking for peers on the local network" in a.log.read_text())
        status = await a.market.status()
        assert any("carries multicast" in each and "--no-mdns" in each for each in status.troubles)
        await bare.attach(lan, "10.1.0.1/24")
        await wait_until(partial(_has, b, a), within=WITHIN)
        await wait_until(partial(_found_by_mdns, b), within=WITHIN)
        assert a.log.read_text().count("not looking for peers on the local network") == 1


@pytest.mark.parametrize("looking", [False, True])
async def test_nothing_leaves_a_machine_that_looks_for_nobody(lan: Lan, tmp_path: Path, looking: bool) -> None:
    machine = await lan.machine("10.1.0.1/24", "fd01::1/64")
    options = ("--no-dht", "--mdns" if looking else "--no-mdns")
    async with lan.capture() as frames, served(tmp_path / "a", *options, listen=ANY, inside=machine.command()) as ours:
        await ours.market.publish([ListingDraft("alone", 1)])
        await trio.sleep(ANNOUNCED)
        ours.process.terminate()
        await ours.process.wait()
    targets = {packet.split(" > ")[1] for packet in ip_packets(frames)}
    sent = {target for target in targets if not target.startswith(OF_THE_SYSTEM)}
    assert sent == ({"224.0.0.251", "ff02::fb"} if looking else set())
    goodbyes = [record for frame in frames for record in records_in(frame) if record.gone]
    assert {record.service for record in goodbyes} == ({LIBP2P, MARKET} if looking else set())


def records_in(frame: bytes) -> tuple[Record, ...]:
    """The instances that an Ethernet frame describes, if it is mDNS over IPv4."""
    header = bytes.fromhex("0800"), bytes([17]), bytes.fromhex("14e914e9")
    if (frame[12:14], frame[23:24], frame[34:38]) != header:
        return ()
    return decode(frame[42:]).records


STRANGER = """
import base58, os, socket, time
from zeroconf import DNSOutgoing, DNSText
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.1.0.3"))
for number in range(10_000):
    peer = base58.b58encode(bytes.fromhex("002408011220") + os.urandom(32)).decode()
    strings = [f"dnsaddr=/ip4/10.1.0.3/tcp/{port}/p2p/{peer}".encode() for port in range(5000, 5008)]
    out = DNSOutgoing(0x8400)
    text = b"".join(bytes([len(each)]) + each for each in strings)
    out.add_answer_at_time(DNSText(f"stranger{number}.betar-mdns.local.", 16, 1, 3200, text), 0)
    s.sendto(out.packets()[0], ("224.0.0.251", 5353))
    if number == 1000:
        print("many", flush=True)
    time.sleep(0.001)
"""


async def test_peers_that_a_stranger_invents_cause_few_dials(lan: Lan, tmp_path: Path) -> None:
    """And one that is honest is found while the stranger goes on."""
    one, other, stranger = [await lan.machine(f"10.1.0.{number}/24") for number in (1, 2, 3)]
    async with served(tmp_path / "a", "--mdns", listen=ANY, inside=one.command()) as a, lan.capture() as frames:
        process = await trio.lowlevel.open_process(
            stranger.command(sys.executable, "-c", STRANGER), stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert await process.stdout.receive_some()
            async with served(tmp_path / "b", "--mdns", listen=ANY, inside=other.command()) as b:
                await wait_until(partial(_has, a, b), within=WITHIN)
                assert process.returncode is None
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
    dials = ip_packets(frames, "10.1.0.1").count("10.1.0.1 > 10.1.0.3")
    assert 0 < dials < 500, dials


async def _has(ours: Served, other: Served) -> bool:
    return any(each.peer_id == other.peer_id and each.on_topic for each in await ours.market.peers())


async def _found_by_mdns(ours: Served) -> bool:
    """Not at first, if the other one has dialled before."""
    return {each.found for each in await ours.market.peers()} == {"mdns"}
