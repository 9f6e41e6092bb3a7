"""The messages on the topic: the heads of a peer's DAG (docs/protocol.md#topic-and-broadcast).

    CRDTBroadcast { repeated Head heads = 1; }    Head { bytes cid = 1; string dag_name = 2; bytes block = 15; }

Go takes any unknown top-level field for an old raw-CID message, so nothing is ever added there. It skips unknown fields
inside `Head`, where our own peers carry the head's block."""

from collections.abc import Iterable
from dataclasses import dataclass

from betar_tui.ipld import cid as cids
from betar_tui.ipld.protobuf import BYTES, Budget, write_bytes

MAX_INLINE = 16 << 10
"""Maximum size of a block inside a broadcast, in bytes."""
MAX_HEADS = 4096
"""Maximum number of heads read from a broadcast; the rest is skipped. A market has a handful: it bounds the work."""
MAX_FIELDS = 40_000
"""Maximum number of fields, those of heads and groups included: more than Go writes in the largest payload."""

_HEADS, _CID, _BLOCK = 1, 1, 15


@dataclass(frozen=True, slots=True)
class Head:
    """An announced head: its 36-byte CID and, from a betar-tui peer, its block, not verified yet."""

    cid: bytes
    block: bytes | None = None


def decode_broadcast(payload: bytes) -> tuple[Head, ...]:
    """The heads of a broadcast, or the one head of the old raw-CID form. Raises DecodeError, also for one bad CID."""
    heads: list[Head] = []
    legacy = False
    budget = Budget(MAX_FIELDS, "a broadcast")
    for number, kind, a, b in budget.fields(payload, 0, len(payload)):
        if number != _HEADS or kind != BYTES:
            legacy = True
        elif len(heads) < MAX_HEADS:
            heads.append(_head(payload, a, b, budget))
    return (Head(cids.normalise(payload)),) if legacy else tuple(heads)


def encode_broadcast(heads: Iterable[Head]) -> bytes:
    """The broadcast of these heads, each with its block if it has one of at most `MAX_INLINE` bytes."""
    out = []
    for head in heads:
        body = write_bytes(_CID, head.cid)
        if head.block is not None and len(head.block) <= MAX_INLINE:
            body += write_bytes(_BLOCK, head.block)
        out.append(write_bytes(_HEADS, body))
    return b"".join(out)


def _head(payload: bytes, start: int, end: int, budget: Budget) -> Head:
    target = b""
    block: bytes | None = None
    for number, kind, a, b in budget.fields(payload, start, end):
        if number == _CID and kind == BYTES:
            target = payload[a:b]
        elif number == _BLOCK and kind == BYTES and b - a <= MAX_INLINE:
            block = payload[a:b]
    return Head(cids.normalise(target), block)
