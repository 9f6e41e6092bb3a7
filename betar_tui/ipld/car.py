"""CARv1: a sequence of blocks, as we write it to a file, and write and read it on a dagsync stream. No I/O.

    varint | DAG-CBOR {roots: [CID …], version: 1}      then any number of      varint | CID | block

A section of length 0 cannot be a block: dagsync ends its CAR with one. The reader accepts only CIDv1 of dag-pb or raw
blocks under sha2-256, and CIDv0. It does not verify hashes: its caller does. Files have a reader of their own, in
`carfile`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cbor2

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid as cids
from betar_tui.ipld.cid import MAX_BLOCK
from betar_tui.ipld.dagcbor import LINK_TAG, Link, load_map
from betar_tui.ipld.protobuf import read_varint, write_varint

MAX_HEADER, MAX_SECTION = 1 << 20, MAX_BLOCK + 64
"""Maximum bytes of a header, and of a section: a block and its CID, of 36 bytes."""
END = b"\x00"
_VARINT = 10


@dataclass(frozen=True, slots=True)
class Section:
    """One block and the 36-byte CID that the archive gives it, not yet verified."""

    cid: bytes
    data: bytes


def link(cid: bytes) -> cbor2.CBORTag:
    """The DAG-CBOR link of a CID."""
    return cbor2.CBORTag(LINK_TAG, b"\x00" + cid)


def unlink(value: object) -> bytes:
    """The 36-byte CID of a DAG-CBOR link. Raises DecodeError."""
    if not isinstance(value, Link):
        raise DecodeError("a list of CIDs contains something else")
    if value.value[:1] != b"\x00":
        raise DecodeError("a DAG-CBOR link does not start with the identity base")
    return _any_cid(value.value[1:])


def encode_header(roots: Sequence[bytes]) -> bytes:
    """The header of an archive with these 36-byte CIDs as its roots."""
    body = cbor2.dumps({"roots": [link(cid) for cid in roots], "version": 1})
    return write_varint(len(body)) + body


def encode_section(cid: bytes, block: bytes) -> bytes:
    """The section of one block."""
    return write_varint(len(cid) + len(block)) + cid + block


class CarReader:
    """Reads an archive from pieces of any size.

    `roots` is None until the header is complete. `ended` says that a section of length 0 came, and `rest` is what
    followed it."""

    def __init__(self) -> None:
        self._buffer = b""
        self.roots: tuple[bytes, ...] | None = None
        self.ended = False

    @property
    def rest(self) -> bytes:
        """Bytes that were fed and not yet read."""
        return self._buffer

    def feed(self, piece: bytes) -> Iterator[Section]:
        """The sections that this piece completes. Raises DecodeError."""
        buffer = self._buffer + piece
        pos = 0
        try:
            while not self.ended:
                start = pos
                size, body = _length(buffer, pos)
                if body < 0:
                    break
                limit = MAX_HEADER if self.roots is None else MAX_SECTION
                if size > limit:
                    raise DecodeError(f"a part of {size} bytes exceeds the limit of {limit}")
                if body + size > len(buffer):
                    pos = start
                    break
                pos = body + size
                if self.roots is None:
                    self.roots = _roots(buffer[body:pos])
                elif size == 0:
                    self.ended = True
                else:
                    yield _section(buffer, body, pos)
        finally:
            self._buffer = buffer[pos:]


def _length(buffer: bytes, pos: int) -> tuple[int, int]:
    """A varint at `pos` and the position behind it, -1 while the varint is incomplete."""
    end = len(buffer)
    if pos >= end:
        return 0, -1
    if buffer[pos] < 0x80:
        return buffer[pos], pos + 1
    window = buffer[pos : pos + _VARINT]
    if len(window) < _VARINT and window[-1] >= 0x80:
        return 0, -1
    return read_varint(buffer, pos, end)


def _roots(raw: bytes) -> tuple[bytes, ...]:
    header = load_map(raw)
    roots = header.get("roots")
    if header.get("version") != 1 or not isinstance(roots, list):
        raise DecodeError("the archive is not CARv1")
    return tuple(unlink(each) for each in roots)


def _section(buffer: bytes, start: int, end: int) -> Section:
    if buffer.startswith(cids.DAG_PB, start) or buffer.startswith(cids.RAW, start):
        split = start + cids.LENGTH
        cid = buffer[start:split]
    elif buffer.startswith(cids.MULTIHASH, start):
        split = start + 34
        cid = cids.DAG_PB + buffer[start + 2 : split]
    else:
        raise DecodeError("the archive has a block that is neither dag-pb nor raw under sha2-256")
    if split > end:
        raise DecodeError("the archive has a part too short for a CID")
    return Section(cid, buffer[split:end])


def _any_cid(raw: bytes) -> bytes:
    if len(raw) == cids.LENGTH and raw.startswith(cids.RAW):
        return raw
    return cids.normalise(raw)
