"""The namespaces themselves: machines on one link see each other, and nothing else."""

import subprocess

import pytest

from tests.namespaces import Lan, ip_packets


async def test_machines_on_one_link_reach_each_other(lan: Lan) -> None:
    one, other = await lan.machine("10.1.0.1/24", "fd01::1/64"), await lan.machine("10.1.0.2/24", "fd01::2/64")
    for target in ("10.1.0.2", "fd01::2"):
        async with lan.capture() as frames:
            await one.run("sh", "-c", CONNECT.format(target=target))
        assert any(target in packet for packet in ip_packets(frames))
    await other.unplug()
    assert "state DOWN" in await other.run("ip", "link", "show", "eth0")


async def test_there_is_no_way_out(lan: Lan) -> None:
    machine = await lan.machine("10.1.0.1/24")
    assert "default" not in await machine.run("ip", "route")
    with pytest.raises(subprocess.CalledProcessError):
        await machine.run("ip", "route", "get", "198.51.100.1")


CONNECT = """python3 -c '
import socket
try:
    socket.create_connection(("{target}", 4001), 2)
except ConnectionRefusedError:
    pass
'"""
