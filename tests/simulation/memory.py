"""A replica's storage in dictionaries, which asserts that changes are consistent, and a common view of every storage."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field

from betar_tui.replica import ReplicaStorage
from betar_tui.replica.facts import Changes, Snapshot, Span, Winner
from betar_tui.store.database import Store
from tests.simulation.oracle import Truth, judge
from tests.store.reading import values


class Crash(BaseException):
    """The process dies here. Not an Exception: nothing may handle it."""


@dataclass
class MemoryStorage:
    """Answers `replica.ReplicaStorage`. `crash` is "before" or "after" to die at the next `apply`."""

    data: dict[bytes, bytes] = field(default_factory=dict)
    heights: dict[bytes, int] = field(default_factory=dict)
    complete: set[bytes] = field(default_factory=set)
    spans: dict[str, dict[bytes, Span]] = field(default_factory=dict)
    buried: set[tuple[str, bytes]] = field(default_factory=set)
    chosen: dict[str, bytes] = field(default_factory=dict)
    heads: dict[bytes, int] = field(default_factory=dict)
    wants: set[bytes] = field(default_factory=set)
    begun: dict[bytes, tuple[int, str]] = field(default_factory=dict)
    aside: set[bytes] = field(default_factory=set)
    crash: str = ""
    durable: int = 0

    def load(self) -> Snapshot:
        hidden = self.complete | self.aside
        rows = {cid: (self.heights[cid], data) for cid, data in self.data.items() if cid not in hidden}
        return Snapshot(dict(self.heads), rows, frozenset(self.wants), dict(self.begun))

    def stored(self, cids: Collection[bytes]) -> Mapping[bytes, bool]:
        return {cid: cid in self.complete for cid in cids if cid in self.data and cid not in self.aside}

    def laid_aside(self, cids: Collection[bytes]) -> Collection[bytes]:
        return self.aside.intersection(cids)

    def winners(self, keys: Collection[str]) -> Mapping[str, Winner]:
        return {key: self._winner(key, self.chosen[key]) for key in keys if key in self.chosen}

    def tombstoned(self, pairs: Collection[tuple[str, bytes]]) -> Collection[tuple[str, bytes]]:
        return self.buried.intersection(pairs)

    def live(self, key: str, least: int = 0) -> Collection[bytes]:
        mine = [cid for cid in self.spans.get(key, ()) if (key, cid) not in self.buried]
        return [cid for cid in mine if self.heights[cid] >= least]

    def greatest(self, key: str, without: Set[bytes]) -> Winner | None:
        return max((self._winner(key, cid) for cid in self.live(key) if cid not in without), default=None)

    def apply(self, changes: Changes, durable: bool) -> None:
        if self.crash == "before":
            raise Crash
        self._accept(changes)
        self.durable += durable
        if self.crash == "after":
            raise Crash

    def _accept(self, changes: Changes) -> None:
        new = {row.cid for row in changes.blocks if not row.known}
        known = {row.cid for row in changes.blocks if row.known}
        assert len(new) + len(known) == len(changes.blocks)
        assert not new & self.data.keys()
        assert known <= self.aside | self.begun.keys()
        asides = {cid for cid, done in changes.unfinished.items() if done is None}
        if not asides:
            assert changes.dag.wants_removed == (new | known & self.aside) & self.wants
        self.aside = self.aside - changes.finished | asides
        assert not changes.dag.wants_added & (self.wants | self.data.keys() - self.aside | new)
        assert self.data.keys() - self.complete >= set(changes.dag.completed)
        assert changes.dag.heads_removed <= self.heads.keys()
        assert not changes.dag.heads_added.keys() & self.heads.keys()
        for row in changes.blocks:
            self.data[row.cid], self.heights[row.cid] = row.data, row.height
            for span in row.elements:
                assert row.cid not in self.spans.get(span.key, ())
                self.spans.setdefault(span.key, {})[row.cid] = span
        self.complete.update(changes.dag.completed, (row.cid for row in changes.blocks if row.complete))
        self.buried.update(changes.tombstones)
        for key, winner in changes.winners.items():
            if winner is None:
                self.chosen.pop(key, None)
            else:
                assert (key, winner.cid) not in self.buried
                assert winner == self._winner(key, winner.cid)
                self.chosen[key] = winner.cid
        for cid in changes.dag.heads_removed:
            del self.heads[cid]
        self.heads.update(changes.dag.heads_added)
        self.wants = self.wants - changes.dag.wants_removed | changes.dag.wants_added
        for cid in changes.finished:
            self.begun.pop(cid, None)
        self.begun.update((cid, (done, changes.via)) for cid, done in changes.unfinished.items() if done is not None)

    def _winner(self, key: str, cid: bytes) -> Winner:
        span = self.spans[key][cid]
        return Winner(self.heights[cid], self.data[cid][span.start : span.start + span.length], cid)


def blocks_of(storage: ReplicaStorage) -> dict[bytes, bytes]:
    """Every delta in a storage."""
    if isinstance(storage, MemoryStorage):
        return dict(storage.data)
    assert isinstance(storage, Store)
    return {row.cid: row.data for row in storage.log(1 << 30)}


def values_of(storage: ReplicaStorage) -> dict[str, tuple[int, bytes]]:
    """The map, with heights."""
    if isinstance(storage, MemoryStorage):
        winners = storage.winners(storage.chosen.keys())
    else:
        assert isinstance(storage, Store)
        winners = {key: winner for key, winner, _ in values(storage)}
    return {key: (winner.height, winner.value) for key, winner in winners.items()}


def truth_of(storage: ReplicaStorage) -> Truth:
    """The content of a storage, in the form of the oracle."""
    snapshot = storage.load()
    if isinstance(storage, MemoryStorage):
        every = {(key, cid) for key, spans in storage.spans.items() for cid in spans}
        dead = every & storage.buried
    else:
        assert isinstance(storage, Store)
        keys = [key for (key,) in storage._db.execute("SELECT key FROM keys")]
        versions = [(key, element) for key in keys for element in storage.elements(key)]
        every = {(key, element.cid) for key, element in versions}
        dead = {(key, element.cid) for key, element in versions if element.dead}
        assert len(every) == len(versions)
    return Truth(
        values=values_of(storage),
        heads=dict(snapshot.heads),
        wants=snapshot.wants,
        incomplete=frozenset(snapshot.incomplete),
        live=frozenset(every - dead),
        dead=frozenset(dead),
    )


def assert_sound(storage: ReplicaStorage, blocks: Iterable[bytes] | None = None) -> Truth:
    """Assert that the content of a storage is what follows from its blocks (or these)."""
    expected = judge(blocks_of(storage).values() if blocks is None else blocks)
    assert truth_of(storage) == expected
    return expected
