"""TCP for the host: a listener that owns its port, and the library's dialler.

py-libp2p 0.8.1: its TCP listener sets SO_REUSEPORT, so that a second peer on the same port starts without an error
and the kernel deals connections to either of them; and it serves from a system task outside every nursery. This
listener binds the port for itself and serves from the swarm's own nursery.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence

import trio
from libp2p.abc import IListener
from libp2p.custom_types import THandler
from libp2p.io.trio import TrioTCPStream
from libp2p.transport.tcp.tcp import TCP
from libp2p.utils.multiaddr_utils import extract_ip_from_multiaddr, multiaddr_from_socket
from multiaddr import Multiaddr  # type: ignore[import-untyped]  # the package ships no types

log = logging.getLogger(__name__)


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
            await self._handler(TrioTCPStream(stream))
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
    """The library's TCP transport with our listener. `refusal` says why the last listening failed."""

    refusal = ""

    def create_listener(self, handler_function: THandler) -> IListener:  # type: ignore[override]
        return Listener(handler_function, self._refuse)

    def _refuse(self, why: str) -> None:
        self.refusal = why
