"""Connections that only the DHT needs.

A lookup asks peers that have nothing to do with the market. They are *strangers*: they are not redialled when they are
lost, are not reported as connected, and are closed when no lookup needs them any more. A stranger that joins the topic,
or that something else wants to keep dialling, is *adopted* and is an ordinary peer from then on."""

import time
from collections.abc import Awaitable, Callable, Collection, Iterable

import trio

from betar_tui.errors import NetworkError
from betar_tui.p2p.connection_table import ConnectionTable
from betar_tui.p2p.dialer import Dialer
from betar_tui.p2p.types import Stream

MAX_USELESS = 96
"""Maximum connected peers that are neither on the topic nor to be redialled, while this peer is a server of the DHT."""
GRACE = 30.0
"""Seconds that such a peer may stay in any case: it has just connected to ask something, or to join the topic."""


class Contacts:
    """The network as lookups see it: opens and closes their connections and streams.

    `close(peer)` closes every connection to a peer."""

    def __init__(
        self,
        dialer: Dialer,
        table: ConnectionTable,
        banned: Callable[[str], bool],
        open_stream: Callable[[str, str], Awaitable[Stream]],
        close: Callable[[str], Awaitable[None]],
        penalize: Callable[[str, str], None],
    ) -> None:
        self._dialer = dialer
        self._table = table
        self._banned = banned
        self._close = close
        self._strangers: set[str] = set()
        self._open_stream = open_stream
        self._penalize = penalize

    def is_stranger(self, peer: str) -> bool:
        """Whether a peer is, or is about to be, connected for the DHT alone."""
        return peer in self._strangers

    def is_dismissed(self, peer: str) -> bool:
        """Whether the user does not want to be connected to a peer."""
        return self._dialer.address_book.is_dismissed(peer)

    def found(self, peer: str) -> str:
        """How a connected peer was found, see `PeerInfo.found`."""
        return "dht" if peer in self._strangers else self._dialer.address_book.found(peer)

    def adopt(self, peer: str) -> bool:
        """A peer is wanted for itself. Returns whether it was a stranger."""
        if peer not in self._strangers:
            return False
        self._strangers.discard(peer)
        return True

    def ended(self, peer: str) -> None:
        """The last connection to a peer ended."""
        self._strangers.discard(peer)

    def remote(self, peer: str) -> tuple[str, ...]:
        """The address at the other end of a connected peer's first connection."""
        record = self._table.get(peer)
        return () if record is None else record.remote

    async def reach(self, peer: str, addrs: Collection[str]) -> None:
        """Be connected to a peer, as a stranger if it is not connected yet. Raises NetworkError."""
        if self._dialer.connected(peer):
            return
        if self._banned(peer):
            raise NetworkError(f"{peer} is banned for now")
        if self.is_dismissed(peer):
            raise NetworkError(f"{peer} is not to be dialled")
        if not self._dialer.address_book.addrs(peer):
            self._strangers.add(peer)
        try:
            await self._dialer.dial(peer, tuple(addrs))
        finally:
            if not self._dialer.connected(peer):
                self._strangers.discard(peer)

    async def open_stream(self, peer: str, protocol: str) -> Stream:
        """A stream to a connected peer. Raises NetworkError."""
        return await self._open_stream(peer, protocol)

    def penalize(self, peer: str, reason: str) -> None:
        """Count a misbehaviour."""
        self._penalize(peer, reason)

    async def release(self, keep: Collection[str] = ()) -> None:
        """Close the connections to strangers, except those in `keep`."""
        await self.leave(self._strangers.difference(keep))

    async def trim(self, on_topic: Collection[str]) -> None:
        """Close the connections beyond MAX_USELESS to peers that only ask us something, the longest connected first."""
        useless = [
            each
            for each in self._table.records()  # in the order in which they connected
            if each.peer not in on_topic
            and not self.is_stranger(each.peer)
            and not self._dialer.address_book.addrs(each.peer)
        ]
        over = useless[: max(0, len(useless) - MAX_USELESS)]
        now = time.time()
        await self.leave(each.peer for each in over if each.since < now - GRACE)

    async def leave(self, peers: Iterable[str]) -> None:
        """Close every connection to these peers."""
        async with trio.open_nursery() as nursery:
            for peer in list(peers):
                nursery.start_soon(self._close, peer)
