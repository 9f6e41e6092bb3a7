"""The swarm: it does not dial by itself, frees inbound slots, and lists a connection before it serves its streams."""

from typing import Any, cast
from weakref import WeakKeyDictionary

import trio
from libp2p.abc import INetConn, INetStream, IRawConnection
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.net_stream import NetStream
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux.yamux import Yamux
from multiaddr import Multiaddr

from betar_tui.concurrency import FastLock


class NoConnector(AutoConnector):
    """Connects to no peer. py-libp2p 0.8.1: the library's connector dials every peer in the peerstore."""

    async def maybe_connect(self) -> None:
        return


class PeerSwarm(Swarm):
    """The swarm; see the module."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.auto_connector = NoConnector(self)
        self._unlisted: WeakKeyDictionary[INetConn, trio.Event] = WeakKeyDictionary()

    async def dial_peer(self, peer_id: ID) -> list[INetConn]:
        """Never dials: only returns live connections. Raises SwarmException when there is none.

        py-libp2p 0.8.1: opening a stream to a peer that has just gone dials it, with a 250 ms head start, at most two
        of its addresses, loopback left out, and a 60 s ban after a failure (docs/py-libp2p.md#connections)."""
        alive = [connection for connection in self.get_connections(peer_id) if not connection.is_closed]
        if not alive:
            raise SwarmException(f"not connected to {peer_id}")
        return alive

    async def notify_opened_stream(self, stream: INetStream) -> None:
        """A stream has been opened and is not used yet; an inbound one is handled when this returns.

        py-libp2p 0.8.1: a connection accepts streams before the swarm lists it, so that a peer's first requests seem to
        come from an unknown peer and are lost. And each listener is notified in a task of its own of the start and of
        the end of every stream, one for each block from a Go peer; no listener does anything then."""
        if isinstance(stream, NetStream):
            stream._state_lock = cast(trio.Lock, FastLock())
            connection = stream.swarm_conn
            # A closed connection is not listed any more, so nothing would wake a task that waits for it.
            if connection is None or connection.is_closed:
                return
            if connection not in self.connections.get(connection.muxed_conn.peer_id, ()):
                await self._unlisted.setdefault(connection, trio.Event()).wait()

    async def notify_connected(self, conn: INetConn) -> None:
        self._release(conn)
        await super().notify_connected(conn)

    def remove_conn(self, swarm_conn: SwarmConn) -> None:
        """Forget a connection. Streams that wait for it to be listed wait no longer."""
        self._release(swarm_conn)
        super().remove_conn(swarm_conn)

    def _release(self, connection: INetConn) -> None:
        if (event := self._unlisted.pop(connection, None)) is not None:
            event.set()

    async def _notify(self, method: str, *args: Any) -> None:
        if method != "closed_stream":  # see `notify_opened_stream`
            await super()._notify(method, *args)

    async def upgrade_inbound_raw_conn(self, raw_conn: IRawConnection, maddr: Multiaddr) -> Any:
        """Upgrade, then stay until the connection ends.

        py-libp2p 0.8.1: the slot of an accepted connection is given back only when the whole host stops; after
        `max_connections` connections in its life a peer accepts no more. Raising when it ends gives the slot back."""
        muxed = await super().upgrade_inbound_raw_conn(raw_conn, maddr)
        if isinstance(muxed, Yamux):
            await muxed.event_closed.wait()
            raise SwarmException("the connection has ended")
        return muxed
