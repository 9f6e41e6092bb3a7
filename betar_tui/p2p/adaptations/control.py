"""The control messages of gossip, bounded: what a neighbour may make this peer answer, ask for and remember.

py-libp2p 0.8.1: one IWANT is answered with as many copies as it names ids, built in memory at once; names of topics in
PRUNE, GRAFT and IHAVE are remembered for ever, and answered; nothing comes between the parts of an RPC. Here control is
about the one topic, each message is sent again to a neighbour only a few times and within a budget of bytes, and the loop
has a turn between parts (docs/protocol.md#budgets)."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import trio
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.mcache import CacheEntry, MessageCache
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.utils import safe_bytes_from_hex

from betar_tui.p2p.adaptations.send_queue import SendQueue, push_frame
from betar_tui.p2p.frames import frame
from betar_tui.p2p.gossip_ledger import ASKED, CONTROL, GossipLedger

MAX_PARTS = 64
"""Maximum parts of one kind in the control of an RPC, one or two of which an honest neighbour sends: the rest is ignored."""
MAX_IDS = 5000
"""Maximum ids of messages in one IHAVE, IWANT or IDONTWANT, as in Go, and of those offered to a neighbour."""
MAX_ID_BYTES = 128
"""Maximum bytes of such an id; a Go peer's has 46."""
MAX_RESENT = 3
"""Number of times that a message is sent to one neighbour which asks for it, as in Go."""
MAX_WAITING = 1 << 20
"""Maximum bytes that wait to be written to a neighbour when messages are sent to it again: it should read those first."""
MAX_BACK_OFF = 3600
"""Maximum seconds for which a neighbour may ask not to be grafted."""
MAX_CACHED = 16 << 20
"""Maximum bytes of messages that neighbours can ask for, encoded, with those that remembering each takes."""
ENTRY_BYTES = 512
"""Bytes of memory that remembering a message takes besides the message itself, about."""
IDS_PER_TURN = 256
"""Number of ids between two turns of the event loop."""


class BoundedCache(MessageCache):
    """The messages of the last heartbeats, of which the oldest go beyond `MAX_CACHED` bytes.

    They are kept encoded: a decoded one holds on to the whole RPC that it came in, which may have a megabyte.

    py-libp2p 0.8.1: it has no limit, and offers each message to neighbours for as long as it is kept."""

    def __init__(self, window_size: int, history_size: int) -> None:
        super().__init__(window_size, history_size)
        self._encoded: OrderedDict[bytes, bytes] = OrderedDict()
        self.bytes = 0

    def __contains__(self, key: bytes) -> bool:
        return key in self._encoded

    def put(self, msg: rpc_pb2.Message) -> None:
        """Keep a message."""
        self.keep(msg.from_id + msg.seqno, msg)

    def keep(self, key: bytes, message: rpc_pb2.Message) -> bytes:
        """Keep a message with the id `key`. Returns it encoded."""
        encoded = self._encoded.get(key)
        if encoded is not None:
            return encoded
        self.history[0].append(CacheEntry(key, message.topicIDs))
        self._encoded[key] = encoded = message.SerializeToString()
        self.bytes += len(encoded) + ENTRY_BYTES
        while self.bytes > MAX_CACHED and len(self._encoded) > 1:
            self._drop(next(iter(self._encoded)))
        return encoded

    def get(self, mid: bytes) -> rpc_pb2.Message | None:
        """A message that is kept."""
        encoded = self._encoded.get(mid)
        return None if encoded is None else rpc_pb2.Message.FromString(encoded)

    def window(self, topic: str) -> list[bytes]:
        """The ids to offer, at most `MAX_IDS`."""
        return [key for key in super().window(topic) if key in self][:MAX_IDS]

    def shift(self) -> None:
        """A heartbeat has passed."""
        for entry in self.history[-1]:
            self._drop(entry.mid)
        super().shift()

    def _drop(self, key: bytes) -> None:
        if (encoded := self._encoded.pop(key, None)) is not None:
            self.bytes -= len(encoded) + ENTRY_BYTES


class BoundedControl(GossipSub):
    """The router's half that answers control messages; see the module."""

    ledger: GossipLedger
    topic: str
    mcache: BoundedCache  # from `bound` on

    def bound(self, topic: str, ledger: GossipLedger) -> None:
        """Answer for `topic` alone, within the budgets of `ledger`."""
        self.topic, self.ledger = topic, ledger
        self.mcache = BoundedCache(self.mcache.window_size, self.mcache.history_size)
        self._resent: Counter[tuple[bytes, ID]] = Counter()  # since when: the last but `history_size` heartbeats

    async def handle_rpc(self, rpc: rpc_pb2.RPC, sender_peer_id: ID) -> None:
        """Answer the control of an RPC."""
        control, peer = rpc.control, sender_peer_id
        for ihave in self._parts(peer, control.ihave, topical=True):
            await self.handle_ihave(ihave, peer)
        await self._resend(peer, [each.messageIDs for each in self._parts(peer, control.iwant)])
        for graft in self._parts(peer, control.graft, topical=True)[:1]:
            await self.handle_graft(graft, peer)
        # Of several the last is the one that counts, and all say the same of an honest neighbour.
        for prune in self._parts(peer, control.prune, topical=True)[-1:]:
            await self.handle_prune(prune, peer)
        for unwanted in self._parts(peer, control.idontwant):
            await self.handle_idontwant(unwanted, peer)

    def _parts(self, peer: ID, parts: Sequence[Any], topical: bool = False) -> list[Any]:
        """The first parts, only those about the topic; the others are counted."""
        if not parts:
            return []
        taken = [part for part in parts[:MAX_PARTS] if not topical or part.topicID == self.topic]
        if len(parts) > len(taken):
            self.ledger.refuse(peer.to_bytes(), CONTROL, len(parts) - len(taken))
        return taken

    async def handle_ihave(self, ihave_msg: rpc_pb2.ControlIHave, sender_peer_id: ID) -> None:
        """Ask for messages that are new here, each once, as many as the budget allows."""
        assert self.pubsub is not None, "the router answers nothing before it is attached"
        seen, peer = self.pubsub.seen_messages, sender_peer_id
        wanted = [key for key in await _ids(ihave_msg.messageIDs) if not seen.has(key)]
        if not wanted:
            return
        allowance, now = self.ledger.asked.of(peer.to_bytes(), trio.current_time()), trio.current_time()
        asked = wanted[: max(0, int(allowance.left(now)))]
        allowance.spend(len(asked), now)
        if len(asked) < len(wanted):
            self.ledger.refuse(peer.to_bytes(), CONTROL)
        if asked:
            await self.emit_iwant(asked, peer)

    async def handle_iwant(self, iwant_msg: rpc_pb2.ControlIWant, sender_peer_id: ID) -> None:
        """Send messages again that a neighbour missed."""
        await self._resend(sender_peer_id, [iwant_msg.messageIDs])

    async def _resend(self, peer: ID, parts: list[Iterable[bytes]]) -> None:
        if not parts or self.pubsub is None:
            return
        refused = 0
        for key in await _ids(key for part in parts for key in part):
            message = self.mcache.get(key)
            if message is not None and not self._send_again(peer, key, message):
                refused += 1
        if refused:
            self.ledger.refuse(peer.to_bytes(), ASKED, refused)

    def _send_again(self, peer: ID, key: bytes, message: rpc_pb2.Message) -> bool:
        """Queue one message, in an RPC of its own. Returns whether that is within the bounds."""
        assert self.pubsub is not None, "see `_resend`"
        queue = self.pubsub.peer_queues.get(peer)
        waiting = queue._queue if queue is not None else None
        if queue is None or not isinstance(waiting, SendQueue) or waiting.bytes > MAX_WAITING:
            return False
        if self._resent[key, peer] >= MAX_RESENT:
            return False
        allowance = self.ledger.resent.of(peer.to_bytes(), trio.current_time())
        if not allowance.take(message.ByteSize(), trio.current_time()):
            return False
        self._resent[key, peer] += 1
        return push_frame(queue, frame(rpc_pb2.RPC(publish=[message]).SerializeToString()))

    async def handle_graft(self, graft_msg: rpc_pb2.ControlGraft, sender_peer_id: ID) -> None:
        """Take a neighbour into the mesh. As in Go, one that dialled is turned away while the mesh is full."""
        mesh = self.mesh.get(graft_msg.topicID)
        if mesh is None:
            return
        if sender_peer_id not in mesh and len(mesh) >= self.degree_high:
            await self.emit_prune(graft_msg.topicID, sender_peer_id, False, False)
            return
        await super().handle_graft(graft_msg, sender_peer_id)

    async def handle_prune(self, prune_msg: rpc_pb2.ControlPrune, sender_peer_id: ID) -> None:
        """A neighbour leaves the mesh. Peers that it names are ignored: only `dialer.py` dials."""
        prune_msg.ClearField("peers")
        prune_msg.backoff = min(prune_msg.backoff, MAX_BACK_OFF)
        await super().handle_prune(prune_msg, sender_peer_id)

    async def handle_idontwant(self, idontwant_msg: rpc_pb2.ControlIDontWant, sender_peer_id: ID) -> None:
        """A neighbour has these messages; at most `MAX_IDS` are remembered, until the next heartbeat."""
        unwanted = self.dont_send_message_ids.setdefault(sender_peer_id, set())
        for key in await _ids(idontwant_msg.messageIDs, raw=True):
            if len(unwanted) >= MAX_IDS:
                self.ledger.refuse(sender_peer_id.to_bytes(), CONTROL)
                return
            unwanted.add(key)

    def _periodic_security_cleanup(self) -> None:
        """Once in a heartbeat: forget who was sent what, and back-offs that are over.

        py-libp2p 0.8.1: back-offs of peers that are gone are kept for ever."""
        super()._periodic_security_cleanup()
        self._resent = Counter({each: count for each, count in self._resent.items() if each[0] in self.mcache})
        now = int(time.time())
        for until in self.back_off.values():
            for peer in [peer for peer, end in until.items() if end <= now]:
                del until[peer]


async def _ids(ids: Iterable[bytes], raw: bool = False) -> list[bytes]:
    """At most `MAX_IDS` ids of messages in their binary form, each once; those that cannot be one are left out."""
    convert: Callable[[bytes], bytes | None] = bytes if raw else safe_bytes_from_hex
    found: dict[bytes, None] = {}
    for number, each in enumerate(ids, 1):
        if number > MAX_IDS:
            break
        if not number % IDS_PER_TURN:
            await trio.lowlevel.checkpoint()
        if len(each) <= MAX_ID_BYTES and (key := convert(each)):
            found[key] = None
    return list(found)
