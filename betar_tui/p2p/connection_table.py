"""The connected peers: one record per peer, made when its first connection opens and dropped when its last one ends.

The table follows the swarm's notifications but trusts only its list of connections. py-libp2p 0.8.1: an old
connection's end may be notified after the new connection's start (docs/py-libp2p.md#connections)."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio
from libp2p.abc import INetConn, INetStream, INetwork, INotifee
from libp2p.network.swarm import Swarm
from libp2p.rcmgr import Direction
from multiaddr import Multiaddr

from betar_tui.p2p import addresses
from betar_tui.p2p.identify import IdentifyInfo
from betar_tui.p2p.liveness import latency_ms, traffic
from betar_tui.values import PeerInfo

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PeerRecord:
    """A connected peer. `direction` and `remote`, the address of the other end, are those of its oldest open connection."""

    peer: str
    since: float
    direction: str
    remote: tuple[str, ...]
    identify_info: IdentifyInfo | None = None
    reported: trio.Event = field(default_factory=trio.Event)  # the peer is identified, or will not be

    def addrs(self) -> tuple[str, ...]:
        """Dialable addresses: the one that worked, then those the peer listens on."""
        dialled = self.remote if self.direction == "out" else ()
        listening = self.identify_info.addrs if self.identify_info is not None else ()
        return addresses.with_peer(dialled + listening, self.peer)

    def worth_dialling(self) -> tuple[str, ...]:
        """Those of them that may lead to the peer from here, see `addresses.worth_dialling`."""
        dialled = self.remote if self.direction == "out" else ()
        return addresses.with_peer(dialled + addresses.worth_dialling(self.addrs(), self.remote), self.peer)


class ConnectionTable(INotifee):
    """The connected peers. Calls `opened` for each new connection, and `ended` after the last one of a peer.

    `found(peer)` is how a peer was found, "" where nobody looked for it; `counts(peer)` how many messages were refused of
    it, and its misbehaviours."""

    def __init__(
        self,
        swarm: Swarm,
        opened: Callable[[PeerRecord, INetConn], Awaitable[None]],
        ended: Callable[[PeerRecord], None],
        found: Callable[[str], str] = lambda peer: "",
        counts: Callable[[str], tuple[int, int]] = lambda peer: (0, 0),
    ) -> None:
        self._swarm = swarm
        self._opened = opened
        self._ended = ended
        self._found = found
        self._counts = counts
        self._records: dict[str, PeerRecord] = {}
        swarm.register_notifee(self)

    def count(self, left_out: Callable[[str], bool]) -> int:
        """Number of connected peers, without those that are to be left out."""
        return sum(not left_out(peer) for peer in self._records)

    def get(self, peer: str) -> PeerRecord | None:
        """The record of a connected peer."""
        return self._records.get(peer)

    def records(self) -> tuple[PeerRecord, ...]:
        """The records of all connected peers."""
        return tuple(self._records.values())

    def connections(self, peer: str) -> list[INetConn]:
        """The open connections to a peer, as the swarm lists them."""
        return [each for each in self._swarm.get_connections(addresses.peer_id(peer)) if not each.is_closed]

    def all(self, on_topic: Callable[[str], bool], left_out: Callable[[str], bool]) -> tuple[PeerInfo, ...]:
        """The connected peers, longest connected first, without those that are to be left out."""
        records = (record for record in self._records.values() if not left_out(record.peer))
        return tuple(self.describe(record, on_topic(record.peer)) for record in records)

    def describe(self, record: PeerRecord, on_topic: bool) -> PeerInfo:
        """A record as a `PeerInfo`."""
        connections = self.connections(record.peer)
        latencies = [latency for each in connections if (latency := latency_ms(each)) is not None]
        bytes_passed = [traffic(each) for each in connections]
        identify_info = record.identify_info or IdentifyInfo()
        refused, misbehaved = self._counts(record.peer)
        return PeerInfo(
            peer_id=record.peer,
            addrs=record.addrs() or record.remote,
            direction=record.direction,
            latency_ms=min(latencies, default=None),
            agent=identify_info.agent,
            protocols=identify_info.protocols,
            on_topic=on_topic,
            connected_since=record.since,
            bytes_in=sum(received for received, _ in bytes_passed),
            bytes_out=sum(sent for _, sent in bytes_passed),
            found=self._found(record.peer) or ("incoming" if record.direction == "in" else ""),
            refused=refused,
            misbehaved=misbehaved,
        )

    # INotifee

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        peer = str(conn.muxed_conn.peer_id)
        record = self._records.get(peer)
        if record is None:
            record = PeerRecord(peer, time.time(), _direction(conn), _remote(conn, peer))
            self._records[peer] = record
        await self._opened(record, conn)

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        peer = str(conn.muxed_conn.peer_id)
        record = self._records.get(peer)
        if record is None:
            return
        if left := self.connections(peer):
            record.direction, record.remote = _direction(left[0]), _remote(left[0], peer)
            return
        del self._records[peer]
        self._ended(record)

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        return

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        return

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        return

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        return


def _direction(conn: INetConn) -> str:
    return "out" if getattr(conn, "direction", None) == Direction.OUTBOUND else "in"


def _remote(conn: INetConn, peer: str) -> tuple[str, ...]:
    try:
        return addresses.with_peer((str(each) for each in conn.get_transport_addresses()), peer)
    except Exception as error:
        log.debug("no remote address of %s: %r", peer, error)
        return ()
