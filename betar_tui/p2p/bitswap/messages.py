"""Bitswap messages (1.0.0 to 1.2.0), encoded and decoded by hand.

By hand because of limits: the library's protobuf would first build a million empty entries and then let us count
them. Decoding is strict about structure and wire types and skips unknown fields; what exceeds a cap is dropped and
counted in `dropped`, what makes no sense raises DecodeError. The message (specs.ipfs.tech/bitswap-protocol):

    Message  { Wantlist wantlist = 1; bytes blocks = 2 (1.0.0); Block payload = 3; BlockPresence presences = 4;
               int32 pendingBytes = 5 }
    Wantlist { Entry { bytes block = 1; int32 priority = 2; bool cancel = 3; WantType wantType = 4;
               bool sendDontHave = 5 } entries = 1; bool full = 2 }
    Block    { bytes prefix = 1; bytes data = 2 }         BlockPresence { bytes cid = 1; Type type = 2 }
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from betar_tui.errors import DecodeError
from betar_tui.p2p.bitswap.cids import SHA256, prefix_of
from betar_tui.p2p.frames import decode_varint, encode_varint

MAX_MESSAGE = 4 << 20
MAX_BLOCK = 2 << 20
MAX_ENTRIES = 8192
MAX_PRESENCES = 8192
MAX_BLOCKS = 8192
MAX_CID = 64

V12 = "/ipfs/bitswap/1.2.0"
V11 = "/ipfs/bitswap/1.1.0"
V10 = "/ipfs/bitswap/1.0.0"
UNVERSIONED = "/ipfs/bitswap"
PROTOCOLS = (V12, V11, V10, UNVERSIONED)

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MASK64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a wantlist. `have` asks only whether the peer has the block."""

    cid: bytes
    priority: int = 1
    cancel: bool = False
    have: bool = False
    send_dont_have: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A received block and the prefix of its CID; still unverified."""

    prefix: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Presence:
    """The sender has, or has not, the block of `cid`."""

    cid: bytes
    have: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded message. `full` says the entries replace all earlier ones; `dropped` counts what exceeded a cap."""

    entries: Sequence[Entry] = ()
    full: bool = False
    blocks: Sequence[Block] = ()
    presences: Sequence[Presence] = ()
    pending_bytes: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _Draft:
    entries: list[Entry] = field(default_factory=list)
    full: bool = False
    blocks: list[Block] = field(default_factory=list)
    presences: list[Presence] = field(default_factory=list)
    pending_bytes: int = 0
    dropped: int = 0


def decode(raw: bytes) -> Message:
    """The message in `raw`. Raises DecodeError."""
    if len(raw) > MAX_MESSAGE:
        raise DecodeError(f"a Bitswap message of {len(raw)} bytes")
    draft = _Draft()
    for number, value in _fields(memoryview(raw)):
        match number, value:
            case 1, memoryview():
                _decode_wantlist(value, draft)
            case 2, memoryview():
                _add_block(draft, SHA256, value)
            case 3, memoryview():
                _decode_payload(value, draft)
            case 4, memoryview():
                _decode_presence(value, draft)
            case 5, int():
                draft.pending_bytes = _int32(value)
            case ((1 | 2 | 3 | 4 | 5), _):
                raise DecodeError("a Bitswap field with the wrong wire type")
    return Message(draft.entries, draft.full, draft.blocks, draft.presences, draft.pending_bytes, draft.dropped)


def encode(message: Message, protocol: str = V12) -> bytes:
    """`message` as bytes for a peer that speaks `protocol`; what an older version cannot say is left out.

    Blocks go out under the prefix they carry; for 1.0.0 they go out bare.
    """
    out = bytearray()
    newest = protocol == V12
    if message.entries or message.full:
        wantlist = bytearray()
        for entry in message.entries:
            wantlist += _tagged(1, _encode_entry(entry, newest))
        if message.full:
            wantlist += b"\x10\x01"
        out += _tagged(1, wantlist)
    bare = protocol in (V10, UNVERSIONED)
    for block in message.blocks:
        if bare:
            out += _tagged(2, block.data)
        else:
            out += _tagged(3, _tagged(1, block.prefix) + _tagged(2, block.data))
    if newest:
        for presence in message.presences:
            out += _tagged(4, _tagged(1, presence.cid) + (b"" if presence.have else b"\x10\x01"))
        if message.pending_bytes:
            out += b"\x28" + encode_varint(message.pending_bytes & _MASK64)
    return bytes(out)


def block_for(cid: bytes, data: bytes) -> Block:
    """`data` under the prefix of `cid`, to be sent."""
    return Block(prefix_of(cid), data)


def batches(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Entries in lists of at most `size`."""
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _decode_wantlist(raw: memoryview, draft: _Draft) -> None:
    for number, value in _fields(raw):
        if number == 1:
            if not isinstance(value, memoryview):
                raise DecodeError("a wantlist entry with the wrong wire type")
            if len(draft.entries) < MAX_ENTRIES:
                draft.entries.append(_decode_entry(value))
            else:
                draft.dropped += 1
        elif number == 2:
            draft.full = bool(_number(value))


def _decode_entry(raw: memoryview) -> Entry:
    cid = b""
    priority, cancel, want_type, send_dont_have = 0, 0, 0, 0
    for number, value in _fields(raw):
        if number == 1:
            cid = _cid(value)
        elif number == 2:
            priority = _int32(_number(value))
        elif number == 3:
            cancel = _number(value)
        elif number == 4:
            want_type = _number(value)
        elif number == 5:
            send_dont_have = _number(value)
    if not cid:
        raise DecodeError("a wantlist entry without a CID")
    return Entry(cid, priority, bool(cancel), want_type == 1, bool(send_dont_have))


def _decode_payload(raw: memoryview, draft: _Draft) -> None:
    prefix = b""
    data = memoryview(b"")
    for number, value in _fields(raw):
        if number in (1, 2):
            if not isinstance(value, memoryview):
                raise DecodeError("a block with the wrong wire type")
            if number == 1:
                prefix = bytes(value[:MAX_CID])
            else:
                data = value
    _add_block(draft, prefix, data)


def _add_block(draft: _Draft, prefix: bytes, data: memoryview) -> None:
    if len(data) > MAX_BLOCK:
        raise DecodeError(f"a block of {len(data)} bytes")
    if len(draft.blocks) < MAX_BLOCKS:
        draft.blocks.append(Block(prefix, bytes(data)))
    else:
        draft.dropped += 1


def _decode_presence(raw: memoryview, draft: _Draft) -> None:
    cid = b""
    kind = 0
    for number, value in _fields(raw):
        if number == 1:
            cid = _cid(value)
        elif number == 2:
            kind = _number(value)
    if not cid:
        raise DecodeError("a block presence without a CID")
    if len(draft.presences) < MAX_PRESENCES:
        draft.presences.append(Presence(cid, kind == 0))
    else:
        draft.dropped += 1


def _fields(raw: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a protobuf message; varints as numbers, the rest as bytes."""
    at, end = 0, len(raw)
    while at < end:
        key, at = decode_varint(raw, at)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise DecodeError("a field number out of range")
        if wire == _VARINT:
            value, at = decode_varint(raw, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = decode_varint(raw, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise DecodeError("a wire type that Bitswap does not use")
        if size > end - at:
            raise DecodeError("a field is cut off")
        yield number, raw[at : at + size]
        at += size


def _encode_entry(entry: Entry, newest: bool) -> bytes:
    out = bytearray(_tagged(1, entry.cid))
    if entry.priority:
        out += b"\x10" + encode_varint(entry.priority & _MASK64)
    if entry.cancel:
        out += b"\x18\x01"
    if newest and entry.have:
        out += b"\x20\x01"
    if newest and entry.send_dont_have:
        out += b"\x28\x01"
    return bytes(out)


def _tagged(number: int, data: bytes | bytearray) -> bytes:
    return bytes((number << 3 | _BYTES,)) + encode_varint(len(data)) + bytes(data)


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise DecodeError("a number with the wrong wire type")
    return value


def _int32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def _cid(value: int | memoryview) -> bytes:
    if not isinstance(value, memoryview):
        raise DecodeError("a CID with the wrong wire type")
    if not 0 < len(value) <= MAX_CID:
        raise DecodeError(f"a CID of {len(value)} bytes")
    return bytes(value)
