"""Messages of the DHT, encoded and decoded by hand within a budget, and the binary addresses in them.

The message (specs of libp2p, kad-dht), without the record of a value, which is skipped:

    Message { Type type = 1; bytes key = 2; Peer closerPeers = 8; Peer providerPeers = 9 }
    Peer    { bytes id = 1; bytes addrs = 2 (repeated); ConnectionType connection = 3 }

Parts beyond a maximum are dropped, nonsense raises DecodeError. Addresses stay binary until somebody wants to dial
them: parsing all those of a hostile answer with the library would take half a second."""

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

import base58

from betar_tui.errors import DecodeError
from betar_tui.ipld.protobuf import BYTES, VARINT, Budget, read_varint, write_bytes, write_varint

PROTOCOL = "/ipfs/kad/1.0.0"
MAX_REQUEST, MAX_ANSWER = 64 << 10, 1 << 20
"""Maximum bytes of a request and of an answer; Go's answers have 10 to 100 KiB."""
MAX_FIELDS = 1 << 14
"""Maximum fields of a message to read, nested ones included."""
MAX_CLOSER, MAX_PROVIDERS = 20, 128
"""Maximum closer peers and providers of a message that are read."""
MAX_KEY = 80
"""Maximum bytes of a key, as in Go."""
MAX_ADDRS, MAX_ADDR = 16, 128
"""Maximum addresses of a peer that are kept, and maximum bytes of one of them; others are skipped."""

_IP4, _IP6, _TCP, _P2P = b"\x04", b"\x29", b"\x06", b"\xa5\x03"
_MASK64 = (1 << 64) - 1


class Kind(IntEnum):
    """The type of a message."""

    PUT_VALUE = 0
    GET_VALUE = 1
    ADD_PROVIDER = 2
    GET_PROVIDERS = 3
    FIND_NODE = 4
    PING = 5


@dataclass(frozen=True, slots=True)
class DhtPeer:
    """A peer and its multiaddrs in binary, without /p2p; unverified if it was received."""

    peer: str
    addrs: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class DhtMessage:
    """A request or its answer. `kind` is a `Kind`, or another number if the peer sent one."""

    kind: int
    key: bytes = b""
    closer: Sequence[DhtPeer] = ()
    providers: Sequence[DhtPeer] = ()


@dataclass(slots=True)
class _Draft:
    kind: int = 0
    key: bytes = b""
    closer: dict[str, DhtPeer] = field(default_factory=dict)
    providers: dict[str, DhtPeer] = field(default_factory=dict)


@lru_cache(1024)
def binary_id(peer: str) -> bytes:
    """A peer id in binary; decoding base58 takes 14 µs, and an answer names 20 peers of the same few hundred."""
    return base58.b58decode(peer)


def encode(message: DhtMessage) -> bytes:
    """`message` as bytes, without a length before it."""
    out = bytearray(b"\x08" + write_varint(message.kind))
    if message.key:
        out += write_bytes(2, message.key)
    for number, peers in ((8, message.closer), (9, message.providers)):
        for each in peers:
            parts = [write_bytes(1, binary_id(each.peer)), *(write_bytes(2, addr) for addr in each.addrs)]
            out += write_bytes(number, b"".join(parts))
    return bytes(out)


def decode(raw: bytes) -> DhtMessage:
    """The message in `raw`, in which each peer is named once at most. Raises DecodeError."""
    draft = _Draft()
    budget = Budget(MAX_FIELDS, "a DHT message")
    for number, kind, a, b in budget.fields(raw, 0, len(raw)):
        match number:
            case 1:
                _expect(VARINT, kind)
                draft.kind = a
            case 2:
                _expect(BYTES, kind)
                if b - a > MAX_KEY:
                    raise DecodeError(f"a key of {b - a} bytes in a DHT message")
                draft.key = raw[a:b]
            case 8 | 9:
                _expect(BYTES, kind)
                peers, limit = (draft.closer, MAX_CLOSER) if number == 8 else (draft.providers, MAX_PROVIDERS)
                if len(peers) < limit and (peer := _decode_peer(raw, a, b, budget)) is not None:
                    peers.setdefault(peer.peer, peer)
    return DhtMessage(draft.kind, draft.key, tuple(draft.closer.values()), tuple(draft.providers.values()))


def _decode_peer(raw: bytes, pos: int, end: int, budget: Budget) -> DhtPeer | None:
    """A peer, or None where its id is not one: Go passes on what others told it."""
    peer = b""
    addrs: dict[bytes, None] = {}
    for number, kind, a, b in budget.fields(raw, pos, end):
        if number == 1:
            _expect(BYTES, kind)
            peer = raw[a:b]
        elif number == 2:
            _expect(BYTES, kind)
            if b - a <= MAX_ADDR and len(addrs) < MAX_ADDRS:
                addrs[raw[a:b]] = None
    if not _is_peer_id(peer):
        return None
    return DhtPeer(base58.b58encode(peer).decode(), tuple(addrs))


def _is_peer_id(raw: bytes) -> bool:
    """Whether the bytes are a multihash as peer ids are: of sha2-256, or a short key itself."""
    if len(raw) < 2 or raw[1] != len(raw) - 2:
        return False
    return (raw[0] == 0x12 and raw[1] == 32) or (raw[0] == 0 and 32 <= raw[1] <= 42)


def tcp_address(raw: bytes) -> str | None:
    """A binary multiaddr as text if it is plain TCP to an IP address and a real port, with or without /p2p."""
    for kind, code, size in (("ip4", _IP4, 4), ("ip6", _IP6, 16)):
        end = 1 + size + 3
        if raw[:1] != code or len(raw) < end or raw[1 + size : 2 + size] != _TCP:
            continue
        port = int.from_bytes(raw[2 + size : end])
        if not port or not any(raw[1 : 1 + size]) or not _is_p2p(raw[end:]):
            return None
        host = socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, raw[1 : 1 + size])
        return f"/{kind}/{host}/tcp/{port}"
    return None


def _is_p2p(rest: bytes) -> bool:
    """Whether nothing, or only /p2p/<id>, follows an address; /ws, /tls or a relay would."""
    if not rest:
        return True
    if rest[:2] != _P2P:
        return False
    try:
        size, start = read_varint(rest, 2, len(rest))
    except DecodeError:
        return False
    return len(rest) == start + size


def binary_addresses(addresses: Iterable[str]) -> tuple[bytes, ...]:
    """The plain TCP addresses among these multiaddrs in binary, without /p2p; at most MAX_ADDRS."""
    result: dict[bytes, None] = {}
    for address in addresses:
        parts = address.split("/")
        if len(parts) < 5 or parts[1] not in ("ip4", "ip6") or parts[3] != "tcp":
            continue
        code, family = (_IP4, socket.AF_INET) if parts[1] == "ip4" else (_IP6, socket.AF_INET6)
        try:
            result[code + socket.inet_pton(family, parts[2]) + _TCP + int(parts[4]).to_bytes(2)] = None
        except (OSError, ValueError, OverflowError):
            continue
    return tuple(result)[:MAX_ADDRS]


def _expect(wanted: int, kind: int) -> None:
    if kind != wanted:
        raise DecodeError(f"a field of a DHT message has wire type {kind} instead of {wanted}")
