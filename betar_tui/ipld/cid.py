"""Content identifiers: raw bytes inside the program, strings at its edges.

Every block of the Merkle-DAG is dag-pb under sha2-256, so its CID is always the same four bytes and a 32-byte digest.
A CIDv0 identifies the same block and becomes a CIDv1 where it comes in. CIDs of other kinds, of files that a listing
points at, are left to `multiformats`, which takes twenty times as long."""

import base64
import hashlib
from functools import lru_cache

from betar_tui.errors import DecodeError

DAG_PB = b"\x01\x70\x12\x20"
"""The four bytes before the digest: CIDv1, dag-pb, sha2-256, 32 bytes."""
RAW = b"\x01\x55\x12\x20"
"""The same for a raw leaf, which only UnixFS files have."""
MULTIHASH = b"\x12\x20"
LENGTH = 36

MAX_BLOCK = 2 << 20
"""Maximum size of a block that is accepted from the network or served to it, in bytes: as in boxo. No smaller one may be
refused: the delta in which a Go peer deletes a listing names each of its versions, perhaps tens of thousands."""
_BASE32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_DIGITS, _NOT_BASE32 = (
    bytes.maketrans(_BASE32, b"0123456789ABCDEFGHIJKLMNOPQRSTUV"),
    bytes({*range(256)} - {*_BASE32}),
)


def of(block: bytes) -> bytes:
    """The 36-byte CID of a dag-pb block."""
    return DAG_PB + hashlib.sha256(block).digest()


def of_raw(block: bytes) -> bytes:
    """The 36-byte CID of a raw leaf."""
    return RAW + hashlib.sha256(block).digest()


def normalise(raw: bytes) -> bytes:
    """A binary CIDv1 or CIDv0 of a dag-pb block as 36 bytes. Raises DecodeError for any other CID."""
    if len(raw) == LENGTH and raw.startswith(DAG_PB):
        return raw
    if len(raw) == 34 and raw.startswith(MULTIHASH):
        return DAG_PB + raw[2:]
    raise DecodeError(f"{raw[:40].hex() or 'nothing'} is not the CID of a dag-pb block under sha2-256")


def leading(raw: bytes) -> bytes:
    """The CID at the start of `raw`, as 36 bytes: Go ignores bytes behind the CID in a link. Raises DecodeError."""
    return normalise(raw[:LENGTH] if raw.startswith(DAG_PB) else raw[:34])


_V0_PREFIX = b"\x00\x70" + MULTIHASH


def is_supported(cid: bytes) -> bool:
    """Whether blocks of this CID can be fetched and verified: a CIDv1 of dag-pb or raw, or a CIDv0."""
    return (len(cid) == LENGTH and cid[:4] in (DAG_PB, RAW)) or (len(cid) == 34 and cid[:2] == MULTIHASH)


def of_prefixed(prefix: bytes, data: bytes) -> bytes:
    """The CID of a block that Bitswap sent with this prefix. Raises DecodeError for an unsupported one."""
    if prefix in (DAG_PB, RAW):
        return prefix + hashlib.sha256(data).digest()
    if prefix in (_V0_PREFIX, MULTIHASH):
        return MULTIHASH + hashlib.sha256(data).digest()
    raise DecodeError(f"a block with an unsupported CID prefix {prefix[:16].hex()}")


def prefix_of(cid: bytes) -> bytes:
    """The Bitswap prefix under which a block of this CID is sent."""
    return _V0_PREFIX if len(cid) == 34 else cid[:4]


def aliases(cid: bytes) -> tuple[bytes, ...]:
    """The CID and its other spellings under which the same bytes may have been requested. Bitswap 1.0 sends blocks
    without a prefix, so a CIDv0 may stand for either codec."""
    if len(cid) == 34:
        return cid, DAG_PB[:2] + cid, RAW[:2] + cid
    if cid.startswith(DAG_PB):
        return cid, cid[2:]
    return (cid,)


@lru_cache(4096)
def to_str(cid: bytes) -> str:
    """The base32 form that starts with "bafy"."""
    return "b" + base64.b32encode(cid).decode("ascii").rstrip("=").lower()


def from_str(text: str) -> bytes:
    """The inverse of `to_str`. Raises DecodeError."""
    if not text.startswith("b") or text != text.lower():
        raise DecodeError(f"{text[:80]!r} is not a base32 CID (it should start with bafy)")
    padded = text[1:].upper() + "=" * (-len(text[1:]) % 8)
    try:
        return normalise(base64.b32decode(padded))
    except ValueError as error:
        raise DecodeError(f"{text[:80]!r} is not a base32 CID: {error}") from error


def element_id(cid: bytes) -> str:
    """The id of a block's elements in tombstones: "/" and the multihash in base32, 56 characters."""
    return "/" + base64.b32encode(cid[2:]).decode("ascii").rstrip("=")


def from_element_id(text: str) -> bytes | None:
    """The CID of the block that an element id belongs to, or None when no block can have that id."""
    encoded = text.strip("/")
    if len(encoded) != 55 or not encoded.isascii():
        return None
    # As a number in base 32, which takes a tenth of what base64.b32decode does.
    digits = encoded.encode().translate(_TO_DIGITS, _NOT_BASE32)
    if len(digits) != 55 or (number := int(digits, 32)) & 7:  # the last three bits say nothing
        return None
    multihash = (number >> 3).to_bytes(34)
    return DAG_PB + multihash[2:] if multihash.startswith(MULTIHASH) else None
