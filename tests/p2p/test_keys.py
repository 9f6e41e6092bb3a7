"""Keys from outside: the forms of Go, Rust and JavaScript are accepted, and a key that takes long is not parsed."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from Crypto.PublicKey import RSA
from Crypto.Util.asn1 import DerSequence
from libp2p.crypto import ed25519, rsa, secp256k1, x25519
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.pb import crypto_pb2
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.security.noise.messages import NoiseHandshakePayload
from libp2p.security.noise.pb import noise_pb2
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport

from betar_tui.errors import NetworkError
from betar_tui.p2p.frames import frame
from betar_tui.p2p.host import build_host
from betar_tui.p2p.keys import is_sane, peer_of
from betar_tui.p2p.types import MARKET_TOPIC, ReceivedBroadcast
from tests.p2p.peers import SECONDS, config, meet, pair, peer, raw_stream, until

FACTOR = (1 << 2203) - 1  # a Mersenne prime: a key with such factors is tested for a second and more
HASHED = b"\x12\x20" + b"a" * 32


def rsa_key(der: bytes) -> bytes:
    return bytes(crypto_pb2.PublicKey(key_type=crypto_pb2.KeyType.RSA, data=der).SerializeToString())


def private_key() -> bytes:
    """What looks like the file of a private key to the library, under the name of a public one."""
    p, q, e = FACTOR, FACTOR + 2, 65537
    d = pow(e, -1, p - 1)
    return rsa_key(bytes(DerSequence([0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), 1]).encode()))


def public_key(bits: int, exponent: int = 65537) -> bytes:
    modulus = (1 << (bits - 1)) | 1
    return rsa_key(RSA.construct((modulus, exponent), consistency_check=False).export_key("DER"))


@pytest.mark.parametrize("bits", [2048, 2050, 2056, 3072, 4096])
def test_rsa_keys_as_go_writes_them_are_taken(bits: int) -> None:
    assert is_sane(public_key(bits))


def test_keys_of_a_sane_kind_are_taken_and_name_their_owner() -> None:
    for made in (ed25519, secp256k1, rsa):
        pair_of_keys: KeyPair = made.create_new_key_pair()
        key = pair_of_keys.public_key.serialize()
        assert is_sane(key)
        assert peer_of(key) == ID.from_pubkey(pair_of_keys.public_key).to_bytes()


def test_no_other_form_is_parsed() -> None:
    good = public_key(2048)
    modulus_at = len(good) - 5 - 257
    strange = {
        "a private key": private_key(),
        "too small": public_key(2040),
        "too large": public_key(4104),
        "a large exponent": public_key(2048, (1 << 2047) - 1),
        "an exponent of three": public_key(2048, 3),
        "PKCS #1": rsa_key(RSA.construct(((1 << 2047) | 1, 65537), False).export_key("DER", pkcs=8)[24:]),
        "PEM": rsa_key(RSA.construct(((1 << 2047) | 1, 65537), False).export_key("PEM")),
        "SSH": rsa_key(RSA.construct(((1 << 2047) | 1, 65537), False).export_key("OpenSSH")),
        "negative": good[:modulus_at] + b"\x80" + good[modulus_at + 1 :],
        "more behind it": good + b"\x00",
        "a number that ends early": good[: modulus_at - 1] + b"\x00" + good[modulus_at:],
        "another kind": b"\x08\x03" + good[2:],
        "a short Ed25519 key": b"\x08\x01\x12\x1f" + bytes(31),
        "a long one": b"\x08\x01\x12\x21" + bytes(33),
        "nothing": b"",
    }
    assert [name for name, key in strange.items() if is_sane(key)] == []


def no_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the library may import no RSA key."""

    def imported(*arguments: object, **named: object) -> None:
        pytest.fail("an RSA key is parsed")

    monkeypatch.setattr(RSA, "import_key", imported)


async def test_a_broadcast_with_a_private_key_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    no_parsing(monkeypatch)
    async with pair() as (alice, bob):
        stream = await raw_stream(alice, bob.id, "/meshsub/1.1.0")
        inline = rsa_key(b"-----BEGIN")  # inlined in the id, next to another one
        for name, key in ((HASHED, private_key()), (b"\x00" + bytes((len(inline),)) + inline, private_key())):
            message = rpc_pb2.Message(
                data=b"", topicIDs=[MARKET_TOPIC], from_id=name, seqno=b"1" * 8, signature=b"x", key=key
            )
            await stream.write(frame(rpc_pb2.RPC(publish=[message]).SerializeToString()))
        await stream.write(frame(b""))
        await alice.network.broadcast(b"after")
        await until(lambda: bob.of(ReceivedBroadcast))
        assert [event.payload for event in bob.of(ReceivedBroadcast)] == [b"after"]


async def test_a_handshake_with_a_private_key_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anybody may open a TCP connection: each stalled everything for a second and more, uncharged."""
    key = private_key()
    honest = NoiseHandshakePayload.serialize
    async with peer("alice") as alice, peer("bob") as bob, peer("carol") as carol:
        evil = alice.network._host.get_public_key().serialize()
        sent = []

        def serialize(self: NoiseHandshakePayload) -> bytes:
            if self.id_pubkey.serialize() != evil:
                return honest(self)
            sent.append(key)
            payload = noise_pb2.NoiseHandshakePayload(identity_key=key, identity_sig=b"x" * 64)
            return bytes(payload.SerializeToString())

        monkeypatch.setattr(NoiseHandshakePayload, "serialize", serialize)
        no_parsing(monkeypatch)
        for one, other in ((alice, bob), (bob, alice)):  # either dials
            with pytest.raises(NetworkError):
                await one.network.connect(other.network.addrs[0])
        assert len(sent) >= 2
        assert not bob.network.connections()
        await meet(carol, bob)


async def test_a_peer_with_an_rsa_key_shakes_hands() -> None:
    """Old Go peers have one."""
    keys = rsa.create_new_key_pair()
    theirs = NoiseTransport(keys, x25519.create_new_key_pair().private_key)
    ours: Any = build_host(config("ours")).get_network()
    transport = ours.upgrader.security_multistream.transports[NOISE]
    met = []

    async def answer() -> None:
        met.append(await transport.secure_inbound(RawConnection(TrioTCPStream(here), False)))

    here, there = trio.testing.memory_stream_pair()
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            await theirs.secure_outbound(RawConnection(TrioTCPStream(there), True), ours.get_peer_id())
    assert met[0].remote_peer == ID.from_pubkey(keys.public_key)
