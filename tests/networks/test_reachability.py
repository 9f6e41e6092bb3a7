"""Peers on machines with public addresses learn whether they can be dialled, from each other and from Go."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from betar_tui.p2p.adaptations.libraries import can_map_ports
from tests.interop.driver import open_gopeer
from tests.namespaces import Lan
from tests.peers.harness import Served, eventually, served

PORT = "/tcp/4001"


async def verdict(one: Served) -> str:
    return (await one.market.status()).reachability.verdict


async def test_ours_and_go_dial_each_other_back(
    lan: Lan, gopeer_binary: Path, nursery: trio.Nursery, tmp_path: Path
) -> None:
    machine, another, hidden, gos = (
        await lan.machine("44.1.1.2/16"),
        await lan.machine("44.1.4.2/16"),
        await lan.machine("44.1.2.2/16", "10.0.0.2/32"),
        await lan.machine("44.1.3.2/16"),
    )
    go_listens = ("/ip4/0.0.0.0/tcp/4001",)
    async with (
        open_gopeer(nursery, binary=gopeer_binary, listen=go_listens, nat_service=True, inside=gos.command()) as go,
        served(tmp_path / "public", listen=(f"/ip4/0.0.0.0{PORT}",), inside=machine.command()) as public,
        served(tmp_path / "other", listen=(f"/ip4/0.0.0.0{PORT}",), inside=another.command()) as other,
    ):
        at_go = next(each for each in go.addrs if "/44.1.3.2/" in each)
        await public.market.connect(at_go)
        await public.market.connect(f"/ip4/44.1.4.2{PORT}/p2p/{other.peer_id}")
        await eventually(lambda: is_verdict(public, "public"))
        await go.dial_back(public.peer_id)
        # Its only port is at an address that nobody else has a route to.
        async with served(tmp_path / "hidden", listen=(f"/ip4/10.0.0.2{PORT}",), inside=hidden.command()) as private:
            at_public = f"/ip4/44.1.1.2{PORT}/p2p/{public.peer_id}"
            await private.market.connect(at_public)
            await private.market.connect(at_go)
            await eventually(lambda: is_verdict(private, "private"))
            found = (await private.market.status()).reachability
            assert found.observed == ("44.1.2.2",)
            published = await private.run("publish", "--name", "unreachable", "--price", "1")
            assert b"only peers on your own network can dial 10.0.0.2" in published.stderr
            assert published.stderr.count(b"\n") == 1
        await eventually(lambda: is_verdict(public, "public"))
        found = (await public.market.status()).reachability
        assert found.confirmed == (f"/ip4/44.1.1.2{PORT}",)
        published = await public.run("publish", "--name", "reachable", "--price", "1")
        assert published.stderr == b""


async def is_verdict(one: Served, expected: str) -> bool:
    return await verdict(one) == expected


@pytest.mark.skipif(
    not can_map_ports(), reason="miniupnpc, an extra, is not installed: it has no wheel for this Python"
)
async def test_a_port_is_forwarded_while_the_peer_runs(lan: Lan, tmp_path: Path) -> None:
    gateway, machine = await lan.machine("192.168.1.1/24"), await lan.machine("192.168.1.5/24")
    await machine.run("ip", "route", "add", "default", "via", "192.168.1.1")
    router = await trio.lowlevel.open_process(
        gateway.command(sys.executable, str(Path(__file__).with_name("router.py")), "192.168.1.1", "44.1.2.3"),
        stdout=subprocess.PIPE,
    )
    assert router.stdout is not None
    said = bytearray(await router.stdout.receive_some())
    try:
        async with served(tmp_path, "--upnp", listen=(f"/ip4/0.0.0.0{PORT}",), inside=machine.command()) as one:
            outside = f"/ip4/44.1.2.3{PORT}/p2p/{one.peer_id}"
            await eventually(lambda: advertises(one, outside))
            one.process.terminate()
            await one.process.wait()
        with trio.fail_after(5):
            while b"delete 4001\n" not in said:
                said += await router.stdout.receive_some()
        assert b"add 4001 TCP 192.168.1.5 4001 3600\n" in said
    finally:
        router.kill()
        await router.wait()
        await router.stdout.aclose()


async def advertises(one: Served, address: str) -> bool:
    return address in (await one.market.status()).addrs
