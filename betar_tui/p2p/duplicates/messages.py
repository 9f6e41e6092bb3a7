"""Messages of the protocol `/betar-tui/instances/1.0.0` (docs/protocol.md#one-key-on-two-machines). Pure.

Two processes that have the same key cannot hear each other through gossip, since no peer forwards a message to its own
author. A peer that both are connected to relays these messages between them; what they prove is signed, so the relay
is not trusted."""

from dataclasses import dataclass

from betar_tui.errors import DecodeError

PROTOCOL = "/betar-tui/instances/1.0.0"
NONCE = 16
"""Number of bytes of an instance's name and of a challenge; both are random."""
SIGNATURE = 64
"""Number of bytes of an Ed25519 signature."""
MAX_MESSAGE = 1 + 2 * NONCE + SIGNATURE
"""Maximum bytes of a message."""
_HELLO, _CHALLENGE, _PROOF = 1, 2, 3
_PREFIX = b"betar-instance:v1:"


@dataclass(frozen=True, slots=True)
class Hello:
    """To the relay: the process that opened this stream. From the relay: another one that has the asker's key."""

    instance: bytes


@dataclass(frozen=True, slots=True)
class Challenge:
    """A random number for the other processes to sign."""

    challenge: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """`instance` has the key and runs, since it signed a challenge made just now."""

    challenge: bytes
    instance: bytes
    signature: bytes


Message = Hello | Challenge | Proof


def statement(challenge: bytes, instance: bytes) -> bytes:
    """The bytes that a proof signs."""
    return _PREFIX + challenge + instance


def encode(message: Message) -> bytes:
    """A message without its length."""
    match message:
        case Hello():
            return bytes((_HELLO,)) + message.instance
        case Challenge():
            return bytes((_CHALLENGE,)) + message.challenge
        case Proof():
            return bytes((_PROOF,)) + message.challenge + message.instance + message.signature


def decode(raw: bytes) -> Message:
    """The message in `raw`. Raises DecodeError."""
    kind, rest = raw[:1], raw[1:]
    if kind == bytes((_HELLO,)) and len(rest) == NONCE:
        return Hello(rest)
    if kind == bytes((_CHALLENGE,)) and len(rest) == NONCE:
        return Challenge(rest)
    if kind == bytes((_PROOF,)) and len(raw) == MAX_MESSAGE:
        return Proof(rest[:NONCE], rest[NONCE : 2 * NONCE], rest[2 * NONCE :])
    raise DecodeError("not a message of the instances protocol")
