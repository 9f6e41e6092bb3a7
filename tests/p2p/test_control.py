"""Control messages of gossip: what a neighbour may make a peer answer, ask for and remember."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.network.stream.exceptions import StreamError
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from betar_tui.p2p import budgets
from betar_tui.p2p.adaptations import control, pubsub
from betar_tui.p2p.adaptations.control import BoundedCache
from betar_tui.p2p.adaptations.router import TopicRouter
from betar_tui.p2p.adaptations.send_queue import SendQueue
from betar_tui.p2p.frames import frame
from betar_tui.p2p.gossip_ledger import ASKED, CONTROL
from betar_tui.p2p.types import MARKET_TOPIC, Misbehaviour, ReceivedBroadcast
from tests.p2p.peers import Peer, pair, raw_stream, resident, until

MESHSUB = "/meshsub/1.1.0"
NAMES = [f"topic {number}" for number in range(control.MAX_PARTS)]


def router_of(peer: Peer) -> TopicRouter:
    router = peer.network._gossip._router
    assert isinstance(router, TopicRouter)
    return router


def key_of(peer: Peer) -> bytes:
    return ID.from_base58(peer.id).to_bytes()


async def say(sender: Peer, receiver: Peer, *rpcs: rpc_pb2.RPC) -> None:
    """Write RPCs on a stream of their own, and wait until they have been read."""
    stream = await raw_stream(sender, receiver.id, MESHSUB)
    for rpc in rpcs:
        await stream.write(frame(rpc.SerializeToString()))
    mark = f"read {os.urandom(4).hex()}".encode()
    before = len(receiver.of(ReceivedBroadcast))
    gossip = sender.network._gossip.pubsub
    message = rpc_pb2.Message(
        data=mark,
        topicIDs=[MARKET_TOPIC],
        from_id=key_of(sender),
        seqno=os.urandom(8),
        key=gossip.host.get_public_key().serialize(),
    )
    assert gossip.sign_key is not None
    message.signature = gossip.sign_key.sign(b"libp2p-pubsub:" + unsigned(message))
    await stream.write(frame(rpc_pb2.RPC(publish=[message]).SerializeToString()))
    await until(lambda: any(event.payload == mark for event in receiver.of(ReceivedBroadcast)[before:]))


def unsigned(message: rpc_pb2.Message) -> bytes:
    plain = rpc_pb2.Message()
    plain.CopyFrom(message)
    plain.ClearField("key")
    plain.ClearField("signature")
    return bytes(plain.SerializeToString())


def control_rpc(**parts: Any) -> rpc_pb2.RPC:
    return rpc_pb2.RPC(control=rpc_pb2.ControlMessage(**parts))


async def test_a_message_is_sent_again_to_a_neighbour_a_few_times_only() -> None:
    async with pair() as (alice, bob):
        await bob.network.broadcast(bytes(60_000))
        await until(lambda: alice.of(ReceivedBroadcast))
        (key,) = router_of(bob).mcache._encoded
        before = bob.network.connections()[0].bytes_out
        ask = control_rpc(iwant=[rpc_pb2.ControlIWant(messageIDs=[key] * 9000)])
        await say(alice, bob, *[ask] * 10)
        await bob.network.flush()
        await bob.network.broadcast(b"after it")
        await until(lambda: any(event.payload == b"after it" for event in alice.of(ReceivedBroadcast)))
        assert bob.network.connections()[0].bytes_out - before < 60_000 * control.MAX_RESENT + 30_000
        assert bob.network._gossip.pubsub.ledger.refused(key_of(alice))[ASKED] == 10 - control.MAX_RESENT
        assert bob.network.connections()[0].refused > 0


async def test_messages_are_sent_again_within_a_budget_of_bytes() -> None:
    async with pair() as (alice, bob):
        for number in range(14):
            await bob.network.broadcast(bytes(500_000) + b"%d" % number)
        await until(lambda: len(alice.of(ReceivedBroadcast)) == 14)
        await bob.network.flush()
        before = bob.network.connections()[0].bytes_out
        ask = control_rpc(iwant=[rpc_pb2.ControlIWant(messageIDs=list(router_of(bob).mcache._encoded))])
        await say(alice, bob, ask, ask)
        await bob.network.flush()
        assert bob.network.connections()[0].bytes_out - before < 6 << 20


async def test_nothing_is_remembered_of_topics_that_are_not_the_markets() -> None:
    async with pair() as (alice, bob):
        router, table = router_of(bob), bob.network._gossip.pubsub.peer_topics
        parts = 3 * len(NAMES)
        await say(
            alice,
            bob,
            control_rpc(prune=[rpc_pb2.ControlPrune(topicID=name, backoff=10**6) for name in NAMES]),
            control_rpc(graft=[rpc_pb2.ControlGraft(topicID=name) for name in NAMES]),
            control_rpc(ihave=[rpc_pb2.ControlIHave(topicID=name, messageIDs=[b"x" * 40]) for name in NAMES]),
            rpc_pb2.RPC(subscriptions=[rpc_pb2.RPC.SubOpts(subscribe=True, topicid=name) for name in NAMES[:60]]),
        )
        assert set(table) == {MARKET_TOPIC}
        for remembered in (router.back_off, router.graft_flood_tracking, router.ihave_message_limits):
            assert not set(NAMES) & {*remembered, *(topic for inner in remembered.values() for topic in inner)}
        assert bob.network._gossip.pubsub.ledger.refused(key_of(alice))[CONTROL] == parts + 60
        assert bob.of(Misbehaviour) == []


async def test_parts_beyond_the_limit_are_ignored_and_counted() -> None:
    async with pair() as (alice, bob):
        many = [rpc_pb2.ControlPrune(topicID=f"{number:016}" + "x" * 8) for number in range(30_000)]
        await say(alice, bob, control_rpc(prune=many))
        assert bob.network._gossip.pubsub.ledger.refused(key_of(alice))[CONTROL] == 30_000
        assert not router_of(bob).back_off


async def test_an_rpc_of_countless_empty_parts_is_refused_before_it_is_decoded() -> None:
    async with pair() as (alice, bob):
        stream = await raw_stream(alice, bob.id, MESHSUB)
        await stream.write(frame(b"\x12\x00" * 500_000))
        await until(lambda: bob.of(Misbehaviour))
        assert "fields" in bob.of(Misbehaviour)[0].reason


async def test_a_neighbour_that_joins_and_leaves_again_and_again_gets_the_messages_only_a_few_times() -> None:
    async with pair() as (alice, bob):
        await bob.network.broadcast(bytes(100_000))
        await until(lambda: alice.of(ReceivedBroadcast))
        flips = [rpc_pb2.RPC.SubOpts(subscribe=bool(number % 2), topicid=MARKET_TOPIC) for number in range(60)]
        before = bob.network.connections()[0].bytes_out
        await say(alice, bob, *[rpc_pb2.RPC(subscriptions=flips)] * 10)
        await bob.network.flush()
        assert bob.network.connections()[0].bytes_out - before < 100_000 * 12
        await until(lambda: alice.id in bob.network.topic_peers())  # the next hello says that it is there


async def test_a_full_mesh_takes_nobody_in() -> None:
    async with pair() as (alice, bob):
        router = router_of(bob)
        mesh = router.mesh[MARKET_TOPIC]
        mesh.discard(ID.from_base58(alice.id))
        strangers = {ID(b"\x12\x20" + bytes([number]) * 32) for number in range(router.degree_high)}
        mesh.update(strangers)
        await router.handle_graft(rpc_pb2.ControlGraft(topicID=MARKET_TOPIC), ID.from_base58(alice.id))
        assert ID.from_base58(alice.id) not in mesh
        mesh.difference_update(strangers)


async def test_of_many_gossip_streams_the_oldest_are_reset() -> None:
    async with pair() as (alice, bob):
        streams = [await raw_stream(alice, bob.id, MESHSUB) for _ in range(pubsub.MAX_STREAMS + 3)]
        for stream in streams:
            with suppress(StreamError):  # it may have been reset already
                await stream.write(b"\xff")
        announced = bob.network._gossip.pubsub._announced
        await until(lambda: len(announced[ID.from_base58(alice.id)]) == pubsub.MAX_STREAMS)
        await alice.network.broadcast(b"all is well")
        await until(lambda: bob.of(ReceivedBroadcast))


async def test_the_last_of_an_authors_messages_comes_through_whatever_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Go peer announces each of its deltas, and the last names the head that brings the others."""
    monkeypatch.setattr(budgets, "AUTHOR_MESSAGES", budgets.Rate(20, 20))
    async with pair() as (alice, bob):
        for number in range(200):
            await alice.network.broadcast(b"%d" % number)
        await until(lambda: any(event.payload == b"199" for event in bob.of(ReceivedBroadcast)))
        assert len(bob.of(ReceivedBroadcast)) < 100
        assert bob.network.connections()[0].refused > 100
        assert bob.of(Misbehaviour) == []


def message(number: int, size: int) -> rpc_pb2.Message:
    return rpc_pb2.Message(from_id=b"author", seqno=number.to_bytes(8), data=bytes(size), topicIDs=[MARKET_TOPIC])


@given(st.lists(st.one_of(st.integers(0, 6 << 20), st.none()), max_size=30))
def test_the_cache_is_bounded_and_keeps_the_newest(steps: list[int | None]) -> None:
    cache, kept = BoundedCache(3, 5), list[tuple[int, int, int]]()  # number, size, age
    for number, size in enumerate(steps):
        if size is None:
            cache.shift()
            kept = [(each, length, age + 1) for each, length, age in kept if age < 4]
        else:
            cache.put(message(number, size))
            cache.put(message(number, size))
            kept.append((number, message(number, size).ByteSize() + control.ENTRY_BYTES, 0))
            while sum(length for _, length, _ in kept) > control.MAX_CACHED and len(kept) > 1:
                kept.pop(0)
        assert [int.from_bytes(key[-8:]) for key in cache._encoded] == [each for each, _, _ in kept]
        assert cache.bytes == sum(length for _, length, _ in kept)
        for each, _, _ in kept[:2]:
            found = cache.get(b"author" + each.to_bytes(8))
            assert found is not None
            assert found.topicIDs == [MARKET_TOPIC]
        offered = {int.from_bytes(key[-8:]) for key in cache.window(MARKET_TOPIC)}
        assert offered == {each for each, _, age in kept if age < 3}


def test_the_cache_does_not_keep_the_rpc_that_a_message_came_in() -> None:
    cache, padding = BoundedCache(3, 5), rpc_pb2.Message(data=bytes(900_000))
    before = resident()
    for number in range(100):
        cache.put(pubsub._parse(rpc_pb2.RPC(publish=[message(number, 1), padding]).SerializeToString()).publish[0])
    assert resident() - before < 40 << 20
    assert len(cache.window(MARKET_TOPIC)) == 100


def test_own_messages_go_first_and_take_the_places_of_others() -> None:
    from libp2p.pubsub.rpc_queue import PriorityQueue

    queue = SendQueue(PriorityQueue())
    while queue.push_frame(bytes(1 << 20)):
        pass
    forwarded = len(queue)
    assert queue.push_frame(b"own" + bytes(1 << 20), own=True)
    assert queue.push_frame(b"control", priority=True)
    assert len(queue) < forwarded + 2
    assert (queue.pop() or b"")[:7] == b"control"
    assert (queue.pop() or b"")[:3] == b"own"


async def test_ids_are_taken_once_and_in_turns() -> None:
    ids = [number.to_bytes(40) for number in range(3000)] * 2 + [bytes(200)]
    taken = await control._ids(ids)
    assert len(taken) == 3000
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await control._ids(ids)
        nursery.cancel_scope.cancel()
    assert turns >= 10
