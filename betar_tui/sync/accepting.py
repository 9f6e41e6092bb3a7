"""Decides which broadcasts are forwarded, and decodes them on the way."""

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid as cids
from betar_tui.replica import Head, decode_broadcast

HEAD_SIZE = 200
"""Bytes of memory that a decoded head takes without its block."""


def accept_broadcast(payload: bytes) -> tuple[tuple[Head, ...], int] | None:
    """The heads of a broadcast, their blocks verified, and the bytes of memory that they take.

    None for a payload that must not be forwarded. A broadcast is decoded, and its blocks are hashed, here only."""
    try:
        heads = decode_broadcast(payload)
    except DecodeError:
        return None
    size = len(heads) * HEAD_SIZE
    for head in heads:
        if head.block is not None:
            if cids.of(head.block) != head.cid:
                return None
            size += len(head.block)
    return heads, size
