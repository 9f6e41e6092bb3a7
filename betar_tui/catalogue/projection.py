"""Follows the merges of a replica, in their own transactions.

The rows of a small merge are written with it, and what becomes of them is what its events are made of: one decoding and
one check of a signature for each value. A large merge only queues the keys that it touched.

A merge touches a key with each version that it brings, whether or not the map chooses it, and with a withdrawal."""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import NamedTuple

from betar_tui.catalogue import queue
from betar_tui.catalogue.following import Again, Followed, Follower, Versions
from betar_tui.catalogue.projecting import Projected, name_as_written, project
from betar_tui.catalogue.rows import Outcome
from betar_tui.catalogue.schema import ALL_LOOKED_AT
from betar_tui.catalogue.versions import Location
from betar_tui.errors import ListingError
from betar_tui.ipld import cid as cids
from betar_tui.limits import Limits
from betar_tui.market.differences import differing_fields
from betar_tui.market.listing import content_hash, decode_fields, parse_value
from betar_tui.market.marketplace import Change, ChangeKind, Provenance
from betar_tui.market.names import name_space
from betar_tui.market.origin import LOCAL
from betar_tui.replica import Applied, DagNode, Effect, keys
from betar_tui.replica.facts import BlockRow, Changes, Winner
from betar_tui.store.merging import WrittenMerge

SMALL = 256
"""Maximum keys that a merge touches, and versions that it brings, whose rows are written with it: as many as a crowd
announces, or a person publishes, at a time. A sync brings more."""
SMALL_BYTES = 256 << 10
"""Maximum bytes of their values: the store is locked while they are decoded, which takes 7 to 90 ms a megabyte."""
COMPARED_BYTES = 8 << 10
"""Maximum bytes of a value that is decoded again to say what its update changed."""
FIRST_OF_EACH = 32
"""Maximum keys in the name space of one seller that a merge queues before others."""
MAX_REMOVALS = 4096
"""Maximum keys whose removing delta is remembered until their row is gone."""


class Removal(NamedTuple):
    """The delta that removed a key: its CID, its height, and the peer that it came through, "" for an own one."""

    cid: bytes
    height: int
    via: str


class _Told(NamedTuple):
    """What became of the keys of a merge, until somebody asks for its events."""

    outcomes: Mapping[str, Outcome]
    again: Mapping[str, Again]


class Projection:
    """Implements the store's `Projection`. `on_left` is told of each merge that leaves work, in the merging thread."""

    def __init__(
        self,
        own_peer_id: str,
        is_own_value: Callable[[bytes], bool],
        on_left: Callable[[Followed], None],
        limits: Limits,
    ) -> None:
        self._own_peer_id = own_peer_id
        self._on_left = on_left
        self._follower = Follower(own_peer_id, is_own_value, limits)
        # By the first block and the first key whose value changed, "" for none: the slices of a delta have no key in common.
        self._told: dict[tuple[bytes, str], _Told] = {}
        self._removals: OrderedDict[str, Removal] = OrderedDict()

    def follow(self, db: sqlite3.Connection, changes: Changes, written: WrittenMerge) -> Followed:
        """Write the rows of a merge, or queue its keys. In its transaction; see the store's `Projection`."""
        touched = _touched(changes)
        if not touched:
            return Followed({})
        if not _is_small(changes, touched):
            first = _first_blocks(written.blocks)
            numbers = written.numbers
            rows = [(numbers[key], height, first.get(key, ALL_LOOKED_AT)) for key, height in touched.items()]
            queue.add(db, rows, {numbers[key] for key in _of_verified_sellers(db, touched)})
            return Followed({}, len(touched))
        return self._follower.write(db, changes, written, _versions(written.blocks, touched))

    def committed(self, changes: Changes, result: Followed) -> None:
        """Keep what became of the keys until `changes_of` asks for it."""
        if result.outcomes:
            name = changes.blocks[0].cid, next(iter(changes.winners), "")
            told = self._told.get(name, _Told({}, {}))
            self._told[name] = _Told({**told.outcomes, **result.outcomes}, {**told.again, **result.again})
        if result.outcomes or result.queued:
            self._on_left(result)

    def changes_of(self, applied: Applied) -> list[Change]:
        """What people and scripts are told of a merge, once. What it only queued is told later."""
        first = applied.effects[0].key if applied.effects else ""
        told = self._told.pop((applied.nodes[0].cid, first), None) if applied.nodes else None
        if told is None:
            self._remember_removals(applied)
            return []
        effects = {effect.key: effect for effect in applied.effects}
        causes = {key: node for key, node, _ in _removals(applied.nodes)}
        sizes = {cids.to_str(node.cid): len(node.data) for node in applied.nodes}
        changes = []
        for key, outcome in told.outcomes.items():
            effect = effects.get(key)
            if outcome.again:
                kind = self._kind_of(key, effect, told.again[key])
                outcome = outcome._replace(kind=kind, id=keys.agent_id(key) or "")
            if outcome.kind is not None:
                changes.append(_change(applied, effect, outcome, outcome.kind, causes.get(key), sizes))
        return changes

    def removal_of(self, key: str) -> Removal | None:
        """The delta that removed a key in a large merge, once, where that is still known."""
        return self._removals.pop(key, None)

    def _kind_of(self, key: str, effect: Effect | None, again: Again) -> ChangeKind | None:
        """The kind of a change by the versions before and after it."""
        winner = again.before if again.decided else effect.before if effect is not None else None
        before, after = self._content(key, winner), again.after
        if not again.decided and effect is None:
            return ChangeKind.REFRESH if after is not None else None
        if before == after:
            return ChangeKind.REFRESH if after is not None else None
        if before is None:
            return ChangeKind.PUT
        return ChangeKind.UPDATE if after is not None else ChangeKind.DELIST

    def _content(self, key: str, winner: Winner | None) -> int | None:
        """The hash of what a version says, None for one that is not shown."""
        made = project(key, winner, 0, self._own_peer_id, lambda cid: None) if winner is not None else ""
        return made.content if isinstance(made, Projected) else None

    def _remember_removals(self, applied: Applied) -> None:
        gone = {effect.key for effect in applied.effects if effect.after is None}
        for key, node, withdrawn in _removals(applied.nodes):
            if withdrawn or key in gone:
                self._removals[key] = Removal(node.cid, node.delta.priority, applied.via)
        while len(self._removals) > MAX_REMOVALS:
            self._removals.popitem(last=False)


def _removals(nodes: Sequence[DagNode]) -> Iterator[tuple[str, DagNode, bool]]:
    """The listings' keys that deltas remove or withdraw, with the deltas, and whether it is a withdrawal."""
    for node in nodes:
        for key, _ in node.delta.tombstones:
            yield key, node, False
        for span in node.delta.elements:
            listing_id = keys.withdrawn_id(span.key) if span.key.startswith(keys.WITHDRAWN) else None
            if listing_id is not None:
                yield keys.of_agent(listing_id), node, True


def _touched(changes: Changes) -> dict[str, int]:
    """The keys of listings and withdrawals that a merge touched, each with the height of its new value, or else of the
    highest delta that touched it."""
    highest = max((row.height for row in changes.blocks), default=0)
    heights = {key: winner.height if winner is not None else highest for key, winner in changes.winners.items()}
    for row in changes.blocks:
        for key, _, _ in row.elements:
            if key not in changes.winners:
                heights[key] = max(heights.get(key, 0), row.height)
    return {key: height for key, height in heights.items() if keys.agent_id(key) or keys.withdrawn_id(key)}


def _of_verified_sellers(db: sqlite3.Connection, touched: Mapping[str, int]) -> Iterator[str]:
    """The keys in the name spaces of peers that have verified listings, of each the `FIRST_OF_EACH` highest. Their rows are
    made first, so that a flood of strangers' listings delays none of theirs. Anybody can write into their name spaces, so
    that a flood there has no more of this than they."""
    spaces: dict[str, list[str]] = {}
    for key in touched:
        if owner := name_space(keys.agent_id(key) or keys.withdrawn_id(key) or ""):
            spaces.setdefault(owner, []).append(key)
    sql = "SELECT 1 FROM listings INDEXED BY listings_verified WHERE seller = ? AND state < 2 LIMIT 1"
    for seller, named in spaces.items():
        if db.execute(sql, (seller,)).fetchone() is not None:
            yield from nlargest(FIRST_OF_EACH, named, key=touched.__getitem__)


def _first_blocks(blocks: Mapping[int, BlockRow]) -> dict[str, int]:
    """The number of the first of these blocks with an element of each key."""
    first: dict[str, int] = {}
    for n, row in blocks.items():
        for key, _, _ in row.elements:
            first[key] = min(first.get(key, n), n)
    return first


def _versions(blocks: Mapping[int, BlockRow], touched: Mapping[str, int]) -> Versions:
    """The versions that a merge brought of the keys that it touched."""
    found: Versions = {key: {} for key in touched}
    for n, row in blocks.items():
        for key, start, length in row.elements:
            if key in found:
                found[key][Location(n, start, length)] = Winner(row.height, row.data[start : start + length], row.cid)
    return found


def _is_small(changes: Changes, touched: Mapping[str, int]) -> bool:
    """Whether the rows of these keys are written with their merge."""
    versions = sum(len(row.elements) for row in changes.blocks)
    if max(versions, len(touched)) > SMALL:
        return False
    return sum(length for row in changes.blocks for _, _, length in row.elements) <= SMALL_BYTES


def _change(
    applied: Applied,
    effect: Effect | None,
    outcome: Outcome,
    kind: ChangeKind,
    removed_by: DagNode | None,
    sizes: Mapping[str, int],
) -> Change:
    """The event of one key. A listing that went without a tombstone is reported with the version that it had."""
    if outcome.listing is not None:
        cid, height = outcome.listing.cid, outcome.listing.height
    elif removed_by is not None:
        cid, height = cids.to_str(removed_by.cid), removed_by.delta.priority
    elif effect is not None and effect.before is not None:
        cid, height = cids.to_str(effect.before.cid), effect.before.height
    else:
        cid, height = "", 0
    name = outcome.name
    if outcome.listing is None:
        before = effect.before if effect is not None else None
        name = name_as_written(name, before.value if before is not None else None)
    return Change(
        kind,
        outcome.id,
        cid,
        height,
        applied.via or LOCAL,
        applied.at,
        outcome.listing,
        sizes.get(cid, 0),
        applied.took,
        name,
        outcome.seller,
        outcome.old_price,
        _changed(effect, outcome) if kind is ChangeKind.UPDATE else None,
    )


def _changed(effect: Effect | None, outcome: Outcome) -> dict[str, object] | None:
    """The fields that an update changed, None where the version that was shown before is not at hand, or is large: the store
    is locked meanwhile."""
    before = effect.before if effect is not None else None
    if effect is None or before is None or outcome.listing is None or outcome.old_content is None:
        return None
    if len(before.value) > COMPARED_BYTES:
        return None
    try:
        fields = parse_value(before.value)
        if content_hash(fields) != outcome.old_content:
            return None  # what was shown was not what the map had
        # Its signature was checked when it came, and does not matter here.
        old = decode_fields(fields, effect.key, before, 0.0, "", Provenance.UNSIGNED)
    except ListingError:
        return None
    return differing_fields(old, outcome.listing)
