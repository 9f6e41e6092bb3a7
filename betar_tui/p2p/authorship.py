"""Who wrote a broadcast, and who is to blame for a bad one.

A Go neighbour passes on whatever it could verify itself (github.com/libp2p/go-libp2p-pubsub, sign.go), and that is more
than we take: numbers of any length, payloads up to a megabyte, other kinds of keys, signatures that libsodium is too
careful for. An author could have every honest relay put out with such a message. So who passes one on is blamed only for
what Go refuses as well; for the rest nobody is but its author, when that is the one who brings it. Nothing here raises.
"""

from __future__ import annotations

from dataclasses import dataclass

from libp2p.crypto.serialization import deserialize_public_key
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX
from nacl.bindings import crypto_core_ed25519_is_valid_point

from betar_tui.p2p.keys import ED25519, is_sane, peer_of

MAX_PAYLOAD = 512 * 1024
_MAX_NAME = 64
"""Bytes of a peer id, and of a message's number."""
_PREFIX = PUBSUB_SIGNING_PREFIX.encode()


@dataclass(frozen=True, slots=True)
class MessageError:
    """What is wrong with a message. `relay_to_blame`: no Go peer would have passed it on."""

    what: str
    relay_to_blame: bool


def flaw_of(message: rpc_pb2.Message) -> MessageError | None:
    """What is wrong with a message from outside, or None: then its author signed it."""
    author = message.from_id
    if not message.signature or not _names_a_peer(author):
        return MessageError("a message without author or signature", True)
    if len(message.data) > MAX_PAYLOAD:
        return MessageError("a message that is too large", False)
    if not message.seqno or len(message.seqno) > _MAX_NAME or len(author) > _MAX_NAME:
        return MessageError("a message without a proper number or author", False)
    key = message.key or author[2:]
    if not is_sane(key):
        return MessageError("a message with a key of no form that is taken here", False)
    if peer_of(key) != author:
        return MessageError("a message whose key is not its author's", True)
    if not _signed(message, key):
        return MessageError("a message whose signature does not match", _is_forgery(message.signature, key))
    return None


def _names_a_peer(author: bytes) -> bool:
    # A key itself, or the hash of one.
    return author[:1] == b"\x00" or (author[:2] == b"\x12\x20" and len(author) == 34)


def _signed(message: rpc_pb2.Message, key: bytes) -> bool:
    # py-libp2p 0.8.1: its check leaves out fields that it does not know, and Go signs them with the others.
    signed = rpc_pb2.Message()
    signed.CopyFrom(message)
    signed.ClearField("signature")
    signed.ClearField("key")
    try:
        return deserialize_public_key(key).verify(_PREFIX + signed.SerializeToString(), message.signature)
    except Exception:
        return False


def _is_forgery(signature: bytes, key: bytes) -> bool:
    """Whether Go refuses a signature that was refused here. libsodium also refuses points of small order, and the
    library's other kinds differ from Go's in such ways too."""
    if not key.startswith(ED25519):
        return False
    points = (key[len(ED25519) :], signature[:32])
    return len(signature) != 64 or all(map(crypto_core_ed25519_is_valid_point, points))
