"""A peer in its own process, to be frozen and killed: `python -m tests.p2p.remote <name> <port> [address to dial]`.

Prints one JSON line when it is ready and one for each broadcast it hears; broadcasts a tick ten times a second.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from betar_tui.p2p.opening import open_network
from betar_tui.p2p.types import ReceivedBroadcast
from tests.p2p.peers import PATIENT, Shelf, config


async def run(name: str, port: str, address: str) -> None:
    listen = (f"/ip4/127.0.0.1/tcp/{port}",)
    async with (
        open_network(config(name, listen=listen, timing=PATIENT), Shelf()) as network,
        trio.open_nursery() as nursery,
    ):
        say({"event": "ready", "addrs": network.addrs, "peer": network.peer_id})
        if address:
            await network.connect(address)

        async def tick() -> None:
            number = 0
            while True:
                number += 1
                await network.broadcast(f"tick {number} of {name}".encode())
                await trio.sleep(0.1)

        nursery.start_soon(tick)
        async for event in network.events:
            if isinstance(event, ReceivedBroadcast):
                say({"event": "heard", "payload": event.payload.decode()})


def say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


class Remote:
    """A running process of this module, seen from the test."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.ready = trio.Event()
        self.address = ""
        self.peer = ""
        self.heard: list[str] = []

    async def follow(self) -> None:
        assert self.process.stdout is not None
        buffer = b""
        async for data in self.process.stdout:
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                value = json.loads(line)
                if value["event"] == "ready":
                    self.address, self.peer = value["addrs"][0], value["peer"]
                    self.ready.set()
                else:
                    self.heard.append(value["payload"])

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def remote(name: str, port: int = 0, dial: str = "") -> AsyncIterator[Remote]:
    """A remote peer; it is killed at the end of the block, frozen or not."""
    command = [sys.executable, "-m", "tests.p2p.remote", name, str(port), dial]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    one = Remote(process)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.follow)
        try:
            with trio.fail_after(20):
                await one.ready.wait()
            yield one
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(run, *sys.argv[1:4])
