"""A catalogue on a store of its own, fed by merges."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from betar_tui.catalogue import checking
from betar_tui.catalogue.catalogue import DEFAULT_LIMITS, Catalogue
from betar_tui.catalogue.search_index import FACTS, WORDS
from betar_tui.limits import Limits
from betar_tui.market.marketplace import Change, Listing
from betar_tui.replica import Applied, DagNode, Replica, keys
from betar_tui.replica.facts import Winner
from betar_tui.store.database import Store, open_store
from tests.market.values import SIGNER, key, value
from tests.simulation.lab import node


class Book:
    """A replica with its catalogue. Times are Unix seconds."""

    def __init__(
        self,
        path: Path,
        own_value: bytes = b"",
        store: Store | None = None,
        opened: float = 0.0,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.store = store or open_store(path)
        own = SIGNER.peer_id, lambda each: each == own_value
        self.catalogue = Catalogue(self.store, *own, opened=opened, limits=limits)
        self.replica = Replica(self.store)
        self.nodes: dict[str, DagNode] = {}
        self.height = self.replica.height

    def put(self, values: Mapping[str, bytes], via: str = "peer", at: float = 5.0) -> list[Change]:
        """Merge a delta that puts these values."""
        self.height += 1
        new = node((), values.items(), (), self.height)
        self.nodes.update(dict.fromkeys(values, new))
        return self.merge([new], via, at)

    def delist(self, *names: str, via: str = "peer", at: float = 6.0) -> list[Change]:
        """Merge a delta that removes the last values of these keys."""
        self.height += 1
        return self.merge([node((), (), [(name, self.nodes[name]) for name in names], self.height)], via, at)

    def merge(self, nodes: list[DagNode], via: str = "peer", at: float = 5.0) -> list[Change]:
        return [change for step in self.merging(nodes, via, at) for change in step]

    def merging(self, nodes: list[DagNode], via: str = "peer", at: float = 5.0) -> Iterator[list[Change]]:
        """The same, one transaction at each step, with what people are told of it."""
        for merged in self.replica.merging(nodes, via, at):
            yield self.catalogue.changes_of(Applied(merged.nodes, merged.effects, via, at))

    def resuming(self, at: float = 5.0) -> Iterator[list[Change]]:
        """Merge what is left of deltas of which some slices are merged."""
        for merged in self.replica.resuming(at):
            yield self.catalogue.changes_of(Applied(merged.nodes, merged.effects, merged.via, at))

    def work_off(self, now: float = 9.0, index: bool = True) -> list[Change]:
        """Do all that merges have left."""
        backlog, changes = self.catalogue.backlog, list[Change]()
        while prepared := backlog.prepare():
            changes += backlog.write(prepared, now)
        while index and backlog.index():
            pass
        return changes

    def get(self, name: str = "swift-ocr") -> Listing | None:
        return self.catalogue.get(f"{SIGNER.peer_id}/{name}")

    def counts(self) -> tuple[int, int, int]:
        found = self.catalogue.counts()
        return found.listings, found.invalid, found.unreadable

    def names(self, query: str = "", sort: str = "") -> list[str]:
        return [each.name for each in self.catalogue.page(query, sort, 0, 10.0).listings]

    def is_right(self) -> bool:
        found = checking.compare(self.store, SIGNER.peer_id)
        assert found is not None
        return found.right

    def close(self) -> None:
        self.store.close()


def forged(name: str = "swift-ocr", price: float = 0) -> bytes:
    """A value whose signature is another's."""
    return json.dumps({**json.loads(value(name)), "price": price}).encode()


def unsigned(name: str = "swift-ocr", /, **fields: object) -> bytes:
    """A value without a signature."""
    plain = {**json.loads(value(name)), **fields}
    del plain["signature"]
    return json.dumps(plain).encode()


def many(names: Iterable[str], **fields: object) -> dict[str, bytes]:
    """Values for a delta, by key."""
    return {key(name): unsigned(name, **fields) for name in names}


def stray(numbers: range) -> dict[str, bytes]:
    """Unsigned values in nobody's name space."""
    values = {f"stray/{n}": unsigned(f"stray-{n}", id=f"stray/{n}") for n in numbers}
    return {keys.of_agent(listing_id): value for listing_id, value in values.items()}


def contents(db: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """What the catalogue says, as far as a projection made afresh says the same: neither the order in which keys got their
    numbers nor when a listing first appeared follows from the replica's values."""
    columns = "id, name, price, seller, seen, state, timestamp, content, metadata, share, text, facts"
    found = {
        "rows": db.execute(f"SELECT k, {columns} FROM listings JOIN listing_texts USING (k) ORDER BY k").fetchall(),
        "texts": db.execute("SELECT k FROM listing_texts ORDER BY k").fetchall(),
        "unlisted": db.execute("SELECT k, reason FROM unlisted ORDER BY k").fetchall(),
        "withheld": db.execute("SELECT k, share FROM withheld ORDER BY k").fetchall(),
        "counts": db.execute("SELECT * FROM catalogue_counts ORDER BY name").fetchall(),
        "missing": db.execute("SELECT metadata FROM undescribed ORDER BY metadata").fetchall(),
        "waiting": db.execute("SELECT k FROM unprojected UNION SELECT k FROM unindexed").fetchall(),
        "signed": db.execute("SELECT * FROM signed ORDER BY k").fetchall(),
        "withdrawals": db.execute("SELECT * FROM withdrawals ORDER BY k").fetchall(),
    }
    found["index"] = []
    for index in (WORDS, FACTS):
        db.execute(f"CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, {index}, instance)")
        found["index"] += db.execute("SELECT term, doc, offset, ? FROM temp.terms ORDER BY 1, 2, 3", (index,))
        db.execute("DROP TABLE temp.terms")
    return found


def first_seen(book: Book) -> dict[str, int]:
    with book.store.readers.reading() as (db, _):
        rows = db.execute("SELECT id, first_seen FROM listings").fetchall()
    return {listing_id.rpartition("/")[2]: at for listing_id, at in rows}


def afresh(path: Path, limits: Limits = DEFAULT_LIMITS) -> dict[str, list[tuple[object, ...]]]:
    """The same of a projection made afresh of the database at `path`, which is changed by that."""
    store = open_store(path)
    checking.make_afresh(store, SIGNER.peer_id)
    book = Book(path, store=store, limits=limits)
    for _ in book.resuming():
        pass
    book.work_off()
    found = contents(store._db)
    store.close()
    return found


def judge(path: Path, judged: Path, made: Path, limits: Limits = DEFAULT_LIMITS) -> None:
    """Open copies of what a crash left at `path`: worked off, it is what a projection made afresh is."""
    for suffix in ("", "-wal"):
        for target in (judged, made):
            Path(f"{target}{suffix}").unlink(missing_ok=True)
            if Path(f"{path}{suffix}").exists():
                shutil.copyfile(f"{path}{suffix}", f"{target}{suffix}")
    book = Book(judged, limits=limits)
    for _ in book.resuming():
        pass
    book.work_off()
    # A file that nothing points at any more is forgotten when it would be asked for.
    book.catalogue.files.forget_unused(book.catalogue.files.due(1e12, 1e12, 1_000))
    found = contents(book.store._db)
    assert not found["waiting"]
    assert book.is_right()
    book.close()
    expected = afresh(made, limits)
    different = [name for name in expected if found[name] != expected[name]]
    assert not different, {name: set(found[name]) ^ set(expected[name]) for name in different}
    store = open_store(judged)
    assert store.check() == "ok"
    store.close()


def winner_of(content: bytes) -> Winner:
    """A winner as a test of pure parts needs one."""
    return Winner(1, content, b"\x01\x70\x12\x20" + bytes(32))
