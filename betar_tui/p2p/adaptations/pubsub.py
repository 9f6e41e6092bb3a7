"""Gossip on one topic: py-libp2p's GossipSub, made to survive hostile input and to deliver everything.

Theory: the library's `Pubsub` reads the RPCs of peers and records their subscriptions; its `GossipSub` decides which
peers to forward to. `TopicPubsub` replaces the reading and the acceptance of messages (that is where a peer could end
the process), keeps subscriptions per stream, and hands each new message to `deliver` at once, in order, without a
queue. `TopicRouter` bounds the router's bookkeeping. `p2p.gossip` puts both together. The behaviours that are adapted
here are described in docs/py-libp2p.md#gossip and docs/py-libp2p.md#failures-that-end-the-run."""

import logging
import time
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, cast

import trio
from libp2p.abc import IHost, IMuxedConn, INetStream
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.exceptions import StreamClosed, StreamReset
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.rpc_queue import RpcQueue

from betar_tui.concurrency import Crowd, FastLock, Rounds
from betar_tui.errors import DecodeError
from betar_tui.ipld.protobuf import Budget
from betar_tui.p2p.adaptations.postponed import Postponed
from betar_tui.p2p.adaptations.router import TopicRouter
from betar_tui.p2p.adaptations.send_queue import SendQueue
from betar_tui.p2p.adaptations.turns import PacedReads, Turns
from betar_tui.p2p.authorship import error_of
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.gossip_ledger import CONTROL, GossipLedger
from betar_tui.p2p.guard import Penalize, has_ended, quiet_reset
from betar_tui.p2p.seen_messages import MAX_SEEN, SEEN_SECONDS, SeenMessages

log = logging.getLogger(__name__)

MAX_RPC = 1 << 20
"""Maximum bytes of an RPC: go-libp2p-pubsub's default."""
MAX_MESSAGES_PER_RPC, MAX_SUBSCRIPTIONS = 5000, 64
"""Maximum messages and subscriptions of one RPC: the peers of a market share one topic."""
MAX_UNCOUNTED = 64 << 10
"""Maximum bytes of an RPC whose parts are not counted before it is decoded: half a million empty ones hold the loop."""
MAX_STREAMS = 4
"""Maximum gossip streams of a connection; a further one takes the place of the oldest, as in Go, where there is one."""
MAX_EMPTY = 1000
"""Maximum empty RPCs in a row; Go sends none."""
Deliver = Callable[[str, str, object, int, bool], None]
"""Takes the neighbour, the author, the decoded payload, its memory in bytes, and whether the author is in good standing."""
Accept = Callable[[bytes], tuple[object, int] | None]
"""Decodes the payload of a broadcast: the value to deliver, with the memory that it takes in bytes, or None to refuse it."""
Membership = Callable[[str, bool], None]

_stream: ContextVar[INetStream | None] = ContextVar("gossip_stream", default=None)


@lru_cache(maxsize=4096)
def _author(peer: bytes) -> tuple[ID, str]:
    """A peer id from its bytes, and as text, which takes longer than the signature of a short message."""
    author = ID(peer)
    return author, str(author)


class TopicPubsub(Pubsub):
    """Pubsub for one topic; see the module."""

    def __init__(self, host: IHost, router: TopicRouter, topic: str, deliver: Deliver, joined: Membership) -> None:
        self._topic = topic
        self._me, self._my_bytes = host.get_id(), host.get_id().to_bytes()
        self._deliver = deliver
        self._joined = joined
        self._members: set[ID] = set()
        self._announced: dict[ID, dict[INetStream, set[str]]] = {}
        self._readers: weakref.WeakKeyDictionary[IMuxedConn, dict[INetStream, trio.CancelScope]] = (
            weakref.WeakKeyDictionary()
        )
        self.write_locks: weakref.WeakKeyDictionary[INetStream, FastLock] = weakref.WeakKeyDictionary()
        self._wrote = trio.Event()
        self._crowd = Crowd()
        self.ledger = GossipLedger()
        self._gate = FastLock()
        self._postponed = Postponed(self.ledger, self.push_msg, self._start)
        self.penalize: Penalize = lambda peer, reason: None
        self.banned: Callable[[str], bool] = lambda peer: False
        self.blocked: Callable[[bytes], bool] = lambda author: False
        self.duplicate: Callable[[], None] = lambda: None
        self.accept: Accept = lambda payload: (payload, len(payload))
        super().__init__(
            host,
            router,
            strict_signing=True,
            max_subscriptions_per_rpc=MAX_SUBSCRIPTIONS,
            max_subscriptions_per_peer=4,
            allowed_topics={topic},
        )
        router.me, router.everybody = self._me, self.members
        router.bound(topic, self.ledger)
        self.seen_messages.stop()
        self.seen_messages = cast(Any, SeenMessages(SEEN_SECONDS, MAX_SEEN))
        # py-libp2p 0.8.1: sequence numbers start at whole seconds, so that a peer restarted with the same key repeats
        # numbers that its neighbours have seen, and is ignored for a while.
        self.counter = time.time_ns()

    # Reading

    async def continuously_read_stream(self, stream: INetStream) -> None:
        """Read a peer's RPCs until its stream ends.

        py-libp2p 0.8.1: a malformed RPC raises out of the handler, which ends the process; each message is handled in
        a task of its own, so that messages overtake each other and a burst has no back pressure."""
        peer = stream.muxed_conn.peer_id
        _stream.set(stream)
        streams = self._announced.setdefault(peer, {})
        streams[stream] = set()
        scopes = self._readers.setdefault(stream.muxed_conn, {})
        try:
            with trio.CancelScope() as scope:
                scopes[stream] = scope
                # Each may hold a megabyte of an unfinished RPC.
                for oldest in list(scopes)[:-MAX_STREAMS]:
                    scopes.pop(oldest).cancel()
                await self._read(peer, stream)
            if scope.cancelled_caught:
                await quiet_reset(stream)
        except DecodeError as error:
            self.penalize(str(peer), f"gossip: {error}")
            await quiet_reset(stream)
            self._handle_dead_peer(peer)
        finally:
            scopes.pop(stream, None)
            streams = self._announced.get(peer, {})
            streams.pop(stream, None)
            if not streams:
                self._announced.pop(peer, None)

    async def _read(self, peer: ID, stream: INetStream) -> None:
        turns = Turns(peer.to_bytes(), self.ledger.time, self._gate)
        frames = FrameReader(PacedReads(stream, self._crowd, turns.caught_up), MAX_RPC)
        empty = 0
        while (raw := await frames.next()) is not None and not self.banned(str(peer)):
            empty = 0 if raw else empty + 1
            if empty > MAX_EMPTY:
                raise DecodeError(f"more than {MAX_EMPTY} empty RPCs in a row")
            if raw:  # Go passes over empty ones as well
                turns.begin(len(raw))
                await self._handle_rpc(peer, _parse(raw), turns)
                await turns.end()

    async def _handle_rpc(self, peer: ID, rpc: rpc_pb2.RPC, turns: Turns) -> None:
        if len(rpc.publish) > MAX_MESSAGES_PER_RPC or len(rpc.subscriptions) > MAX_SUBSCRIPTIONS:
            raise DecodeError("an RPC with too many parts")
        for subscription in rpc.subscriptions:
            self.handle_subscription(peer, subscription)
        name = str(peer)
        for message in rpc.publish:
            if self.banned(name):  # its connections are being closed
                return
            if (self._postponed.any or turns.crowded) and self._can_wait(peer, message.from_id, turns):
                if not self.seen_messages.has(message.from_id + message.seqno):
                    self._postponed.leave(peer, message)
                await turns.after_brief()
            else:
                await turns.between()
                await self.push_msg(peer, message)
        if rpc.HasField("control"):
            rpc.ClearField("senderRecord")
            await self.router.handle_rpc(rpc, peer)

    def _can_wait(self, peer: ID, author: bytes, turns: Turns) -> bool:
        """Whether a message is to be left for later."""
        if self._postponed.has(peer, author):
            return True
        return turns.crowded and not self.ledger.is_light(peer.to_bytes(), author, trio.current_time())

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        """Check, deliver and forward one message, from a neighbour or from this peer.

        A message that `accept` refuses is dropped; only its author is penalized for it, since Go forwards without
        looking.

        py-libp2p 0.8.1: a garbage key in a message raises out of the signature check; a validator that raises ends
        the process and one that awaits lets a message through twice. Here nothing raises and nothing awaits in
        between."""
        if list(msg.topicIDs) != [self._topic]:
            return
        author = msg.from_id
        message_id = author + msg.seqno
        if self.seen_messages.has(message_id):
            return
        if msg_forwarder == self._me:
            self.seen_messages.add(message_id)
        elif author == self._my_bytes:
            self._check_own(msg_forwarder, msg)
            return
        elif self.blocked(author):
            return
        else:
            data, now = msg.data, trio.current_time()
            if not self._has_signed(msg_forwarder, msg, author, len(data), now):
                return
            self.seen_messages.add(message_id)
            if not self._was_accepted(msg_forwarder, author, data, now):
                return
        await self.router.publish(msg_forwarder, msg)

    def _was_accepted(self, forwarder: ID, author: bytes, data: bytes, now: float) -> bool:
        """Deliver the payload of a message that its author has signed. Returns whether it was accepted."""
        author_id, name = _author(author)
        try:
            accepted = self.accept(data)
        except Exception:  # a defect here, for which no peer is penalized
            log.exception("a broadcast could not be checked")
            return False
        if accepted is None:
            self.ledger.nonsense(forwarder.to_bytes(), author, now)
            if author_id == forwarder:
                self.penalize(name, "gossip: a payload that is not a broadcast")
            return False
        self._crowd.came(name, now)
        self._deliver(str(forwarder), name, *accepted, self.ledger.is_standing(forwarder.to_bytes(), author, now))
        return True

    def _has_signed(self, forwarder: ID, msg: rpc_pb2.Message, author: bytes, size: int, now: float) -> bool:
        """Whether a message's author has signed it, and is within its rate at this neighbour: both are charged for it."""
        neighbour = forwarder.to_bytes()
        if refusal := self.ledger.refusal(neighbour, author, size, now):
            self._postponed.refuse(forwarder, msg, refusal)
            return False
        if (error := error_of(msg)) is not None:
            if error.relay_to_blame or author == neighbour:
                self.penalize(str(forwarder), f"gossip: {error.reason}")
            return False
        self.ledger.signed(neighbour, author, size, now)
        return True

    def _start(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        self.manager.run_task(function, *arguments)

    def _check_own(self, forwarder: ID, msg: rpc_pb2.Message) -> None:
        """A message of this peer's own came from outside, which happens where a neighbour gossips its id.

        Numbers begin with the time of a start and go up by one. One above ours is therefore from another process with
        this key, which started later; one below may come from an earlier run of this peer. The forwarder of a forged one
        is penalized as for any other author, or it could have signatures checked for nothing."""
        if len(msg.seqno) != 8 or int.from_bytes(msg.seqno) <= self.counter:
            return
        error = error_of(msg)
        if error is None:
            self.seen_messages.add(msg.from_id + msg.seqno)
            self.duplicate()
        elif error.relay_to_blame:
            self.penalize(str(forwarder), f"gossip: {error.reason}")

    # Writing

    async def handle_sending_messages(self, peer_id: ID, stream: INetStream, queue: RpcQueue) -> None:
        """Write a neighbour's queue to its stream, what waits together in one piece, until either ends.

        py-libp2p 0.8.1: each RPC is a packet of its own."""
        writes = Rounds(self._crowd)
        try:
            while (waiting := await queue.pop()) is not None:
                writes.begin()
                if not await self._write(stream, waiting if isinstance(waiting, bytes) else _framed(waiting)):
                    return
                await writes.gather()
        except Exception as error:
            log.debug("writing to %s failed: %r", peer_id, error)
            self._handle_dead_peer(peer_id)

    async def write_msg(self, stream: INetStream, rpc_msg: rpc_pb2.RPC) -> bool:
        """Write one RPC. Returns False if the stream has ended, which is then noted."""
        return await self._write(stream, _framed(rpc_msg))

    async def _write(self, stream: INetStream, data: bytes) -> bool:
        # py-libp2p 0.8.1: replays for a new peer are written to the stream at the same time as the peer's queue; when
        # the window is short their pieces mix and the stream is garbage from then on.
        try:
            async with self.write_locks.setdefault(stream, FastLock()):
                await stream.write(data)
            return True
        except (StreamClosed, StreamReset):
            self._handle_dead_peer(stream.muxed_conn.peer_id)
            return False
        finally:
            self._wrote.set()
            self._wrote = trio.Event()

    async def flush(self) -> None:
        """Wait until every queued RPC has been handed to its connection."""
        while any(map(len, self.peer_queues.values())) or any(lock.locked() for lock in self.write_locks.values()):
            await self._wrote.wait()

    def get_hello_packet(self) -> rpc_pb2.RPC:
        packet = super().get_hello_packet()
        packet.ClearField("senderRecord")
        return packet

    def send_hellos(self) -> None:
        """Announce our subscription to every neighbour again.

        A remote py-libp2p that saw the end of our older connection after the start of the newer one has forgotten it.
        """
        for peer in tuple(self.peers):
            cast(TopicRouter, self.router).send_rpc(peer, self.get_hello_packet())

    async def _handle_new_peer(self, peer_id: ID) -> None:
        try:
            await super()._handle_new_peer(peer_id)
        except (SwarmException, StreamClosed):
            raise
        except Exception as error:
            # py-libp2p 0.8.1: a stream that could not be negotiated in time is not tried again.
            if not has_ended(error) and type(error).__name__ != "StreamFailure":
                raise
            raise SwarmException(f"no gossip stream: {error!r}") from error
        queue = self.peer_queues.get(peer_id)
        if queue is not None:
            queue._queue = SendQueue(queue._queue)
        self._membership()
        if peer_id in self.members():
            # py-libp2p 0.8.1: a peer whose subscription came before it could be written to waits for the next heartbeat
            # to be in the mesh. Go publishes to its mesh alone, so that peer's broadcasts would be lost until then.
            await cast(TopicRouter, self.router).on_peer_subscribed(peer_id, self._topic)

    # Membership

    def handle_subscription(self, origin_id: ID, sub_message: rpc_pb2.RPC.SubOpts) -> None:
        """A neighbour joins the topic, or leaves it. Nothing is remembered of other topics.

        py-libp2p 0.8.1: each new subscription starts three tasks, one of which writes all messages of the last heartbeats
        to the neighbour."""
        changes = sub_message.subscribe != (origin_id in self.peer_topics.get(self._topic, ()))
        allowance = self.ledger.subscriptions.of(origin_id.to_bytes(), now := trio.current_time()) if changes else None
        if sub_message.topicid != self._topic or (allowance is not None and not allowance.take(1, now)):
            self.ledger.refuse(origin_id.to_bytes(), CONTROL)
            return
        topics = self._announced.get(origin_id, {}).get(cast(INetStream, _stream.get()))
        if topics is not None:
            (topics.add if sub_message.subscribe else topics.discard)(sub_message.topicid)
        super().handle_subscription(origin_id, sub_message)
        self._membership()

    def _forget_all_subscriptions(self, peer_id: ID) -> None:
        # py-libp2p 0.8.1: when an old connection of a peer dies, the peer's subscriptions on its new connection are
        # forgotten with it, and never announced again. Those that living streams announced are put back.
        super()._forget_all_subscriptions(peer_id)
        for stream, topics in self._announced.get(peer_id, {}).items():
            if topics and not stream.muxed_conn.is_closed:
                self.peer_topics.setdefault(self._topic, set()).add(peer_id)
                self._peer_subscription_count[peer_id] = 1
        self._membership()

    def _handle_dead_peer(self, peer_id: ID) -> None:
        super()._handle_dead_peer(peer_id)
        self._membership()

    def members(self) -> set[ID]:
        """Peers that are subscribed to the topic and can be written to."""
        return self.peer_topics.get(self._topic, set()) & self.peers.keys()

    def _membership(self) -> None:
        now = self.members()
        for peer in now - self._members:
            self._joined(str(peer), True)
        for peer in self._members - now:
            self._joined(str(peer), False)
        self._members = set(now)

    def notify_subscriptions(self, publish_message: rpc_pb2.Message) -> None:
        # py-libp2p 0.8.1: the subscription's channel holds 32 messages and drops the rest; `push_msg` delivers.
        return


def _framed(rpc: rpc_pb2.RPC) -> bytes:
    return frame(rpc.SerializeToString())


def _parse(raw: bytes) -> rpc_pb2.RPC:
    rpc = rpc_pb2.RPC()
    if len(raw) > MAX_UNCOUNTED:
        for _ in Budget(MAX_MESSAGES_PER_RPC + MAX_SUBSCRIPTIONS, "an RPC").fields(raw, 0, len(raw)):
            pass
    try:
        rpc.ParseFromString(raw)
    except Exception:
        raise DecodeError("not an RPC") from None
    return rpc
