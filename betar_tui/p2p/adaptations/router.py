"""The router of the topic: py-libp2p's GossipSub with its surprises switched off and its bookkeeping bounded."""

from collections.abc import Callable, Iterable
from typing import cast

from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from betar_tui.concurrency import until_tick
from betar_tui.p2p.adaptations.control import BoundedControl
from betar_tui.p2p.adaptations.send_queue import push_frame
from betar_tui.p2p.frames import frame

# 1.1.0 first: it costs half the CPU of 1.2.0 here. 1.0.0 for old peers.
_WITH_IDONTWANT = "/meshsub/1.2.0"
PROTOCOLS = ("/meshsub/1.1.0", _WITH_IDONTWANT, "/meshsub/1.0.0")
_PUBLISH = b"\x12"
"""What comes before a message, with its length, in an RPC."""


class TopicRouter(BoundedControl):
    """GossipSub with its surprises switched off."""

    me: ID
    everybody: Callable[[], set[ID]] = staticmethod(set)
    """Returns the neighbours on the topic, in the mesh or not."""

    def __init__(self, heartbeat: float) -> None:
        super().__init__(
            protocols=[TProtocol(protocol) for protocol in PROTOCOLS],
            degree=6,
            degree_low=4,
            degree_high=12,
            time_to_live=60,
            # py-libp2p 0.8.1: the unit is seconds and the default 120; the annotation says int, fractions work.
            heartbeat_interval=cast(int, heartbeat),
            gossip_window=3,
            gossip_history=5,
            # py-libp2p 0.8.1: adaptive gossip may stretch the heartbeat to a minute.
            adaptive_gossip_enabled=False,
            # py-libp2p 0.8.1: more than ten messages a second from one neighbour, or from this peer, are dropped.
            spam_protection_enabled=False,
            # py-libp2p 0.8.1: it grafts more peers until three IP addresses are in the mesh, which no test or LAN has.
            eclipse_protection_enabled=False,
            px_peers_count=0,
        )
        # py-libp2p 0.8.1: the scorer's default thresholds gate nothing, but its bookkeeping grows with every peer.
        self.scorer = None

    @property  # type: ignore[override]
    def heartbeat_interval(self) -> float:
        """Seconds to the next heartbeat."""
        return until_tick(self._heartbeat)

    @heartbeat_interval.setter
    def heartbeat_interval(self, seconds: float) -> None:
        self._heartbeat = seconds

    async def publish(self, msg_forwarder: ID, pubsub_msg: rpc_pb2.Message) -> None:
        """Send a message that was checked to the neighbours that should have it.

        It is encoded once for all of them. A peer whose subscription comes later gets it from the cache.

        py-libp2p 0.8.1: it encodes and copies the message several times for each neighbour, signs or encodes the
        peer's record for each message, keeps each message and the time of each for checks that are off here, and keeps
        the last hundred for each connected peer that is not on the topic."""
        author = pubsub_msg.from_id
        message_id, origin = author + pubsub_msg.seqno, ID(author)
        encoded = self.mcache.keep(message_id, pubsub_msg)
        neighbours = self._get_peers_to_send(pubsub_msg.topicIDs, msg_forwarder, origin, message_id)
        if self.pubsub is None:
            return
        if _WITH_IDONTWANT in self.peer_protocol.values():
            await self._emit_idontwant_for_message(message_id, pubsub_msg.topicIDs)
        data = frame(_PUBLISH + frame(encoded))
        own = msg_forwarder == self.me
        for peer in neighbours:
            queue = self.pubsub.peer_queues.get(peer)
            if queue is None or peer not in self.pubsub.peers:
                continue
            if peer in self._pending_control or not push_frame(queue, data, own):
                self.send_rpc(peer, rpc_pb2.RPC(publish=[pubsub_msg]))

    def send_rpc(self, peer_id: ID, rpc: rpc_pb2.RPC, priority: bool = False) -> None:
        # py-libp2p 0.8.1: every RPC carries the sender's signed record, which its receivers verify each time, twice.
        rpc.ClearField("senderRecord")
        super().send_rpc(peer_id, rpc, priority)

    def _get_peers_to_send(
        self, topic_ids: Iterable[str], msg_forwarder: ID, origin: ID, msg_id: bytes | None = None
    ) -> set[ID]:
        """The neighbours that should have a message: the mesh, and of a peer's own message everybody on the topic.

        py-libp2p 0.8.1: a peer's own messages go to its mesh alone, so a peer that has just joined, or is backed off
        after a reconnect, misses them. Go does the same unless flooding is on; forwarding keeps to the mesh in any
        case. And it looks at every peer on the topic for each message, for a protocol that is not offered here."""
        chosen = {peer for topic in topic_ids for peer in self.mesh.get(topic, ())}
        if msg_forwarder == self.me:
            chosen |= self.everybody()
        unwanted = self.dont_send_message_ids
        return {
            peer
            for peer in chosen
            if peer not in (msg_forwarder, origin) and (msg_id is None or msg_id not in unwanted.get(peer, ()))
        }

    async def _do_px(self, px_peers: list[rpc_pb2.PeerInfo]) -> None:
        """Peer exchange is ignored: only `dialer.py` dials."""
