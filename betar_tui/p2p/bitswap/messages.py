"""Bitswap messages (1.0.0 to 1.2.0), encoded and decoded by hand.

By hand because of limits: the library's protobuf would build a million empty entries before they can be counted.
Decoding is strict about structure and wire types and skips unknown fields. Parts beyond a maximum are dropped, nonsense
raises DecodeError. The message (specs.ipfs.tech/bitswap-protocol), without the unused field 5:

    Message  { Wantlist wantlist = 1; bytes blocks = 2 (1.0.0); Block payload = 3; BlockPresence presences = 4 }
    Wantlist { Entry { bytes block = 1; int32 priority = 2; bool cancel = 3; WantType wantType = 4;
               bool sendDontHave = 5 } entries = 1; bool full = 2 }
    Block    { bytes prefix = 1; bytes data = 2 }         BlockPresence { bytes cid = 1; Type type = 2 }
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from betar_tui.errors import DecodeError
from betar_tui.ipld.cid import MAX_BLOCK, MULTIHASH, prefix_of
from betar_tui.ipld.protobuf import BYTES, VARINT, Budget, write_bytes, write_varint

MAX_MESSAGE = 4 << 20
"""Maximum bytes of a message."""
MAX_ENTRIES = MAX_PRESENCES = MAX_BLOCKS = 8192
"""Maximum wantlist entries, presences and blocks of a message that are read."""
MAX_CID = 64  # bytes
MAX_FIELDS = 92_000
"""Maximum fields of a message to read, nested ones included: a Go peer's longest wantlist, of 2 MiB, has 50,000
entries, of which 8,192 with five fields each are read."""
V12 = "/ipfs/bitswap/1.2.0"
V11 = "/ipfs/bitswap/1.1.0"
V10 = "/ipfs/bitswap/1.0.0"
UNVERSIONED = "/ipfs/bitswap"
PROTOCOLS = (V12, V11, V10, UNVERSIONED)

_MASK64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class WantlistEntry:
    """One entry of a wantlist. `have` asks only whether the peer has the block."""

    cid: bytes
    priority: int = 1
    cancel: bool = False
    have: bool = False
    send_dont_have: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A block and the prefix of its CID; unverified if it was received."""

    prefix: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the sender has the block of `cid`."""

    cid: bytes
    have: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded message. `full` says the entries replace all earlier ones."""

    entries: Sequence[WantlistEntry] = ()
    full: bool = False
    blocks: Sequence[Block] = ()
    presences: Sequence[Presence] = ()


@dataclass(slots=True)
class _Draft:
    entries: list[WantlistEntry] = field(default_factory=list)
    full: bool = False
    blocks: list[Block] = field(default_factory=list)
    presences: list[Presence] = field(default_factory=list)
    budget: Budget = field(default_factory=lambda: Budget(MAX_FIELDS, "a Bitswap message"))


def decode(raw: bytes) -> Message:
    """The message in `raw`. Raises DecodeError."""
    if len(raw) > MAX_MESSAGE:
        raise DecodeError(f"a Bitswap message of {len(raw)} bytes")
    draft = _Draft()
    for number, kind, a, b in draft.budget.fields(raw, 0, len(raw)):
        if number > 4:
            continue
        _expect(BYTES, kind)
        match number:
            case 1:
                _decode_wantlist(raw, a, b, draft)
            case 2:
                _add_block(draft, MULTIHASH, raw[a:b])
            case 3:
                _decode_payload(raw, a, b, draft)
            case 4:
                _decode_presence(raw, a, b, draft)
    return Message(draft.entries, draft.full, draft.blocks, draft.presences)


def encode(message: Message, protocol: str = V12) -> bytes:
    """`message` as bytes for a peer that speaks `protocol`, without the fields that an older version does not have.

    Blocks are sent with their prefix, except in 1.0.0."""
    out = bytearray()
    newest = protocol == V12
    if message.entries or message.full:
        wantlist = bytearray()
        for entry in message.entries:
            wantlist += write_bytes(1, _encode_entry(entry, newest))
        if message.full:
            wantlist += b"\x10\x01"
        out += write_bytes(1, bytes(wantlist))
    bare = protocol in (V10, UNVERSIONED)
    for block in message.blocks:
        if bare:
            out += write_bytes(2, block.data)
        else:
            out += write_bytes(3, write_bytes(1, block.prefix) + write_bytes(2, block.data))
    if newest:
        for presence in message.presences:
            out += write_bytes(4, write_bytes(1, presence.cid) + (b"" if presence.have else b"\x10\x01"))
    return bytes(out)


def block_for(cid: bytes, data: bytes) -> Block:
    """`data` under the prefix of `cid`, to be sent."""
    return Block(prefix_of(cid), data)


def _decode_wantlist(raw: bytes, pos: int, end: int, draft: _Draft) -> None:
    for number, kind, a, b in draft.budget.fields(raw, pos, end):
        if number == 1:
            _expect(BYTES, kind)
            if len(draft.entries) < MAX_ENTRIES:
                draft.entries.append(_decode_entry(raw, a, b, draft))
        elif number == 2:
            _expect(VARINT, kind)
            draft.full = bool(a)


def _decode_entry(raw: bytes, pos: int, end: int, draft: _Draft) -> WantlistEntry:
    cid = b""
    priority, cancel, want_type, send_dont_have = 0, 0, 0, 0
    for number, kind, a, b in draft.budget.fields(raw, pos, end):
        if number > 5:
            continue
        _expect(BYTES if number == 1 else VARINT, kind)
        match number:
            case 1:
                cid = _cid(raw, a, b)
            case 2:
                priority = _int32(a)
            case 3:
                cancel = a
            case 4:
                want_type = a
            case 5:
                send_dont_have = a
    if not cid:
        raise DecodeError("a wantlist entry without a CID")
    return WantlistEntry(cid, priority, bool(cancel), want_type == 1, bool(send_dont_have))


def _decode_payload(raw: bytes, pos: int, end: int, draft: _Draft) -> None:
    if len(draft.blocks) >= MAX_BLOCKS:
        return
    prefix = data = b""
    for number, kind, a, b in draft.budget.fields(raw, pos, end):
        if number > 2:
            continue
        _expect(BYTES, kind)
        if number == 1:
            prefix = raw[a : min(b, a + MAX_CID)]
        else:
            data = raw[a:b]
    _add_block(draft, prefix, data)


def _add_block(draft: _Draft, prefix: bytes, data: bytes) -> None:
    if len(data) > MAX_BLOCK:
        raise DecodeError(f"a block of {len(data)} bytes")
    if len(draft.blocks) < MAX_BLOCKS:
        draft.blocks.append(Block(prefix, data))


def _decode_presence(raw: bytes, pos: int, end: int, draft: _Draft) -> None:
    if len(draft.presences) >= MAX_PRESENCES:
        return
    cid = b""
    have = True
    for number, kind, a, b in draft.budget.fields(raw, pos, end):
        if number == 1:
            _expect(BYTES, kind)
            cid = _cid(raw, a, b)
        elif number == 2:
            _expect(VARINT, kind)
            have = a == 0
    if not cid:
        raise DecodeError("a block presence without a CID")
    draft.presences.append(Presence(cid, have))


def _encode_entry(entry: WantlistEntry, newest: bool) -> bytes:
    out = bytearray(write_bytes(1, entry.cid))
    if entry.priority:
        out += b"\x10" + write_varint(entry.priority & _MASK64)
    if entry.cancel:
        out += b"\x18\x01"
    if newest and entry.have:
        out += b"\x20\x01"
    if newest and entry.send_dont_have:
        out += b"\x28\x01"
    return bytes(out)


def _expect(kind: int, found: int) -> None:
    if found != kind:
        raise DecodeError(f"a Bitswap field with wire type {found} instead of {kind}")


def _int32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def _cid(raw: bytes, pos: int, end: int) -> bytes:
    if not 0 < end - pos <= MAX_CID:
        raise DecodeError(f"a CID of {end - pos} bytes")
    return raw[pos:end]
