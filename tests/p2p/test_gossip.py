"""Broadcasts between two of our peers: delivery, order, bursts, membership."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import pytest
import trio
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from betar_tui.errors import NetworkError
from betar_tui.p2p.adaptations.send_queue import SendQueue
from betar_tui.p2p.frames import frame
from betar_tui.p2p.seen_messages import SeenMessages
from betar_tui.p2p.types import (
    MARKET_TOPIC,
    Misbehaviour,
    PeerConnected,
    PeerDisconnected,
    PeerJoined,
    PeerLeft,
    ReceivedBroadcast,
)
from tests.p2p.peers import QUICK, Peer, meet, pair, peer, raw_stream, until


async def test_broadcasts_arrive_both_ways() -> None:
    async with pair() as (alice, bob):
        assert await alice.network.broadcast(b"from alice") == 1
        await bob.network.broadcast(b"from bob")
        await until(lambda: alice.of(ReceivedBroadcast) and bob.of(ReceivedBroadcast))
        assert bob.of(ReceivedBroadcast) == [ReceivedBroadcast(alice.id, alice.id, b"from alice")]
        assert alice.of(ReceivedBroadcast) == [ReceivedBroadcast(bob.id, bob.id, b"from bob")]


async def test_own_messages_go_to_peers_outside_the_mesh_and_forwarded_ones_do_not() -> None:
    async with pair() as (alice, bob):
        gossip = alice.network._gossip
        me = gossip.pubsub.my_id
        stranger = ID(b"\x00\x24\x08\x01\x12\x20" + bytes(32))
        # As after a reconnect, when either side is backed off and neither may graft.
        gossip._router.mesh[MARKET_TOPIC].clear()
        assert {str(each) for each in gossip._router._get_peers_to_send([MARKET_TOPIC], me, me)} == {bob.id}
        assert not set(gossip._router._get_peers_to_send([MARKET_TOPIC], stranger, stranger))


async def test_a_broadcast_is_forwarded_and_names_forwarder_and_author() -> None:
    async with peer("alice") as alice, peer("bob") as bob, peer("carol") as carol:
        await meet(alice, bob)
        await meet(bob, carol)
        await alice.network.broadcast(b"over two hops")
        await until(lambda: carol.of(ReceivedBroadcast))
        assert carol.of(ReceivedBroadcast) == [ReceivedBroadcast(bob.id, alice.id, b"over two hops")]


def heartbeats(one: Peer) -> list[None]:
    """Grows with each heartbeat of a peer's router, from now on."""
    beats: list[None] = []
    cache = one.network._gossip._router.mcache
    shift = cache.shift

    def counted() -> None:
        beats.append(None)
        shift()

    cache.shift = counted  # type: ignore[method-assign]
    return beats


async def test_a_refused_payload_is_neither_delivered_nor_forwarded() -> None:
    async with peer("alice") as alice, peer("bob", accept=refusing) as bob, peer("carol") as carol:
        await meet(alice, bob)
        await meet(bob, carol)
        for payload in (b"broken", b"bad", b"good"):
            await alice.network.broadcast(payload)
        await until(lambda: carol.of(ReceivedBroadcast))
        beats = heartbeats(bob)
        await until(lambda: len(beats) >= 3)  # nor is it offered by name, which comes with a heartbeat
        for one in (bob, carol):
            assert [event.payload for event in one.of(ReceivedBroadcast)] == [b"good"]
        # Its author sent it to us: it is penalized. That we failed to look at another is not.
        assert [event.peer for event in bob.of(Misbehaviour)] == [alice.id]
        assert bob.network.misbehaviours() == {alice.id: 1}
        await bob.network.broadcast(b"bad")  # one's own is one's own business
        await until(lambda: len(carol.of(ReceivedBroadcast)) == 2)


async def test_forwarding_a_refused_payload_is_not_penalized() -> None:
    async with peer("alice") as alice, peer("bob") as bob, peer("carol", accept=refusing) as carol:
        await meet(alice, bob)
        await meet(bob, carol)
        for payload in (b"bad", b"good"):
            await alice.network.broadcast(payload)
        await until(lambda: carol.of(ReceivedBroadcast))
        assert [event.payload for event in carol.of(ReceivedBroadcast)] == [b"good"]
        assert carol.network.misbehaviours() == {}


def refusing(payload: bytes) -> bool:
    if payload == b"broken":
        raise RecursionError
    return payload != b"bad"


async def test_a_burst_arrives_whole_and_in_order() -> None:
    """docs/py-libp2p.md#gossip: rate limit, outgoing queue and subscription channel would each drop most of it."""
    async with pair() as (alice, bob):
        for number in range(500):
            await alice.network.broadcast(b"%d" % number)
        await until(lambda: len(bob.of(ReceivedBroadcast)) >= 500)
        assert [int(event.payload) for event in bob.of(ReceivedBroadcast)] == list(range(500))


async def test_a_reader_that_stands_still_holds_up_nothing() -> None:
    async with peer("alice") as alice, peer("bob", follow=False) as bob:
        await meet(alice, bob)
        bob.network._event_queue._standing._limit = 10
        for number in range(50):
            await alice.network.broadcast(b"%d" % number)
        await until(lambda: bob.network._event_queue.dropped >= 39)
        cid = alice.shelf.put(b"x" * 100)
        assert await bob.fetch([cid], alice.id)
        payloads: list[bytes] = []
        with trio.fail_after(5):
            while b"49" not in payloads:
                event = await bob.network.events.receive()
                if isinstance(event, ReceivedBroadcast):
                    payloads.append(event.payload)
        assert payloads[-10:] == [b"%d" % number for number in range(40, 50)]


async def test_a_broadcast_that_is_too_large_is_refused() -> None:
    async with peer("alice") as alice:
        with pytest.raises(NetworkError):
            await alice.network.broadcast(b"x" * (1 << 20))


async def test_joining_leaving_and_connections_are_reported_once() -> None:
    async with peer("alice") as alice:
        async with peer("bob") as bob:
            await meet(alice, bob)
            bob_id = bob.id
            bob_addrs = bob.network.addrs
        await until(lambda: alice.of(PeerDisconnected))
        assert alice.of(PeerConnected) == [PeerConnected(bob_id, bob_addrs)]
        assert alice.of(PeerJoined) == [PeerJoined(bob_id)]
        assert alice.of(PeerLeft) == [PeerLeft(bob_id)]
        assert alice.of(PeerDisconnected) == [PeerDisconnected(bob_id)]
        assert alice.network.connections() == ()


def heard(one: Peer, number: int) -> bool:
    return len(one.of(ReceivedBroadcast)) == number


async def test_a_restarted_peer_with_the_same_key_is_heard_at_once() -> None:
    """docs/py-libp2p.md#gossip: repeated sequence numbers and connections that stayed open would make it mute."""
    async with peer("alice") as alice:
        for life in range(3):
            async with peer("bob") as bob:
                await meet(bob, alice)
                for number in range(7):
                    await bob.network.broadcast(b"%d/%d" % (life, number))
                await until(partial(heard, alice, 7 * (life + 1)))
                await alice.network.broadcast(b"welcome %d" % life)
                await until(lambda: bob.of(ReceivedBroadcast))


async def test_numbers_never_repeat_after_a_restart_within_a_second() -> None:
    async with peer("alice") as first:
        before = first.network._gossip.pubsub.counter
    async with peer("alice") as second:
        assert second.network._gossip.pubsub.counter > before + 1_000_000  # nanoseconds, not seconds
        assert abs(second.network._gossip.pubsub.counter - time.time_ns()) < 60e9


async def test_peers_are_in_each_others_mesh_as_soon_as_they_have_met() -> None:
    """Without any heartbeat: messages that a Go peer writes before it has this peer in its mesh are lost."""
    async with pair(timing=replace(QUICK, heartbeat=3600.0)) as (alice, bob):
        for one, other in ((alice, bob), (bob, alice)):
            expected = {ID.from_base58(other.id)}
            await until(lambda mesh=one.network._gossip._router.mesh, peers=expected: mesh[MARKET_TOPIC] == peers)


async def test_the_memory_of_the_router_is_bounded() -> None:
    async with pair() as (alice, bob):
        for number in range(100):
            await alice.network.broadcast(b"%d" % number)
        await until(lambda: len(bob.of(ReceivedBroadcast)) == 100)
        router = bob.network._gossip._router
        assert not router.recent_message_deliveries
        assert not router.equivocation_detection
        assert 0 < router.heartbeat_interval <= bob.network._timing.heartbeat


async def test_the_messages_of_one_rpc_keep_their_order() -> None:
    """As shipped each message is handled in a task of its own, and tasks overtake each other."""
    async with pair() as (alice, bob):
        router = alice.network._gossip._router
        signed: list[rpc_pb2.Message] = []

        async def keep(forwarder: object, message: rpc_pb2.Message) -> None:
            signed.append(message)

        router.publish = keep  # type: ignore[method-assign,assignment]
        for number in range(100):
            await alice.network.broadcast(b"%d" % number)
        stream = await raw_stream(alice, bob.id, "/meshsub/1.1.0")
        await stream.write(frame(rpc_pb2.RPC(publish=signed).SerializeToString()))
        await until(lambda: len(bob.of(ReceivedBroadcast)) == 100)
        assert [int(event.payload) for event in bob.of(ReceivedBroadcast)] == list(range(100))


async def test_subscriptions_of_living_streams_survive_the_end_of_another() -> None:
    """As shipped the end of an old connection forgets the subscriptions of the new one, for good."""
    quiet = replace(QUICK, hello_interval=60.0)
    async with pair(timing=quiet) as (alice, bob):
        pubsub = alice.network._gossip.pubsub
        pubsub._handle_dead_peer(next(iter(pubsub.peers)))
        await until(lambda: alice.network.topic_peers() == (bob.id,))


async def test_leaving_is_noticed_at_once_without_pings() -> None:
    """docs/py-libp2p.md#connections: a connection that is not closed stays in the tables of others."""
    slow = replace(QUICK, ping_interval=60.0)
    async with peer("alice", timing=slow) as alice:
        async with peer("bob", timing=slow) as bob:
            await meet(alice, bob)
            kept = bob.network._swarm.get_connections()
        await until(lambda: alice.of(PeerDisconnected), 2)
        assert all(each.is_closed for each in kept)


async def test_no_peer_record_travels_with_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: list[bytes] = []
    push = SendQueue.push_frame

    def spy(queue: SendQueue, data: bytes, priority: bool = False, own: bool = False) -> bool:
        pushed.append(data)
        return push(queue, data, priority, own)

    monkeypatch.setattr(SendQueue, "push_frame", spy)
    async with pair() as (alice, bob):
        await alice.network.broadcast(b"light")
        await until(lambda: bob.of(ReceivedBroadcast))
        assert any(b"light" in data for data in pushed)
        for data in pushed:
            end = next(index for index, byte in enumerate(data) if byte < 0x80) + 1  # of the length
            assert not rpc_pb2.RPC.FromString(data[end:]).HasField("senderRecord")


async def test_a_forgotten_subscription_comes_back_with_the_next_hello() -> None:
    """A remote py-libp2p as shipped can forget us when an old connection ends; our hello is repeated."""
    async with pair() as (alice, bob):
        pubsub = alice.network._gossip.pubsub
        theirs = next(iter(pubsub.peer_topics["betar/marketplace/crdt"]))
        pubsub.peer_topics.clear()
        pubsub._peer_subscription_count.clear()
        assert alice.network.topic_peers() == ()
        await until(lambda: alice.network.topic_peers() == (str(theirs),))


async def test_subscriptions_to_other_topics_are_not_kept() -> None:
    async with pair() as (alice, bob):
        stream = await raw_stream(alice, bob.id, "/meshsub/1.1.0")
        subscriptions = [rpc_pb2.RPC.SubOpts(subscribe=True, topicid=f"spam {n}") for n in range(50)]
        await stream.write(frame(rpc_pb2.RPC(subscriptions=subscriptions).SerializeToString()))
        await alice.network.broadcast(b"after")
        await until(lambda: bob.of(ReceivedBroadcast))
        assert set(bob.network._gossip.pubsub.peer_topics) == {"betar/marketplace/crdt"}


def test_seen_messages_are_forgotten_by_age_and_by_number() -> None:
    now = 0.0
    seen = SeenMessages(10, 3, lambda: now)
    assert seen.add(b"a")
    assert not seen.add(b"a")
    now = 5.0
    assert seen.add(b"b")
    now = 11.0
    assert not seen.has(b"a")
    assert seen.has(b"b")
    for key in (b"c", b"d", b"e"):
        seen.add(key)
    assert len(seen) == 3
    assert not seen.has(b"b")
