"""A TCP proxy between two peers on loopback, for tests and benchmarks: it delays, counts, cuts and partitions.

Whoever dials `address` reaches the peer behind it under that peer's own id. What is read is stamped and passed on when
its time has come: a fixed one-way delay with everything in flight at once, so that bandwidth does not suffer. Opening
a connection costs its round trip too. Peers tell each other their true addresses: `bypassing` counts the connections
that go to the peer behind the proxy without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

CHUNK = 1 << 18
IN_FLIGHT = 64 << 20
"""Bytes a direction may hold before the sender is held back."""
_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)
_ESTABLISHED = "01"


class Proxy:
    """One proxied peer. Use `open_proxy` to make one. `to_target` and `from_target` count bytes delivered."""

    def __init__(self, target: str, delay: float) -> None:
        self.target = target
        self.delay = delay
        self.address = ""
        self.accepted = 0
        self.to_target = 0
        self.from_target = 0
        self.partitioned = False
        self._live: set[_Link] = set()
        self._moved = trio.Event()

    @property
    def live(self) -> int:
        """Connections that are open through the proxy."""
        return len(self._live)

    @property
    def port(self) -> int:
        return port_of(self.address)

    def bypassing(self) -> int:
        """Connections to the target's port that do not come from this proxy."""
        return connections_at(port_of(self.target)) - sum(1 for link in self._live if link.connected)

    def cut(self) -> None:
        """Close every connection at once, with what is in flight; new ones are welcome."""
        for link in list(self._live):
            link.scope.cancel()

    def partition(self) -> None:
        """Close every connection and refuse new ones until `heal`."""
        self.partitioned = True
        self.cut()

    def freeze(self) -> None:
        """Pass nothing on in either direction, though connections stay open, until `heal`."""
        for link in self._live:
            link.frozen = True

    def heal(self) -> None:
        """Let connections in again, and let frozen ones go on."""
        self.partitioned = False
        for link in self._live:
            link.thaw()

    async def delivered(self, from_target: int) -> None:
        """Wait until so many bytes of the target's have been delivered."""
        while self.from_target < from_target:
            await self._moved.wait()

    async def _serve(self, dialler: trio.SocketStream) -> None:
        if self.partitioned:
            return
        self.accepted += 1
        link = _Link()
        self._live.add(link)
        try:
            with link.scope, suppress(*_BROKEN):
                await self._connect(dialler, link)
        finally:
            self._live.discard(link)

    async def _connect(self, dialler: trio.SocketStream, link: _Link) -> None:
        opened = trio.current_time()
        await trio.sleep(self.delay)
        target = await trio.open_tcp_stream("127.0.0.1", port_of(self.target), happy_eyeballs_delay=10)
        link.connected = True
        for stream in (dialler, target):
            stream.setsockopt(6, 1, 1)  # TCP_NODELAY
        async with target, trio.open_nursery() as nursery:
            # The dialler hears of the connection after a round trip, and cannot have sent anything before.
            ready = opened + 2 * self.delay
            nursery.start_soon(self._pump, dialler, target, link, ready, self._count_up)
            nursery.start_soon(self._pump, target, dialler, link, 0.0, self._count_down)

    async def _pump(
        self,
        source: trio.SocketStream,
        sink: trio.SocketStream,
        link: _Link,
        ready: float,
        count: Callable[[int], None],
    ) -> None:
        """Carry one direction. When either end is broken, the whole connection ends; an end of file is passed on."""
        queue: deque[tuple[float, bytes]] = deque()
        held = 0
        filled, drained = trio.Event(), trio.Event()

        async def read() -> None:
            nonlocal filled, drained, held
            while True:
                data = await source.receive_some(CHUNK)
                queue.append((max(trio.current_time(), ready) + self.delay, bytes(data)))
                held += len(data)
                filled.set()
                if not data:
                    return
                while held > IN_FLIGHT:
                    drained = trio.Event()
                    await drained.wait()

        async def write() -> None:
            nonlocal filled, held
            while True:
                while not queue:
                    filled = trio.Event()
                    await filled.wait()
                due, data = queue.popleft()
                await trio.sleep_until(due)
                await link.thawed()
                if not data:
                    await sink.send_eof()
                    return
                await sink.send_all(data)
                held -= len(data)
                drained.set()
                count(len(data))

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                nursery.start_soon(write)
        except* _BROKEN:
            link.scope.cancel()

    def _count_up(self, size: int) -> None:
        self.to_target += size

    def _count_down(self, size: int) -> None:
        self.from_target += size
        self._moved.set()
        self._moved = trio.Event()


@dataclass(eq=False, slots=True)
class _Link:
    """One connection through the proxy."""

    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    connected: bool = False
    frozen: bool = False
    _thaw: trio.Event = field(default_factory=trio.Event)

    async def thawed(self) -> None:
        while self.frozen:
            await self._thaw.wait()

    def thaw(self) -> None:
        self.frozen = False
        self._thaw.set()
        self._thaw = trio.Event()


@asynccontextmanager
async def open_proxy(target: str, delay: float = 0.0) -> AsyncIterator[Proxy]:
    """A proxy in front of the peer at the multiaddr `target` (…/tcp/<port>/p2p/<id>); `delay` is one way, in seconds.
    `target` may be set anew when the peer comes back on another port."""
    proxy = Proxy(target, delay)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    proxy.address = f"/ip4/127.0.0.1/tcp/{port}/p2p/{target.rpartition('/p2p/')[2]}"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, proxy._serve, listeners)
        try:
            yield proxy
        finally:
            nursery.cancel_scope.cancel()


def port_of(address: str) -> int:
    """The TCP port in a multiaddr."""
    return int(address.split("/tcp/")[1].split("/")[0])


def connections_at(port: int) -> int:
    """Established connections whose near end is this port, that is, which somebody dialled to it (Linux)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = (line.split() for line in lines)
    return sum(1 for row in rows if int(row[1].rpartition(":")[2], 16) == port and row[3] == _ESTABLISHED)
