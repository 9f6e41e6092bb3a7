"""The plain data that goes into and comes out of the store. Blocks are named by 36-byte CIDs, keys are clean paths.

What a sync makes for each block is a named tuple: made in a third of the time that a frozen dataclass takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Span(NamedTuple):
    """An element as it lies in its block: a key and `block[start:start + length]` as its value."""

    key: str
    start: int
    length: int


class BlockRow(NamedTuple):
    """A delta's block to keep. `complete` says that its whole ancestry is held."""

    cid: bytes
    data: bytes
    height: int
    complete: bool
    elements: tuple[Span, ...]


class Winner(NamedTuple):
    """The value of a key: ordered as the set orders values, by (height, value). The same value at the same height in
    two blocks is told apart by the CID, so that every replica names the same block."""

    height: int
    value: bytes
    cid: bytes


@dataclass(frozen=True, slots=True)
class Element:
    """A version of a key that some block carries. `dead` says that a tombstone names it."""

    cid: bytes
    height: int
    value: bytes
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a replica stands: heads with their heights, blocks that are not complete with their height and data, and
    the blocks that are wanted."""

    heads: Mapping[bytes, int]
    incomplete: Mapping[bytes, tuple[int, bytes]]
    wants: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Changes:
    """One merge, all or nothing.

    `winners` gives, for each key whose value differs now, that value, or None. `completed` are blocks kept
    before that became complete; `whole` says that with them every block is. `via` is the peer the blocks came through (""
    for our own), `at` Unix seconds. `own` are documents of ours to remember along with them, by key.
    """

    blocks: tuple[BlockRow, ...]
    tombstones: tuple[tuple[str, bytes], ...]
    winners: Mapping[str, Winner | None]
    completed: tuple[bytes, ...]
    heads_added: Mapping[bytes, int]
    heads_removed: frozenset[bytes]
    wants_added: frozenset[bytes]
    wants_removed: frozenset[bytes]
    via: str
    at: float
    whole: bool = False
    own: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogRow:
    """A kept delta, for people: `elements` are keys it puts, `tombstones` counts what it removes."""

    cid: bytes
    height: int
    size: int
    at: float
    via: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts for the status line. `bytes` is the size of the database with its write-ahead log. `packed` of the blocks are
    kept in `groups`, in which their `bytes_before` take `bytes_packed`."""

    blocks: int
    tombstones: int
    bytes: int
    packed: int
    groups: int
    bytes_before: int
    bytes_packed: int


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A peer worth dialling again: base58 id, multiaddrs without /p2p, and when it was last connected, Unix seconds."""

    peer_id: str
    addrs: tuple[str, ...]
    last_seen: float
