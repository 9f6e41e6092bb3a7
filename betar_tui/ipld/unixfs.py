"""The one UnixFS file a listing needs: Go betar keeps a listing's metadata as a small JSON file
(docs/protocol.md#listings).

A file that fits one block is a dag-pb node without links whose Data is
`Data { Type Type = 1; bytes Data = 2; uint64 filesize = 3; }` with Type File (2), or a raw leaf. Larger files are not
metadata and are refused."""

import base64
import re
from functools import lru_cache

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid as cids
from betar_tui.ipld.protobuf import BYTES, VARINT, Budget, write_bytes, write_varint

MAX_FILE = 64 << 10
"""Maximum size of a file that is read as metadata, in bytes."""
MAX_FILE_BLOCK = MAX_FILE + (1 << 10)
"""Maximum size of the block of such a file, in bytes: larger ones are not even parsed."""
MAX_FIELDS = 16
"""Maximum number of fields in a message of a one-block file; UnixFS defines eight."""
MAX_CID = 128
"""Maximum length of a text that is read as a CID, in characters."""

_RAW_TYPE, _FILE_TYPE = 0, 2


def encode_file(content: bytes) -> tuple[bytes, bytes]:
    """The (CID, block) of a file of at most `MAX_FILE` bytes. Raises DecodeError for a larger one."""
    if len(content) > MAX_FILE:
        raise DecodeError(f"metadata of {len(content)} bytes exceeds the {MAX_FILE} of one file")
    size = write_varint(len(content))
    unixfs = b"\x08\x02" + (write_bytes(2, content) if content else b"") + b"\x18" + size
    block = write_bytes(1, unixfs)
    return cids.of(block), block


def decode_file(cid: bytes, block: bytes) -> bytes:
    """The content of a one-block file that was verified against its CID. Raises DecodeError."""
    if len(block) > MAX_FILE_BLOCK:
        raise DecodeError(f"a block of {len(block)} bytes exceeds the {MAX_FILE} of one metadata file")
    if cid.startswith(cids.RAW):
        content = block
    else:
        start, end = _data(block)
        content = _content(block, start, end)
    if len(content) > MAX_FILE:
        raise DecodeError(f"metadata of {len(content)} bytes exceeds the {MAX_FILE} of one file")
    return content


def parse_cid(text: str) -> bytes | None:
    """The 36-byte CID (dag-pb or raw, sha2-256) in a metadata field, in any base, or None."""
    if len(text) > MAX_CID:
        return None
    # Nearly every listing has base32, which takes a hundredth of the time this way.
    raw = base64.b32decode(text[1:].upper() + "======") if _BASE32.fullmatch(text) else _decode_any(text)
    if len(raw) == cids.LENGTH and raw.startswith(cids.RAW):
        return raw
    try:
        return cids.normalise(raw)
    except DecodeError:
        return None


_BASE32 = re.compile("b[a-z2-7]{57}[aeimquy4]")
"""36 bytes: 288 bits in 58 letters, whose last two bits must be zero."""


@lru_cache(1024)
def _decode_any(text: str) -> bytes:
    """The bytes of a CID in any base, b"" for text that is not a CID."""
    from multiformats import CID  # 70 ms to import, and most markets have no such listing

    try:
        return bytes(CID.decode(text))
    except Exception:  # multiformats raises many types of error on text that is not a CID
        return b""


def _data(block: bytes) -> tuple[int, int]:
    data = (0, 0)
    for number, kind, a, b in _budget().fields(block, 0, len(block)):
        if number == 2:
            raise DecodeError("the file has more than one block, which metadata never has")
        if number != 1 or kind != BYTES:
            raise DecodeError("the block is not a dag-pb node")
        data = (a, b)
    return data


def _content(block: bytes, start: int, end: int) -> bytes:
    kind_of_file = -1
    content = b""
    for number, kind, a, b in _budget().fields(block, start, end):
        if number == 1 and kind == VARINT:
            kind_of_file = a
        elif number == 2 and kind == BYTES:
            content = block[a:b]
    if kind_of_file not in (_RAW_TYPE, _FILE_TYPE):
        raise DecodeError("the block is not a UnixFS file")
    return content


def _budget() -> Budget:
    return Budget(MAX_FIELDS, "a message of the file")
