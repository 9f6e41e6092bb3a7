"""Two running peers with one key learn of each other, and nobody else is believed to be one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from libp2p.pubsub.pb.rpc_pb2 import Message

from betar_tui.errors import DecodeError, NetworkError
from betar_tui.p2p.addresses import peer_id
from betar_tui.p2p.duplicates import client, detector, messages, relay
from betar_tui.p2p.duplicates.client import Instance
from betar_tui.p2p.duplicates.messages import Challenge, Hello, Proof, decode, encode, statement
from betar_tui.p2p.frames import frame
from betar_tui.p2p.types import KeyInUse
from tests.p2p.peers import Peer, meet, pair, peer, raw_stream, until

SEED, OTHER_SEED = bytes(32), bytes(range(32))
N = messages.NONCE
STRANGER = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"


def says(one: Peer) -> bool:
    return "this key is used by another running peer" in "".join(one.network.troubles())


def told(one: Peer) -> list[bool]:
    """Whether each event about a duplicate says that it is over."""
    return [event.over for event in one.of(KeyInUse)]


@pytest.mark.parametrize("message", [Hello(b"i" * N), Challenge(b"c" * N), Proof(b"c" * N, b"i" * N, b"s" * 64)])
def test_messages_are_read_as_they_were_written(message: messages.Message) -> None:
    raw = encode(message)
    assert decode(raw) == message
    assert len(raw) <= messages.MAX_MESSAGE
    for wrong in (raw[:-1], raw + b"x", b"\x09" + raw[1:], b""):
        with pytest.raises(DecodeError):
            decode(wrong)


def test_only_another_process_with_this_key_proves_a_duplicate() -> None:
    own, twin, stranger = Instance(SEED), Instance(SEED), Instance(OTHER_SEED)
    challenge = b"c" * N
    assert own.is_duplicate(twin.prove(challenge))
    assert not own.is_duplicate(own.prove(challenge))  # reflected by a relay
    assert not own.is_duplicate(stranger.prove(challenge))
    proof = twin.prove(challenge)
    assert not own.is_duplicate(Proof(b"d" * N, proof.instance, proof.signature))
    assert not own.is_duplicate(Proof(challenge, b"another instance", proof.signature))
    assert statement(challenge, own.name) != statement(own.name, challenge)


async def test_two_with_one_key_learn_of_each_other_through_a_common_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "EXPIRY", 1.5)
    monkeypatch.setattr(client, "CHALLENGE_INTERVAL", 0.3)
    async with peer("carol") as carol, peer("alice") as alice:
        await meet(alice, carol)
        async with peer("alice") as copy:
            await copy.network.connect(carol.network.addrs[0])
            await until(lambda: says(alice) and says(copy))
            assert carol.id in "".join(copy.network.troubles())
            assert copy.id == alice.id
            await until(lambda: told(alice) == told(copy) == [False])
            # Both stay connected, and the common peer is not harmed.
            # Signs are renewed: one comes after the first would have ceased to count.
            later = trio.current_time() + detector.EXPIRY
            await until(
                lambda: all(each.network._duplicates._until - detector.EXPIRY > later for each in (alice, copy))
            )
            assert says(alice)
            assert says(copy)
            assert len(carol.network._table.connections(alice.id)) == 2
            assert not carol.network.misbehaviours()
            assert not carol.network.troubles()
        await until(lambda: not says(alice))
        await until(lambda: told(alice) == [False, True])
        assert alice.id in carol.network.topic_peers()


async def test_an_address_that_is_said_to_be_ours_and_is_not_is_looked_at() -> None:
    async with peer("alice") as alice, peer("alice") as copy:
        assert not alice.network.remember(alice.id, copy.network.addrs, "mdns")
        await until(lambda: says(alice) and says(copy))
        assert not alice.network.connections()  # the handshake does not become a connection
        assert not copy.network.connections()
        with pytest.raises(NetworkError, match="another running peer"):
            await alice.network.connect(copy.network.addrs[0])


async def test_this_peer_is_not_its_own_duplicate(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair() as (alice, bob):
        # At an address that it does not know to be its own, as behind a router that leads back to it.
        port = alice.network.addrs[0].split("/")[4]
        monkeypatch.setattr(type(alice.network), "addrs", ())
        alice.network.remember(alice.id, [f"/ip4/127.0.0.1/tcp/{port}"])
        alice.network.remember(
            alice.id, [f"/ip4/127.0.0.1/tcp/1/p2p/{alice.id}", f"/ip4/127.0.0.1/tcp/{port}/p2p/{bob.id}"]
        )
        await until(lambda: len(alice.network._duplicates._innocent) == 2)
        assert not says(alice)
        with pytest.raises(NetworkError, match="no other peer answers"):
            await alice.network.connect(f"/ip4/127.0.0.1/tcp/{port}/p2p/{alice.id}")


async def test_a_relay_cannot_invent_a_duplicate(monkeypatch: pytest.MonkeyPatch) -> None:
    lies = trio.Event()
    monkeypatch.setattr(relay, "MESSAGE_PAUSE", 0)

    async def lie(stream: object) -> None:
        reader = relay.FrameReader(stream, 256)  # type: ignore[arg-type]
        hello = decode(await reader.next() or b"")
        assert isinstance(hello, Hello)
        say: Callable[[messages.Message], object] = lambda message: stream.write(frame(encode(message)))  # type: ignore[attr-defined]  # noqa: E731
        await say(Hello(b"x" * N))  # type: ignore[misc]
        challenge = decode(await reader.next() or b"")
        assert isinstance(challenge, Challenge)
        await say(challenge)  # type: ignore[misc]
        reflected = decode(await reader.next() or b"")
        assert isinstance(reflected, Proof)
        await say(reflected)  # type: ignore[misc]
        await say(Proof(challenge.challenge, b"x" * N, reflected.signature))  # type: ignore[misc]
        await say(Instance(OTHER_SEED).prove(challenge.challenge))  # type: ignore[misc]
        await say(Challenge(b"z" * N))  # type: ignore[misc]
        assert isinstance(decode(await reader.next() or b""), Proof)  # all before was handled
        lies.set()

    async with peer("alice") as alice, peer("bob") as bob:
        bob.network.set_protocol_handler(messages.PROTOCOL, lie)
        await meet(alice, bob)
        with trio.fail_after(10):
            await lies.wait()
        assert not says(alice)
        assert not told(alice)


async def test_a_relay_is_not_harmed_by_garbage_or_many_streams() -> None:
    async with pair() as (alice, bob):
        stream = await raw_stream(alice, bob.id, messages.PROTOCOL)
        await stream.write(frame(b"garbage"))
        await until(bob.network.misbehaviours)
        for number in range(relay.MAX_STREAMS + 3):
            stream = await raw_stream(alice, bob.id, messages.PROTOCOL)
            await stream.write(frame(encode(Hello(bytes((number,)) * N))))
        members = bob.network._duplicates.relay._members
        await until(lambda: len(members.get(alice.id, ())) == relay.MAX_STREAMS)
        await alice.network.disconnect(bob.id)
        await until(lambda: not members)


async def test_a_peer_that_was_restarted_is_not_its_own_duplicate() -> None:
    async with peer("carol") as carol:
        async with peer("alice") as before:
            await meet(before, carol)
            # The connection of the earlier run stays open at the other end, as after a power cut.
            before.network._swarm.connections.clear()
        async with peer("alice") as alice:
            await meet(alice, carol)
            await until(lambda: carol.network._duplicates.relay._members.get(alice.id))
            await alice.network.broadcast(b"one")
            await trio.sleep(0.5)
            assert not says(alice)
            assert not told(alice)


async def test_a_message_of_ours_that_we_did_not_send_shows_a_duplicate() -> None:
    async with peer("alice") as alice, peer("alice") as copy:
        sent: list[Message] = []
        publish = copy.network._gossip.pubsub.router.publish

        async def keep(forwarder: object, message: Message) -> None:
            sent.append(message)
            await publish(forwarder, message)  # type: ignore[arg-type]

        copy.network._gossip.pubsub.router.publish = keep  # type: ignore[method-assign,assignment]
        await copy.network.broadcast(b"one")
        pubsub = alice.network._gossip.pubsub
        (message,) = sent
        neighbour = peer_id(STRANGER)
        forged = Message()
        forged.CopyFrom(message)
        forged.data = b"two"
        await pubsub.push_msg(neighbour, forged)
        assert alice.network.misbehaviours() == {STRANGER: 1}
        earlier, pubsub.counter = pubsub.counter, pubsub.counter + 10**12
        await pubsub.push_msg(neighbour, message)  # numbered below ours: it may be from an earlier run
        pubsub.counter = earlier
        assert not alice.network._duplicates._signs
        await pubsub.push_msg(neighbour, message)
        assert alice.network.misbehaviours() == {STRANGER: 1}  # that one was signed with our key
        await until(lambda: says(alice))
        assert "on the topic" in alice.network.troubles()[0]
