"""The swarm: it does not dial, lets others in through a door, and lists a connection before it serves its streams."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast
from weakref import WeakKeyDictionary

import trio
from libp2p.abc import IMuxedConn, INetConn, INetStream
from libp2p.io.abc import ReadWriteCloser
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.net_stream import NetStream
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux.yamux import Yamux
from multiaddr import Multiaddr

from betar_tui.concurrency import FastLock
from betar_tui.p2p import addresses
from betar_tui.p2p.door import Door, Ticket
from betar_tui.p2p.places import Refusal, Seat, prefix_of

_ticket: ContextVar[Ticket | None] = ContextVar("ticket", default=None)


class NoConnector(AutoConnector):
    """Connects to no peer. py-libp2p 0.8.1: the library's connector dials every peer in the peerstore."""

    async def maybe_connect(self) -> None:
        return


class PeerSwarm(Swarm):
    """The swarm; see the module."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.door = Door(self.connection_config.max_connections)
        self.auto_connector = NoConnector(self)
        self._unlisted: WeakKeyDictionary[INetConn, trio.Event] = WeakKeyDictionary()
        self._ips: WeakKeyDictionary[IMuxedConn, str] = WeakKeyDictionary()

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

    async def _handle_inbound_connection(self, read_write_closer: ReadWriteCloser, maddr: Multiaddr) -> None:
        """A connection was accepted: shake hands, and stay until it ends.

        py-libp2p 0.8.1: one that only opens a socket takes a place of a connection, for as long as the whole host runs, and
        nothing ever gives way: a few hundred sockets keep every other peer out."""
        raw = RawConnection(read_write_closer, False)
        remote = raw.get_remote_address()
        ended: trio.Event | None = None
        try:
            ticket = self.door.enter(remote[0] if remote else "")
        except Refusal:
            await raw.close()
            return
        _ticket.set(ticket)
        try:
            with ticket.scope:
                muxed = await self.upgrade_inbound_raw_conn(raw, maddr)
                ended = muxed.event_closed if isinstance(muxed, Yamux) else None
        finally:
            self.door.leave(ticket)
            if ended is None:
                with trio.CancelScope(shield=True), trio.move_on_after(1):
                    await raw.close()
        if ended is not None:
            await ended.wait()

    async def add_conn(self, muxed_conn: IMuxedConn, direction: str = "unknown") -> SwarmConn:
        """List a connection. One that was accepted needs a place. Raises SwarmException."""
        ticket = _ticket.get()
        if ticket is None or direction != "inbound":
            return await super().add_conn(muxed_conn, direction)
        self.door.leave(ticket)
        try:
            async with self.door.place(ticket, str(muxed_conn.peer_id)):
                self._ips[muxed_conn] = ticket.ip
                return await super().add_conn(muxed_conn, direction)
        except Refusal:
            await muxed_conn.close()
            raise SwarmException("no place is free") from None

    def ip_of(self, peer: ID) -> str:
        """The address that a connected peer came from; "" for one that was dialled."""
        ips = (self._ips.get(each.muxed_conn, "") for each in self.get_connections(peer))
        return next(filter(None, ips), "")

    def public_ip_of(self, peer: str) -> str:
        """The same of any text that names a peer; "" also for an address of no public network."""
        ip = self.ip_of(addresses.peer_id(peer)) if addresses.is_peer_id(peer) else ""
        return ip if prefix_of(ip) else ""

    def places(
        self, on_topic: Callable[[str], bool], useful: Callable[[str], bool], known: Callable[[str], bool]
    ) -> list[Seat]:
        """The connections as places. Those that this peer opened are kept."""
        offset = trio.current_time() - time.time()
        found = []
        for each in self.get_connections():
            ip, peer = self._ips.get(each.muxed_conn, ""), str(each.muxed_conn.peer_id)
            since = offset + getattr(each, "_created_at", 0.0)
            if not each.is_closed:
                found.append(Seat(each, ip, since, on_topic(peer), useful(peer), not ip or known(peer)))
        return found
