"""Whatever a peer sends, it harms only itself: the others still get through."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from nacl.signing import SigningKey

from betar_tui.errors import DecodeError, NetworkError
from betar_tui.p2p.bitswap.messages import V12, Block, Message, encode
from betar_tui.p2p.frames import frame
from betar_tui.p2p.keys import ED25519
from betar_tui.p2p.types import Misbehaviour, PeerDisconnected, ReceivedBroadcast
from tests.p2p.peers import Peer, meet, pair, peer, raw_stream, until

MESHSUB = "/meshsub/1.1.0"
TOPIC = "betar/marketplace/crdt"
SIGNER = bytes(SigningKey(b"s" * 32).verify_key)


async def say(sender: Peer, receiver: Peer, protocol: str, data: bytes) -> INetStream:
    """Write raw bytes on a new stream."""
    stream = await raw_stream(sender, receiver.id, protocol)
    await stream.write(data)
    return stream


async def still_fine(bob: Peer) -> None:
    """A good peer gets through to bob, both by gossip and by Bitswap."""
    async with peer("carol") as carol:
        await meet(carol, bob)
        before = len(bob.of(ReceivedBroadcast))
        await carol.network.broadcast(b"all is well")
        await until(lambda: len(bob.of(ReceivedBroadcast)) > before)
        cid = bob.shelf.put(b"still served")
        assert (await carol.fetch([cid], bob.id))[cid] == b"still served"


@pytest.mark.parametrize(
    "data",
    [
        frame(b"\xff\xff\xff\xff"),
        frame(b"\x0a\xff\xff\xff\x7fx"),
        b"\xff" * 20,
        frame(b"x" * 100)[:50],
        b"\x80\x80\x80\x80\x20",  # announces 8 GiB
    ],
    ids=["no protobuf", "cut field", "endless length", "cut frame", "huge length"],
)
@pytest.mark.parametrize("protocol", [MESHSUB, "/ipfs/bitswap/1.2.0"])
async def test_malformed_messages_end_their_stream_only(data: bytes, protocol: str) -> None:
    """docs/py-libp2p.md#failures-that-end-the-run: one malformed RPC was enough."""
    async with pair() as (alice, bob):
        stream = await say(alice, bob, protocol, data)
        await stream.close()
        await until(lambda: bob.of(Misbehaviour))
        assert bob.of(Misbehaviour)[0].peer == alice.id
        await still_fine(bob)


def signed(sender: Peer, **fields: object) -> rpc_pb2.RPC:
    message = rpc_pb2.Message(
        topicIDs=[TOPIC], data=b"evil", seqno=b"12345678", from_id=ID.from_base58(sender.id).to_bytes()
    )
    for name, value in fields.items():
        setattr(message, name, value)
    return rpc_pb2.RPC(publish=[message])


@pytest.mark.parametrize(
    "fields",
    [
        {"from_id": b"\x12\x20" + b"\x01" * 32, "key": b"\x08\x01\x12\x20" + b"\xff" * 32, "signature": b"s" * 64},
        {"from_id": b"\x00\x24" + ED25519 + SIGNER, "signature": SIGNER + b"s" * 32},
        {"from_id": b"", "signature": b"s"},
        {"from_id": b"x" * 400, "key": b"\x00", "signature": b"s"},
        {"signature": b""},
        {"seqno": b"", "signature": b"s" * 64},
    ],
    ids=["not a point", "wrong signature", "no author", "long author", "unsigned", "no number"],
)
async def test_forged_messages_are_dropped_and_penalized(fields: dict[str, object]) -> None:
    """docs/py-libp2p.md#failures-that-end-the-run: a garbage key, without any valid signature, was enough."""
    async with pair() as (alice, bob):
        stream = await say(alice, bob, MESHSUB, frame(signed(alice, **fields).SerializeToString()))
        await until(lambda: bob.of(Misbehaviour))
        # An honest neighbour may have passed it on: its stream goes on.
        await stream.write(frame(signed(alice, **fields).SerializeToString()))
        await until(lambda: len(bob.of(Misbehaviour)) == 2)
        assert bob.of(ReceivedBroadcast) == []
        await still_fine(bob)


async def test_garbage_keys_are_dropped_and_end_nothing() -> None:
    async with pair() as (alice, bob):
        for name in (b"\x12\x20" + b"\x01" * 32, b"\x00\x24" + b"\xff" * 36, b"\x00"):
            rpc = signed(alice, from_id=name, key=b"garbage", signature=b"s" * 64)
            await say(alice, bob, MESHSUB, frame(rpc.SerializeToString()))
        await still_fine(bob)
        assert [event.payload for event in bob.of(ReceivedBroadcast)] == [b"all is well"]


async def test_messages_that_claim_to_be_our_own_are_ignored() -> None:
    async with pair() as (alice, bob):
        rpc = signed(bob, signature=b"s" * 64)
        await say(alice, bob, MESHSUB, frame(rpc.SerializeToString()))
        await alice.network.broadcast(b"honest")
        await until(lambda: bob.of(ReceivedBroadcast))
        assert [event.payload for event in bob.of(ReceivedBroadcast)] == [b"honest"]


async def test_a_handler_that_raises_is_contained() -> None:
    async with pair() as (alice, bob):

        async def broken(stream: INetStream) -> None:
            await stream.read(1)
            raise RuntimeError("a defect here")

        bob.network.set_protocol_handler("/test/broken/1.0.0", broken)
        await until(lambda: alice.network.supports(bob.id, "/test/broken/1.0.0"))
        for _ in range(30):
            await say(alice, bob, "/test/broken/1.0.0", b"x")
        await until(bob.network.troubles)
        assert "a defect here" in bob.network.troubles()[0]
        await still_fine(bob)
        assert bob.of(Misbehaviour) == []
        assert alice.id in bob.network.topic_peers()


async def test_a_handler_that_cannot_decode_penalizes_the_sender() -> None:
    async with pair() as (alice, bob):

        async def strict(stream: INetStream) -> None:
            await stream.read(1)
            async with trio.open_nursery():
                raise DecodeError("no such thing")

        bob.network.set_protocol_handler("/test/strict/1.0.0", strict)
        await until(lambda: alice.network.supports(bob.id, "/test/strict/1.0.0"))
        await say(alice, bob, "/test/strict/1.0.0", b"x")
        await until(lambda: bob.of(Misbehaviour))
        assert bob.of(Misbehaviour)[0].peer == alice.id
        assert bob.network.troubles() == ()


async def test_thousands_of_misbehaviours_in_one_message_are_two_events_and_end_the_reading() -> None:
    async with pair(misbehaviour_budget=20) as (alice, bob):
        rpc = rpc_pb2.RPC()
        for number in range(2000):
            rpc.publish.extend(signed(alice, signature=b"s" * 64, seqno=b"%08d" % number).publish)
        await say(alice, bob, MESHSUB, frame(rpc.SerializeToString()))
        await until(lambda: len(bob.of(Misbehaviour)) == 2)
        await until(lambda: bob.of(PeerDisconnected))
        await still_fine(bob)
        assert len(bob.of(Misbehaviour)) == 2
        assert "19 more" in bob.of(Misbehaviour)[1].reason
        assert bob.network.misbehaviours() == {alice.id: 21}


async def test_garbage_on_the_port_stops_nothing() -> None:
    async with peer("bob") as bob:
        port = int(bob.network.addrs[0].split("/")[4])
        for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 1000, b"\x13/multistream/1.0.0\n" + b"\xff" * 500):
            tcp = await trio.open_tcp_stream("127.0.0.1", port)
            await tcp.send_all(data) if data else None
            await tcp.aclose()
        silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(20)]
        await still_fine(bob)
        for tcp in silent:
            await tcp.aclose()


async def test_too_many_misbehaviours_ban_a_peer_for_a_while() -> None:
    async with pair(misbehaviour_budget=3) as (alice, bob):
        for number in range(4):
            bob.network.penalize(alice.id, f"reason {number}")
        await until(lambda: bob.of(PeerDisconnected))
        assert bob.network.misbehaviours()[alice.id] == 4
        await until(lambda: not alice.network.connections())
        with suppress(NetworkError):  # refused, or closed at once
            await alice.network.connect(bob.network.addrs[0])
        await until(lambda: not alice.network.connections() and not bob.network.connections())
        await still_fine(bob)


async def test_unsolicited_and_wrong_blocks_are_dropped_and_penalized() -> None:
    """docs/py-libp2p.md#bitswap: the library's client stores both."""
    async with pair() as (alice, bob):
        cid = alice.shelf.put(b"wanted, but never sent rightly")
        alice.shelf.stored[cid] = b"other bytes under that name"
        bob.network.want([cid], alice.id)
        await until(lambda: bob.of(Misbehaviour))
        assert len(bob.network._bitswap._wants) == 1
        unsolicited = Message(blocks=[Block(cid[:4], b"not asked for")])
        await say(alice, bob, V12, frame(encode(unsolicited)))
        await until(lambda: len(bob.of(Misbehaviour)) >= 2)
        strange = Message(blocks=[Block(b"\x01\x55\x16\x20", b"sha3")])
        await say(alice, bob, V12, frame(encode(strange)))
        await until(lambda: len(bob.of(Misbehaviour)) >= 3)
        with pytest.raises(trio.WouldBlock):
            bob.network.blocks.receive_nowait()
        await still_fine(bob)


async def test_streams_beyond_the_limit_are_reset() -> None:
    async with pair(max_streams_per_peer=16) as (alice, bob):
        for _ in range(20):
            try:
                await say(alice, bob, "/ipfs/bitswap/1.2.0", b"")
            except NetworkError:
                continue
        await until(lambda: bob.of(Misbehaviour))
        await still_fine(bob)


async def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Library logs stay away from the terminal, above all tracebacks."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        async with pair() as (alice, bob):
            await say(alice, bob, MESHSUB, frame(b"\xff\xff"))
            await until(lambda: bob.of(Misbehaviour))
            with pytest.raises(NetworkError):
                await raw_stream(alice, bob.id, "/nobody/speaks/this")
    finally:
        root.handlers = handlers
    assert capfd.readouterr().err == ""
