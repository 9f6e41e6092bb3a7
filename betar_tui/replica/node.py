"""Nodes of the Merkle-DAG: dag-pb blocks whose Data is a delta and whose Links are the heads it was built on.

    PBNode { repeated PBLink Links = 2; optional bytes Data = 1; }
    PBLink { bytes Hash = 1; string Name = 2; uint64 Tsize = 3; }

Decoding accepts what Go's go-codec-dagpb accepts: Links and Data in either order but each in one piece, no unknown
field, no wrong wire type, a link's fields in order and its Hash present. A link must be the CID of a dag-pb block under
sha2-256, since nothing else can be a delta. Received bytes are kept as they are; only our own nodes are ever encoded,
in the canonical form: Links first, Name and Tsize always written, links in the order of their CID bytes
(docs/protocol.md#dag-nodes)."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid as cids
from betar_tui.ipld.cid import MAX_BLOCK
from betar_tui.ipld.protobuf import BYTES, VARINT, fields, write_bytes
from betar_tui.replica import delta
from betar_tui.replica.delta import Delta
from betar_tui.replica.facts import Span

MAX_EMITTED = 1 << 20
"""Maximum size of a block that is written, in bytes."""
MAX_LINKS = 4096
"""Maximum number of links of a node, read or written."""

_HASH, _NAME, _TSIZE = 1, 2, 3
_LINK_START, _LINK_END = b"\x12\x2a\x0a\x24" + cids.DAG_PB, b"\x12\x00\x18\x00"
"""The bytes around the digest of a link as every peer writes it: matched as one, since most of a sync is links."""
_TYPE = 1 << 3 | VARINT
"""The first byte of UnixFS data: the tag of its type."""
_LINK_WIRE_TYPE = {_HASH: BYTES, _NAME: BYTES, _TSIZE: VARINT}


class DagNode(NamedTuple):
    """A verified, decoded block. `links` are distinct 36-byte CIDs. It need not be a delta (see `is_delta`)."""

    cid: bytes
    data: bytes
    links: tuple[bytes, ...]
    delta: Delta

    @property
    def is_delta(self) -> bool:
        """Whether it says something; an ordinary UnixFS file or folder does not."""
        return self.delta.says_something


def decode_node(cid: bytes, block: bytes) -> DagNode:
    """Verify that a block hashes to its CID and decode it. Raises DecodeError."""
    if len(block) <= MAX_BLOCK and cids.of(block) != cid:
        raise DecodeError(f"a block does not hash to its CID {cids.to_str(cid)}")
    return decode_verified(cid, block)


def decode_verified(cid: bytes, block: bytes) -> DagNode:
    """Decode a block that was verified against its CID before. Raises DecodeError."""
    if len(block) > MAX_BLOCK:
        raise DecodeError(f"a block of {len(block)} bytes exceeds the limit of {MAX_BLOCK}")
    if not cid.startswith(cids.DAG_PB):  # a raw leaf may consist of the bytes of a delta
        raise DecodeError(f"{cids.to_str(cid)} is not the CID of a dag-pb block")
    links, start, end = _sections(block)
    return DagNode(cid, block, links, delta.decode(block, start, end))


def links_of(block: bytes) -> tuple[bytes, ...]:
    """The links of a block that was verified before. Raises DecodeError."""
    return _sections(block)[0]


def is_delta(block: bytes) -> bool:
    """Whether a block that was verified before is a delta. Raises DecodeError."""
    _, start, end = _sections(block)
    return delta.says_something(block, start, end)


def looks_like_file(block: bytes) -> bool:
    """Whether a block begins as writers of UnixFS begin files and folders, which no delta does. Cheap. Raises
    DecodeError."""
    _, start, end = _sections(block)
    return start == end or block[start] == _TYPE


def outline(block: bytes) -> tuple[tuple[bytes, ...], int]:
    """The links and the height of a block that was verified before. Raises DecodeError."""
    links, start, end = _sections(block)
    return links, delta.priority_of(block, start, end)


def encode_node(links: Iterable[bytes], data: bytes) -> bytes:
    """The canonical dag-pb block of these links (36-byte CIDs) around an encoded delta."""
    parts = [write_bytes(2, write_bytes(_HASH, link) + b"\x12\x00\x18\x00") for link in sorted(links)]
    return b"".join(parts) + write_bytes(1, data)


def compose(
    links: Iterable[bytes], puts: Sequence[tuple[str, bytes]], tombstones: Sequence[tuple[str, bytes]], height: int
) -> DagNode:
    """A new node, with the canonical block. Keys must be clean and each put once, links and tombstones distinct."""
    ordered = sorted(links)
    data, found = delta.compose(puts, tombstones, height)
    block = encode_node(ordered, data)
    start = len(block) - len(data)
    elements = tuple(Span(key, start + at, length) for key, at, length in found.elements)
    return DagNode(cids.of(block), block, tuple(ordered), found._replace(elements=elements))


def _sections(block: bytes) -> tuple[tuple[bytes, ...], int, int]:
    """The links and the (start, end) of Data; Data that is absent counts as empty, as in Go."""
    links: dict[bytes, None] = {}
    data: tuple[int, int] | None = None
    count = pos = 0
    while block.startswith(_LINK_START, pos) and block.startswith(_LINK_END, pos + 40) and count < MAX_LINKS:
        links[block[pos + 4 : pos + 40]] = None
        count += 1
        pos += 44
    in_links, links_closed = count > 0, False
    for number, kind, a, b in fields(block, pos, len(block)):
        if kind != BYTES:
            raise DecodeError(f"field {number} of a dag-pb node has wire type {kind}")
        if number == 1:
            if data is not None:
                raise DecodeError("a dag-pb node has two Data sections")
            data = (a, b)
            links_closed = in_links
        elif number == 2:
            if links_closed:
                raise DecodeError("a dag-pb node has its Links in two pieces")
            in_links = True
            count += 1
            if count > MAX_LINKS:
                raise DecodeError(f"a dag-pb node has more than {MAX_LINKS} links")
            links[_link(block, a, b)] = None
        else:
            raise DecodeError(f"a dag-pb node has an unknown field {number}")
    start, end = data or (0, 0)
    return tuple(links), start, end


def _link(block: bytes, start: int, end: int) -> bytes:
    """The CID of the link in `block[start:end]`."""
    target: bytes | None = None
    last = 0
    for number, kind, a, b in fields(block, start, end):
        if _LINK_WIRE_TYPE.get(number) != kind:
            raise DecodeError(f"field {number} of a dag-pb link is unknown or has wire type {kind}")
        if number <= last:
            raise DecodeError("the fields of a dag-pb link are repeated or out of order")
        last = number
        if number == _HASH:
            target = cids.leading(block[a:b])
    if target is None:
        raise DecodeError("a dag-pb link has no Hash")
    return target
