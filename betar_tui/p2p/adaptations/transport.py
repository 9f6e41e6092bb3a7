"""TCP for the host: a listener that owns its port, and the library's dialler, both over streams that read ahead.

py-libp2p 0.8.1: its TCP listener sets SO_REUSEPORT, so that a second peer on the same port starts without an error
and the kernel deals connections to either of them; and it serves from a system task outside every nursery. This
listener binds the port for itself and serves from the swarm's own nursery. The library also reads the socket twice for
each noise message, for its length and for its bytes (docs/py-libp2p.md#connections)."""

import logging
import os
from collections.abc import Callable, Sequence
from typing import cast

import trio
from libp2p.abc import IListener, IRawConnection
from libp2p.custom_types import THandler
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.transport.tcp.tcp import TCP
from libp2p.utils.multiaddr_utils import extract_ip_from_multiaddr, multiaddr_from_socket
from multiaddr import Multiaddr

from betar_tui.concurrency import FastLock

log = logging.getLogger(__name__)

READ_SIZE = 64 << 10
"""Maximum bytes to take from the socket at once."""


class ReadAhead(TrioTCPStream):
    """A TCP stream for one reader, which reads all available bytes and returns them piecewise."""

    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream)
        self.read_lock = cast(trio.Lock, FastLock())
        self.write_lock = cast(trio.Lock, FastLock())
        self._ahead, self._at = b"", 0

    async def read(self, n: int | None = None) -> bytes:
        """At most `n` bytes, b"" at the end."""
        if n == 0:
            return b""
        if self._at == len(self._ahead):
            await self.fill()
        end = len(self._ahead) if n is None else self._at + n
        return self._take(self._at, end)

    async def fill(self) -> None:
        """Wait for bytes, or the end; all before them must have been taken."""
        self._ahead, self._at = await super().read(READ_SIZE), 0

    def packet(self) -> bytes | None:
        """The bytes of a whole packet, with its length in two bytes before it, that is here already."""
        start = self._at + 2
        end = start + int.from_bytes(self._ahead[self._at : start])
        return self._take(start, end) if start <= len(self._ahead) >= end else None

    def _take(self, start: int, end: int) -> bytes:
        data = self._ahead[start:end]
        self._at = start + len(data)
        if self._at == len(self._ahead):
            self._ahead, self._at = b"", 0  # the buffer is not kept alive
        return data

    @property
    def is_empty(self) -> bool:
        """Whether nothing that was read is left."""
        return not self._ahead

    async def close(self) -> None:
        """Close, and drop the bytes that were read ahead."""
        self._ahead, self._at = b"", 0
        await super().close()


class Listener(IListener):
    """One listening address. `background_nursery` is set by the swarm before `listen` is called."""

    background_nursery: trio.Nursery

    def __init__(self, handler: THandler, refused: Callable[[str], None]) -> None:
        self._handler = handler
        self._refused = refused
        self._listeners: Sequence[trio.SocketListener] = ()
        self._scope = trio.CancelScope()

    async def listen(self, maddr: Multiaddr) -> None:
        """Bind and serve. Raises OSError, which the swarm turns into False; the reason goes to `refused`."""
        port = int(str(maddr.value_for_protocol("tcp")))
        try:
            self._listeners = await trio.open_tcp_listeners(port, host=extract_ip_from_multiaddr(maddr))
        except OSError as error:
            self._refused(os.strerror(error.errno) if error.errno else str(error))
            raise
        self.background_nursery.start_soon(self._serve)

    async def _serve(self) -> None:
        with self._scope:
            await trio.serve_listeners(self._connected, self._listeners)

    async def _connected(self, stream: trio.SocketStream) -> None:
        try:
            await self._handler(ReadAhead(stream))
        except Exception as error:
            log.debug("an incoming connection failed: %r", error)

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        """The bound addresses, with the real port."""
        return tuple(multiaddr_from_socket(listener.socket) for listener in self._listeners)

    async def close(self) -> None:
        """Stop serving and free the port."""
        self._scope.cancel()
        for listener in self._listeners:
            listener.socket.close()
        self._listeners = ()


class Transport(TCP):
    """The library's TCP transport with this listener. `refusal` says why the last listening failed."""

    refusal = ""

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        """See the library's. Raises OpenConnectionError."""
        connection = await super().dial(maddr)
        if isinstance(connection, RawConnection) and isinstance(connection.stream, TrioTCPStream):
            connection.stream = ReadAhead(connection.stream.stream)
        return connection

    def create_listener(self, handler_function: THandler) -> IListener:  # type: ignore[override]
        return Listener(handler_function, self._refuse)

    def _refuse(self, reason: str) -> None:
        self.refusal = reason
