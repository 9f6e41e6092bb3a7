"""Binary CIDs as Bitswap needs them: which are accepted, and the CID of received bytes.

Accepted are CIDv1 of dag-pb or raw with sha2-256 (36 bytes) and CIDv0 (34 bytes, a bare sha2-256 multihash of
dag-pb). Everything stays bytes; no library is used.
"""

from __future__ import annotations

from hashlib import sha256

from betar_tui.errors import DecodeError
from betar_tui.replica.cid import DAG_PB, LENGTH, MULTIHASH, RAW

_V0_PREFIX = b"\x00\x70" + MULTIHASH


def is_supported(cid: bytes) -> bool:
    """Whether blocks of this CID can be fetched and verified."""
    return (len(cid) == LENGTH and cid[:4] in (DAG_PB, RAW)) or (len(cid) == 34 and cid[:2] == MULTIHASH)


def cid_of(prefix: bytes, data: bytes) -> bytes:
    """The CID of a block sent with `prefix` (version, codec, hash function, hash length). Raises DecodeError when the
    prefix is none of the accepted ones."""
    if prefix in (DAG_PB, RAW):
        return prefix + sha256(data).digest()
    if prefix in (_V0_PREFIX, MULTIHASH):
        return MULTIHASH + sha256(data).digest()
    raise DecodeError(f"a block with an unsupported CID prefix {prefix[:16].hex()}")


def prefix_of(cid: bytes) -> bytes:
    """The prefix under which a block of this CID is sent."""
    return _V0_PREFIX if len(cid) == 34 else cid[:4]


def aliases(cid: bytes) -> tuple[bytes, ...]:
    """The CID itself and the ways to write it in which the same bytes may have been asked for: old peers send blocks
    without a prefix, so a CIDv0 may stand for either codec."""
    if len(cid) == 34:
        return cid, DAG_PB[:2] + cid, RAW[:2] + cid
    if cid.startswith(DAG_PB):
        return cid, cid[2:]
    return (cid,)
