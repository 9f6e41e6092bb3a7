"""Follows the merges of a replica, in their own transactions.

The rows of a small merge are written with it, and what becomes of them is what its events are made of: one decoding and
one check of a signature for each value. A large merge only queues the keys that it changed."""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from betar_tui.catalogue.files import stored_file
from betar_tui.catalogue.projecting import Projected, name_as_written, project
from betar_tui.catalogue.rows import Outcome, write_rows
from betar_tui.catalogue.schema import MAX_HEIGHT
from betar_tui.catalogue.versions import read_versions, winner_of
from betar_tui.ipld import cid as cids
from betar_tui.market.marketplace import Change, ChangeKind, Provenance
from betar_tui.replica import Applied, Effect, keys
from betar_tui.replica.facts import Changes, Winner
from betar_tui.store.history import History

SMALL = 256
"""Maximum changed keys of a merge whose rows are written with it: as many as a crowd announces, or a person publishes, at
a time. A sync brings more."""
SMALL_BYTES = 256 << 10
"""Maximum bytes of their values: the store is locked while they are decoded, which takes 7 to 90 ms a megabyte."""
MAX_REMOVALS = 4096
"""Maximum keys whose removing delta is remembered until their row is gone."""


class Removal(NamedTuple):
    """The delta that removed a key: its CID, its height, and the peer that it came through, "" for an own one."""

    cid: bytes
    height: int
    via: str


@dataclass(frozen=True, slots=True)
class Followed:
    """What a merge did to the catalogue: what became of each key and how many rows more are to be indexed, or how many keys
    were queued."""

    outcomes: Mapping[str, Outcome]
    queued: int = 0
    texts: int = 0


class Projection:
    """Implements the store's `Projection`. `on_left` is told of each merge that leaves work, in the merging thread."""

    def __init__(
        self,
        own_peer_id: str,
        is_own_value: Callable[[bytes], bool],
        on_left: Callable[[Followed], None],
    ) -> None:
        self._own_peer_id = own_peer_id
        self._is_own_value = is_own_value
        self._on_left = on_left
        self._history = History()
        self._outcomes: dict[bytes, Mapping[str, Outcome]] = {}
        self._removals: OrderedDict[str, Removal] = OrderedDict()

    def follow(self, db: sqlite3.Connection, changes: Changes, numbers: Mapping[str, int], first_new: int) -> Followed:
        """Write the rows of a merge, or queue its keys. In its transaction; see the store's `Projection`."""
        changed = {key: after for key, after in changes.winners.items() if keys.agent_id(key) is not None}
        if not changed:
            return Followed({})
        if not _is_small(changed):
            _queue(db, changes, {key: numbers[key] for key in changed})
            return Followed({}, len(changed))
        now = int(changes.at * 1000)

        def file(cid: bytes) -> bytes | None:
            return stored_file(db, cid)

        new = {row.cid for row in changes.blocks}
        projected: dict[int, Projected | str | None] = {}
        for key, after in changed.items():
            winner, k = winner_of(after), numbers[key]
            if winner is None:
                projected[k] = None
            else:
                at = now if winner.cid in new else self._applied_at(db, k)
                projected[k] = self._project(key, winner, at, file)
        outcomes, texts = write_rows(db, projected, now, first_new)
        return Followed({key: outcomes[numbers[key]] for key in changed}, texts=texts)

    def committed(self, changes: Changes, result: Followed) -> None:
        """Keep what became of the keys until `changes_of` asks for it."""
        if result.outcomes:
            self._outcomes[changes.blocks[0].cid] = result.outcomes
        if result.outcomes or result.queued:
            self._on_left(result)

    def changes_of(self, applied: Applied) -> list[Change]:
        """What people and scripts are told of a merge, once. What it only queued is told later."""
        outcomes = self._outcomes.pop(applied.nodes[0].cid, None) if applied.nodes else None
        if not outcomes:
            self._remember_removals(applied)
            return []
        causes = {key: node for node in applied.nodes for key, _ in node.delta.tombstones}
        sizes = {node.cid: len(node.data) for node in applied.nodes}
        changes = []
        for effect in applied.effects:
            outcome = outcomes.get(effect.key)
            if outcome is not None and outcome.again:
                outcome = outcome._replace(kind=self._kind_of(effect), id=keys.agent_id(effect.key) or "")
            if outcome is None or outcome.kind is None:
                continue
            cause = causes.get(effect.key)
            removed_by = (cause.cid, cause.delta.priority) if cause is not None else None
            changes.append(_change(applied, effect, outcome, outcome.kind, removed_by, sizes))
        return changes

    def removal_of(self, key: str) -> Removal | None:
        """The delta that removed a key in a large merge, once, where that is still known."""
        return self._removals.pop(key, None)

    def _kind_of(self, effect: Effect) -> ChangeKind | None:
        """The kind of a change by the versions before and after it."""
        before, after = (self._content(effect.key, winner_of(each)) for each in (effect.before, effect.after))
        if before == after:
            return ChangeKind.REFRESH if after is not None else None
        if before is None:
            return ChangeKind.PUT
        return ChangeKind.UPDATE if after is not None else ChangeKind.DELIST

    def _content(self, key: str, winner: Winner | None) -> int | None:
        """The hash of what a version says, None for one that is not shown."""
        made = self._project(key, winner, 0, lambda cid: None) if winner is not None else ""
        return made.content if isinstance(made, Projected) else None

    def _remember_removals(self, applied: Applied) -> None:
        gone = {effect.key for effect in applied.effects if effect.after is None}
        for node in applied.nodes if gone else ():
            for key, _ in node.delta.tombstones:
                if key in gone:
                    self._removals[key] = Removal(node.cid, node.delta.priority, applied.via)
        while len(self._removals) > MAX_REMOVALS:
            self._removals.popitem(last=False)

    def _applied_at(self, db: sqlite3.Connection, k: int) -> int:
        """When a version was applied that shows again, Unix ms."""
        return next(iter(read_versions(db, self._history, [k]))).at

    def _project(self, key: str, winner: Winner, at: int, file: Callable[[bytes], bytes | None]) -> Projected | str:
        known = Provenance.VERIFIED if self._is_own_value(winner.value) else None
        return project(key, winner, at / 1000, self._own_peer_id, file, known)


def _is_small(changed: Mapping[str, Winner | None]) -> bool:
    """Whether the rows of these keys are written with their merge."""
    if len(changed) > SMALL:
        return False
    return sum(len(each.value) for each in changed.values() if each is not None) <= SMALL_BYTES


def _queue(db: sqlite3.Connection, changes: Changes, numbers: Mapping[str, int]) -> None:
    """Queue the changed keys of a large merge."""
    highest = max(row.height for row in changes.blocks)
    rows = []
    for key, k in numbers.items():
        after = changes.winners[key]
        rows.append((k, min(after.height if after is not None else highest, MAX_HEIGHT)))
    rows.sort()
    sql = "INSERT INTO unprojected (k, height) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET height = excluded.height"
    db.executemany(sql, rows)


def _change(
    applied: Applied,
    effect: Effect,
    outcome: Outcome,
    kind: ChangeKind,
    removed_by: tuple[bytes, int] | None,
    sizes: Mapping[bytes, int],
) -> Change:
    """The event of one key. A listing that went without a tombstone is reported with the version that it had."""
    before, after = effect.before, effect.after
    changed_by = after.cid if after is not None else removed_by[0] if removed_by is not None else b""
    if outcome.listing is not None:
        cid, height = outcome.listing.cid, outcome.listing.height
    else:
        gone, height = removed_by or ((before.cid, before.height) if before is not None else (b"", 0))
        cid = cids.to_str(gone) if gone else ""
    size, via = sizes.get(changed_by, 0), applied.via or "local"
    name = outcome.name
    if outcome.listing is None:
        name = name_as_written(name, before.value if before is not None else None)
    return Change(
        kind,
        outcome.id,
        cid,
        height,
        via,
        applied.at,
        outcome.listing,
        size,
        applied.took,
        name,
        outcome.seller,
        outcome.old_price,
    )
