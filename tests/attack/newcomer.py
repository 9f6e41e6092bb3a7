"""An honest peer that wants to join the market of an attacked one."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trio

from betar_tui.errors import BetarError
from tests.peers.harness import Served, served
from tests.proxy import port_of

_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Seconds until a newcomer was connected, and until it showed a listing that it came for; None for never."""

    connected: float | None
    synced: float | None


async def arrive(directory: Path, host: Served, listing: str, source: str, patience: float) -> Arrival:
    """Start a peer, dial `host`, again and again until it lets it in, and wait for the listing.

    `source` is the address to dial from, "" the usual one. What is not there after `patience` seconds is None."""
    connected = synced = None
    async with _from(source, host.address) as address, served(directory) as newcomer:
        began = time.monotonic()
        with trio.move_on_after(patience):
            while connected is None:
                with suppress(BetarError):
                    await newcomer.market.connect(address)
                    connected = time.monotonic() - began
                await trio.sleep(0.05)
            while synced is None:
                with suppress(BetarError):
                    await newcomer.market.show(listing)
                    synced = time.monotonic() - began
                await trio.sleep(0.05)
    return Arrival(connected, synced)


@asynccontextmanager
async def _from(source: str, target: str) -> AsyncIterator[str]:
    """An address that leads to `target` with connections from `source`: the dialler of a peer binds no address itself."""
    if not source:
        yield target
        return

    async def relay(dialler: trio.SocketStream) -> None:
        inner = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        await inner.bind((source, 0))
        await inner.connect(("127.0.0.1", port_of(target)))
        async with trio.SocketStream(inner) as stream, trio.open_nursery() as nursery:
            nursery.start_soon(_carry, dialler, stream, nursery.cancel_scope)
            nursery.start_soon(_carry, stream, dialler, nursery.cancel_scope)

    async def contained(dialler: trio.SocketStream) -> None:
        with suppress(*_BROKEN):
            await relay(dialler)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, contained, listeners)
        yield f"/ip4/127.0.0.1/tcp/{listeners[0].socket.getsockname()[1]}/p2p/{target.rpartition('/p2p/')[2]}"
        nursery.cancel_scope.cancel()


async def _carry(source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope) -> None:
    """Carry one direction; the end of either ends both."""
    with suppress(*_BROKEN):
        async for data in source:
            await sink.send_all(data)
    scope.cancel()
