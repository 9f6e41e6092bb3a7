"""Which peer is blamed for a bad broadcast: never a relay for a message that a Go peer forwards."""

from __future__ import annotations

from hashlib import sha512

import pytest
from libp2p.crypto import ed25519, rsa, secp256k1
from libp2p.crypto.keys import KeyPair
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from nacl import bindings

from betar_tui.p2p.authorship import MAX_PAYLOAD, MessageError, error_of
from betar_tui.p2p.frames import frame
from betar_tui.p2p.types import MARKET_TOPIC, ReceivedBroadcast
from tests.p2p.peers import pair, raw_stream, until

SEED = b"author of the tests".ljust(32)
AUTHOR = ed25519.create_new_key_pair(SEED)
LONG = b"n" * 65
IDENTITY = b"\x01" + bytes(31)
"""The neutral element of the curve: of small order, so that libsodium refuses it."""


def message(keys: KeyPair = AUTHOR, unknown: bytes = b"", **fields: object) -> rpc_pb2.Message:
    """A message as its author signs it."""
    plain = {"data": b"x", "seqno": b"12345678", "from_id": ID.from_pubkey(keys.public_key).to_bytes(), **fields}
    one = rpc_pb2.Message(topicIDs=[MARKET_TOPIC], **plain)
    one.MergeFromString(unknown)
    one.signature = keys.private_key.sign(b"libp2p-pubsub:" + one.SerializeToString())
    if len(one.from_id) == 34:
        one.key = keys.public_key.serialize()
    return one


@pytest.mark.parametrize("kind", [ed25519, secp256k1, rsa])
def test_a_signed_message_is_accepted_for_every_kind_of_key(kind: object) -> None:
    assert error_of(message(kind.create_new_key_pair())) is None  # type: ignore[attr-defined]


def test_fields_that_only_the_author_knows_are_signed_with_the_others() -> None:
    """Go verifies them, and passes the message on."""
    assert error_of(message(unknown=b"\x7a\x03new")) is None


def test_a_message_without_data_is_as_good_as_any() -> None:
    one = message()
    one.ClearField("data")
    one.ClearField("signature")
    one.signature = AUTHOR.private_key.sign(b"libp2p-pubsub:" + one.SerializeToString())
    assert error_of(one) is None


def test_a_relay_is_not_blamed_for_a_message_that_go_forwards() -> None:
    strange = message()
    strange.from_id, strange.key = b"\x12\x20" + b"a" * 32, b"\x08\x03\x12\x5b" + bytes(91)  # ECDSA
    for one in (
        message(seqno=LONG),
        message(seqno=b""),
        message(data=bytes(MAX_PAYLOAD + 1)),
        message(from_id=b"\x00" + b"k" * 64),
        strange,
        of_small_order(),
    ):
        error = error_of(one)
        assert error is not None
        assert not error.relay_to_blame, error


def of_small_order() -> rpc_pb2.Message:
    """Signed with a nonce of zero: the equation that Go checks holds, and libsodium refuses R alone."""
    one = message()
    author = AUTHOR.public_key.to_bytes()
    one.ClearField("signature")
    text = b"libp2p-pubsub:" + one.SerializeToString()
    scalar = bytearray(sha512(SEED).digest()[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    reduced = bindings.crypto_core_ed25519_scalar_reduce
    challenge = reduced(sha512(IDENTITY + author + text).digest())
    proof = bindings.crypto_core_ed25519_scalar_mul(challenge, reduced(bytes(scalar).ljust(64, b"\x00")))
    one.signature = IDENTITY + proof
    return one


def test_a_relay_is_blamed_for_a_message_that_go_refuses() -> None:
    tampered, unsigned, cut, another = message(), message(), message(), message(ed25519.create_new_key_pair())
    tampered.data = b"y"
    unsigned.ClearField("signature")
    cut.signature = cut.signature[:-1]
    another.key = AUTHOR.public_key.serialize()
    for one in (tampered, unsigned, cut, another, message(from_id=b""), message(from_id=b"x" * 400)):
        error = error_of(one)
        assert error is not None
        assert error.relay_to_blame, error


async def test_a_relay_is_not_banned_for_the_messages_of_others() -> None:
    """Twenty-one tiny messages, well signed by somebody, banned every honest Go peer that passed them on."""
    async with pair(misbehaviour_budget=3) as (alice, bob):
        rpc = rpc_pb2.RPC(publish=[message(seqno=LONG + b"%d" % number) for number in range(10)])
        stream = await raw_stream(alice, bob.id, "/meshsub/1.1.0")
        await stream.write(frame(rpc.SerializeToString()))
        await stream.write(frame(rpc_pb2.RPC(publish=[message(data=b"good")]).SerializeToString()))
        await until(lambda: bob.of(ReceivedBroadcast))
        assert [event.payload for event in bob.of(ReceivedBroadcast)] == [b"good"]
        assert bob.network.misbehaviours() == {}


async def test_an_author_that_sends_its_own_bad_message_is_penalized() -> None:
    async with pair() as (alice, bob):
        host = alice.network._host
        own = KeyPair(host.get_private_key(), host.get_public_key())
        one = message(own, seqno=LONG)
        assert error_of(one) == MessageError("a message without a proper number or author", False)
        stream = await raw_stream(alice, bob.id, "/meshsub/1.1.0")
        await stream.write(frame(rpc_pb2.RPC(publish=[one]).SerializeToString()))
        await until(lambda: bob.network.misbehaviours() == {alice.id: 1})
