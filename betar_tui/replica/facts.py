"""The plain data that goes into and comes out of the store. Blocks are identified by 36-byte CIDs, keys are clean
paths.

Values that a sync makes for every block are named tuples, which are made in a third of the time of a frozen dataclass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Span(NamedTuple):
    """An element by its position in its block: a key, whose value is `block[start:start + length]`."""

    key: str
    start: int
    length: int


class BlockRow(NamedTuple):
    """A delta's block to store. `complete` says that its whole ancestry is stored, `known` that the block itself is, so
    that only `elements` of it are new."""

    cid: bytes
    data: bytes
    height: int
    complete: bool
    elements: tuple[Span, ...]
    known: bool = False


class Winner(NamedTuple):
    """The value of a key, ordered as the set orders values, by (height, value).

    Between two blocks with the same value at the same height the CID decides, so that every replica chooses the same
    block."""

    height: int
    value: bytes
    cid: bytes


@dataclass(frozen=True, slots=True)
class Element:
    """A version of a key in some block. `dead` says that a tombstone removes it."""

    cid: bytes
    height: int
    value: bytes
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a replica: heads with their heights, incomplete blocks with height and data, and wanted blocks.

    Blocks that were laid aside are not among the incomplete ones. `begun` are those of them that were merged in slices,
    each with the number of keys that are merged and the peer that it came from."""

    heads: Mapping[bytes, int]
    incomplete: Mapping[bytes, tuple[int, bytes]]
    wants: frozenset[bytes]
    begun: Mapping[bytes, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DagChange:
    """The change of the DAG that new blocks make.

    `complete` are new blocks, `completed` ones stored before that become complete; `all_complete` says that no block is
    left incomplete. Heads come with their heights. `passable` are blocks that are not deltas and stay incomplete, though
    nothing below them is missing: only a complete delta above completes them. `held` are new blocks of which only a slice
    is merged, `released` those of which the last slice is."""

    complete: frozenset[bytes]
    completed: tuple[bytes, ...]
    heads_added: Mapping[bytes, int]
    heads_removed: frozenset[bytes]
    wants_added: frozenset[bytes]
    wants_removed: frozenset[bytes]
    all_complete: bool
    passable: frozenset[bytes] = frozenset()
    held: frozenset[bytes] = frozenset()
    released: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Changes:
    """One merge, or a slice of one, all or nothing.

    `winners` gives, for each key whose value changes, the new value, or None. `via` is the peer that the blocks came from
    ("" for our own), `at` Unix seconds. `own` are documents of our own listings to store along with them, by key.
    `unfinished` are blocks that are left in part, with the number of their keys that are merged, or laid aside (None), and
    `finished` those that are neither any more."""

    blocks: tuple[BlockRow, ...]
    tombstones: tuple[tuple[str, bytes], ...]
    winners: Mapping[str, Winner | None]
    dag: DagChange
    via: str
    at: float
    own: Mapping[str, str]
    unfinished: Mapping[bytes, int | None] = field(default_factory=dict)
    finished: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class LogRow:
    """A stored delta, as the log shows it; `at` in Unix seconds, `via` the peer that it came from."""

    cid: bytes
    height: int
    size: int
    at: float
    via: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts for the status line.

    `bytes` is the size of the database with its write-ahead log. `packed` of the blocks are stored in `groups`, which
    compress `bytes_before` to `bytes_packed`."""

    blocks: int
    tombstones: int
    bytes: int
    packed: int
    groups: int
    bytes_before: int
    bytes_packed: int


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A peer worth dialling again: base58 id, multiaddrs, and when it was last on the topic, Unix seconds.

    `reached` is whether a dial has ever reached it; otherwise the addresses are only its own claim. `failures` counts the
    failed dials, and connections without the topic, since it was last on the topic."""

    peer_id: str
    addrs: tuple[str, ...]
    last_seen: float
    reached: bool = True
    failures: int = 0
