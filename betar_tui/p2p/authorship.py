"""The signature of a broadcast, and which peer to blame for a bad one.

A Go neighbour forwards every message that it can verify itself (github.com/libp2p/go-libp2p-pubsub, sign.go), and that
is more than is accepted here: sequence numbers of any length, payloads up to a megabyte, other kinds of keys,
signatures that libsodium refuses. With such a message an author could get every honest relay banned. So a relay is
blamed only for messages that Go refuses as well, and for all others only the author, if it delivered the message
itself. Nothing here raises."""

from dataclasses import dataclass

from libp2p.crypto.serialization import deserialize_public_key
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX
from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign_open

from betar_tui.p2p.keys import ED25519, is_sane, peer_of

MAX_PAYLOAD = 512 * 1024
"""Maximum bytes of a broadcast's payload."""
_MAX_ID = 64
"""Maximum bytes of a peer id, and of a sequence number."""
_PREFIX = PUBSUB_SIGNING_PREFIX.encode()


@dataclass(frozen=True, slots=True)
class MessageError:
    """Why a message is refused. `relay_to_blame`: no Go peer would have forwarded it."""

    reason: str
    relay_to_blame: bool


def error_of(message: rpc_pb2.Message) -> MessageError | None:
    """Why a message from outside is refused, or None: then its author signed it."""
    author = message.from_id
    if not message.signature or not _is_peer_id(author):
        return MessageError("a message without author or signature", True)
    if len(message.data) > MAX_PAYLOAD:
        return MessageError("a message that is too large", False)
    if not message.seqno or len(message.seqno) > _MAX_ID or len(author) > _MAX_ID:
        return MessageError("a message without a proper number or author", False)
    key = message.key or author[2:]
    if not is_sane(key):
        return MessageError("a message with a key in a form that is not accepted here", False)
    if peer_of(key) != author:
        return MessageError("a message whose key is not its author's", True)
    if not _signed(message, key):
        return MessageError("a message whose signature does not match", _is_forgery(message.signature, key))
    return None


def _is_peer_id(author: bytes) -> bool:
    # An inline key, or the hash of one.
    return author[:1] == b"\x00" or (author[:2] == b"\x12\x20" and len(author) == 34)


def _signed(message: rpc_pb2.Message, key: bytes) -> bool:
    # py-libp2p 0.8.1: its check leaves out fields that it does not know, but Go signs them with the others.
    signed = rpc_pb2.Message()
    signed.CopyFrom(message)
    signed.ClearField("signature")
    signed.ClearField("key")
    data = _PREFIX + signed.SerializeToString()
    try:
        if key.startswith(ED25519):  # as the library does, without parsing and three objects
            return len(message.signature) == 64 and bool(
                crypto_sign_open(message.signature + data, key[len(ED25519) :])
            )
        return deserialize_public_key(key).verify(data, message.signature)
    except Exception:
        return False


def _is_forgery(signature: bytes, key: bytes) -> bool:
    """Whether Go refuses a signature that was refused here.

    libsodium also refuses points of small order; keys of other kinds differ between the library and Go, too."""
    if not key.startswith(ED25519):
        return False
    points = (key[len(ED25519) :], signature[:32])
    return len(signature) != 64 or all(map(crypto_core_ed25519_is_valid_point, points))
