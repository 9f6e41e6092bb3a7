"""CAR files as any program writes them, CARv1 and CARv2. No I/O: bytes in, sections out.

    CARv1   varint | DAG-CBOR {roots: [CID …], version: 1}    then    varint | CID | block    and so on
    CARv2   pragma | characteristics (16), data offset, data size, index offset (8 each, little endian) | … | CARv1 | …

The index of a CARv2 is ignored. A block with another codec or hash than those of the market, or too large, is skipped
without being kept, and the reader is told why. Hashes are not verified: the caller does that. At most one section is in
memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid as cids
from betar_tui.ipld.car import MAX_HEADER, Section
from betar_tui.ipld.cid import MAX_BLOCK
from betar_tui.ipld.dagcbor import Link, load_map
from betar_tui.ipld.protobuf import read_varint

PRAGMA = bytes.fromhex("0aa16776657273696f6e02")
"""The first bytes of a CARv2: a header of version 2."""
MAX_CID = 256
"""Maximum bytes of a CID: a CID may contain its block, which go-cid limits to 128."""
MAX_PADDING = 1 << 20
"""Maximum bytes of padding between the sections of a file."""
TOO_LARGE = "larger than 2 MiB"
_V2_HEADER = 40
_VARINT = 10
_IDENTITY = 0x00
_SHA2_256, _DAG_PB, _RAW = 0x12, 0x70, 0x55
_CODECS = {
    0x51: "cbor", 0x55: "raw", 0x70: "dag-pb", 0x71: "dag-cbor", 0x72: "libp2p-key", 0x78: "git-raw", 0x85: "dag-jose",
    0x0129: "dag-json", 0x0200: "json",
}  # fmt: skip
_HASHES = {
    0x00: "identity", 0x11: "sha1", 0x12: "sha2-256", 0x13: "sha2-512", 0x16: "sha3-256", 0x1B: "keccak-256",
    0x1E: "blake3", 0xB220: "blake2b-256", 0xB260: "blake2s-256",
}  # fmt: skip
_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip -c"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -dc"),
    b"\xfd7zXZ\x00": ("xz", "xz -dc"),
    b"BZh": ("bzip2", "bunzip2 -c"),
    b"PK\x03\x04": ("zip", "unzip -p"),
}


class UnfinishedError(DecodeError):
    """A CARv2 whose header is empty, as go-car leaves it until a file is finished."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A block that was passed over. The number of different reasons is small, whatever the file."""

    reason: str


def compression(head: bytes) -> tuple[str, str] | None:
    """The name of the compression of a file that begins with these bytes, and the command that unpacks it to stdout."""
    return next((found for magic, found in _COMPRESSED.items() if head.startswith(magic)), None)


class CarFileReader:
    """Reads a file from pieces of any size.

    `roots` is None until the header is complete; `absent_roots` are those whose blocks have not come yet. A CID that is
    not ours stands there as it is."""

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0  # the position in the file of the buffer's first byte
        self._skip = 0  # bytes to pass over before anything else
        self._skipped: Skipped | None = None  # what these are, if they are a block
        self._padding = 0
        self._started = False
        self._window: tuple[int, int] | None = None  # of a CARv2, the (start, end) of the CARv1 in the file
        self.roots: tuple[bytes, ...] | None = None
        self.absent_roots: set[bytes] = set()

    def feed(self, piece: bytes) -> Iterator[Section | Skipped]:
        """The sections that this piece completes. Raises DecodeError."""
        self._buffer += piece
        if not self._started and not self._start():
            return
        pos = 0
        end = self._end()
        try:
            while True:
                step = min(self._skip, end - pos)
                self._skip -= step
                pos += step
                if self._skip:
                    break
                if self._skipped is not None:
                    skipped, self._skipped = self._skipped, None
                    yield skipped
                after, section = self._part(pos, end)
                if after < 0:
                    break
                pos = after
                if section is not None:
                    yield section
        finally:
            self._buffer = self._buffer[pos:end]  # what follows the data of a CARv2 is its index
            self._at += pos

    def is_whole(self) -> bool:
        """Whether the file may end here: all of it was read, and no part is cut."""
        if self.roots is None or self._skip:
            return False
        if self._window is None:
            return not self._buffer
        return self._at == self._window[1]

    def _start(self) -> bool:
        """Find out the version; False while the beginning is not complete. Raises DecodeError."""
        if PRAGMA.startswith(self._buffer[: len(PRAGMA)]):
            head = len(PRAGMA) + _V2_HEADER
            if len(self._buffer) < head:
                return False
            numbers = [int.from_bytes(self._buffer[i : i + 8], "little") for i in range(head - 24, head, 8)]
            offset, size = numbers[:2]
            if not offset and not size:
                raise UnfinishedError("the header of this CARv2 is empty")
            if offset < head:
                raise DecodeError("the header of this CARv2 says that its data begin inside the header")
            self._window = offset, offset + size
            self._skip = offset
        self._started = True
        return True

    def _end(self) -> int:
        """The end of the CARv1 in the buffer, or the end of the buffer."""
        have = len(self._buffer)
        return have if self._window is None else max(0, min(have, self._window[1] - self._at))

    def _part(self, pos: int, end: int) -> tuple[int, Section | None]:
        """The section at `pos`, if it is one to keep, and the position behind what was read, -1 while it is incomplete.

        Raises DecodeError."""
        if pos >= end or (end - pos < _VARINT and self._buffer[end - 1] >= 0x80 and self._is_varint(pos, end)):
            return -1, None
        size, body = read_varint(self._buffer, pos, end)
        if self.roots is None:
            if size > MAX_HEADER:
                raise DecodeError(f"a header of {size} bytes exceeds the limit of {MAX_HEADER}")
            if body + size > end:
                return -1, None
            self.roots = _roots(self._buffer[body : body + size])
            self.absent_roots = {root for root in self.roots if not _contains_block(root)}
            return body + size, None
        if size == 0:
            zeros = self._buffer[body : min(end, body + 4096)]
            run = len(zeros) - len(zeros.lstrip(b"\0"))
            self._padding += body - pos + run
            if self._padding > MAX_PADDING:
                raise DecodeError(f"more than {MAX_PADDING} bytes of padding")
            return body + run, None
        if end < body + min(size, MAX_CID):
            return -1, None
        return self._section(body, size, end)

    def _is_varint(self, pos: int, end: int) -> bool:
        """Whether the bytes up to the end are the beginning of a varint that is longer."""
        return all(byte >= 0x80 for byte in self._buffer[pos:end])

    def _section(self, body: int, size: int, end: int) -> tuple[int, Section | None]:
        """The section of this size at `body`, whose CID is there. Raises DecodeError."""
        cid, length, reason = _split(self._buffer[body : body + min(size, MAX_CID)])
        if not reason and size - length > MAX_BLOCK:
            reason = TOO_LARGE
        if reason:
            self._skip, self._skipped = size - length, Skipped(reason)
            self.absent_roots.discard(cid)
            return body + length, None
        if body + size > end:
            return -1, None
        self.absent_roots.discard(cid)
        return body + size, Section(cid, self._buffer[body + length : body + size])


def _roots(raw: bytes) -> tuple[bytes, ...]:
    header = load_map(raw)
    if header.get("version") != 1:
        raise DecodeError("its header is not that of a CAR of version 1 or 2")
    roots = header.get("roots")
    if roots is None:
        return ()
    if not isinstance(roots, list):
        raise DecodeError("the roots in its header are not a list")
    return tuple(map(_root, roots))


def _root(value: object) -> bytes:
    if not isinstance(value, Link) or value.value[:1] != b"\x00":
        raise DecodeError("the roots in its header are not all CIDs")
    raw = value.value[1:]
    cid, length, _ = _split(raw)
    if length != len(raw):
        raise DecodeError("a root in its header is not a CID")
    return cid


def _contains_block(cid: bytes) -> bool:
    """Whether a CID contains its block, so that a file need not have it."""
    if cid.startswith((cids.DAG_PB, cids.RAW)):
        return False
    _, pos = read_varint(cid, 0, len(cid))
    _, pos = read_varint(cid, pos, len(cid))
    return read_varint(cid, pos, len(cid))[0] == _IDENTITY


def _split(raw: bytes) -> tuple[bytes, int, str]:
    """The CID at the beginning of `raw`, its length there, and why its block is skipped, "" if it is not.

    A CID of the market has 36 bytes; others are returned as they are. Raises DecodeError where there is none."""
    if raw.startswith((cids.DAG_PB, cids.RAW)) and len(raw) >= cids.LENGTH:
        return raw[: cids.LENGTH], cids.LENGTH, ""
    if raw.startswith(cids.MULTIHASH) and len(raw) >= 34:
        return cids.DAG_PB + raw[2:34], 34, ""
    end = len(raw)
    try:
        version, pos = read_varint(raw, 0, end)
        codec, pos = read_varint(raw, pos, end)
        code, pos = read_varint(raw, pos, end)
        size, pos = read_varint(raw, pos, end)
    except DecodeError as error:
        raise DecodeError("a part that does not begin with a CID") from error
    if version != 1 or pos + size > end:
        raise DecodeError("a part that does not begin with a CID")
    return raw[: pos + size], pos + size, _reason(codec, code)


def _reason(codec: int, code: int) -> str:
    if codec not in (_DAG_PB, _RAW):
        return f"{_CODECS.get(codec, 'of an unknown codec')}"
    if code != _SHA2_256:
        return f"{_CODECS[codec]} under {_HASHES.get(code, 'an unknown hash')}"
    return f"{_CODECS[codec]} under a sha2-256 that is cut"
