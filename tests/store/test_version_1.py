"""A database of version 1 becomes one of today, whatever happens on the way."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from betar_tui.replica import DagNode, Replica
from betar_tui.replica.facts import PeerRow
from betar_tui.store import packing, schema
from betar_tui.store.database import open_store
from tests.simulation.crashing import CrashingConnection, wreck
from tests.simulation.lab import random_dag
from tests.simulation.memory import Crash, assert_sound, truth_of
from tests.store.reading import values
from tests.store.test_schema import TABLES, connect, tables, version

VERSION_1 = """
CREATE TABLE blocks (
    n        INTEGER PRIMARY KEY,
    digest   BLOB NOT NULL UNIQUE,
    height   NOT NULL,
    complete INTEGER NOT NULL,
    via      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    data     BLOB NOT NULL
);
CREATE INDEX incomplete ON blocks (n) WHERE complete = 0;
CREATE TABLE sources (id INTEGER PRIMARY KEY, peer TEXT NOT NULL UNIQUE);
CREATE TABLE keys (
    k      INTEGER PRIMARY KEY,
    key    TEXT NOT NULL UNIQUE,
    n      INTEGER,
    start  INTEGER,
    length INTEGER
);
CREATE TABLE elements (
    k INTEGER NOT NULL, n INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL, dead INTEGER NOT NULL,
    PRIMARY KEY (k, n)
) WITHOUT ROWID;
CREATE TABLE tombstones (k INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (k, digest)) WITHOUT ROWID;
CREATE TABLE heads (digest BLOB PRIMARY KEY, height NOT NULL) WITHOUT ROWID;
CREATE TABLE wants (digest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE files (cid BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE peers (peer TEXT PRIMARY KEY, addrs TEXT NOT NULL, last_seen REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE own (key TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
SAME = ("sources", "elements", "tombstones", "heads", "wants", "files", "own", "settings")
"""Tables that are today as version 1 had them."""
PEER = PeerRow("p", ("/ip4/1.2.3.4/tcp/1",), 7.0)


def version_1(path: Path, nodes: list[DagNode]) -> None:
    """A file as version 1 wrote it: its own tables, in WAL, with the rows of a merge of these nodes."""
    newer = path.with_suffix(".new")
    store = open_store(newer)
    replica = Replica(store)
    for i in range(0, len(nodes), 7):
        replica.merge(nodes[i : i + 7], f"peer {i % 2}", 1000 + i)
    tuple(replica.writing({"/own": b"v"}, ["/a"], 2000))
    store.put_setting("a", "b")
    store.put_own({"/own": "{}"})
    store.put_files({b"\x01\x55\x12\x20" + bytes(32): b"x"})
    store.change_peers([PEER])
    store.close()
    db = connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(VERSION_1)
    db.execute("ATTACH ? AS newer", (str(newer),))
    complete = "NOT EXISTS (SELECT 1 FROM newer.incomplete WHERE incomplete.n = blocks.n)"
    db.execute(f"INSERT INTO blocks SELECT n, digest, height, {complete}, via, at, data FROM newer.blocks")
    db.execute("INSERT INTO keys SELECT * FROM newer.keys")
    db.execute("INSERT INTO peers SELECT peer, addrs, last_seen FROM newer.peers")
    for table in SAME:
        db.execute(f"INSERT INTO {table} SELECT * FROM newer.{table}")
    db.close()


def layout(db: sqlite3.Connection) -> set[tuple[object, ...]]:
    rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return {(*row[:3], row[3].replace('"', "") if row[3] else None) for row in rows}


def contents(path: Path) -> list[object]:
    """The whole content, in the current schema."""
    db = connect(path)
    rows = [sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in sorted(TABLES)]
    db.close()
    return rows


def test_from_version_1(tmp_path: Path) -> None:
    """A replica goes on where version 1 left it, and its history can be packed."""
    path = tmp_path / "db"
    nodes = random_dag(random.Random(1), 60)[5:]
    version_1(path, nodes)
    fresh = open_store(path.with_suffix(".new"))
    store = open_store(path)
    assert version(store._db) == schema.VERSION
    assert layout(store._db) == layout(fresh._db)
    truth = assert_sound(store)
    assert truth == truth_of(fresh)
    assert truth.incomplete
    assert truth.wants
    assert truth.dead
    assert store.log(1000) == fresh.log(1000)
    assert values(store) == values(fresh)
    assert (store.setting("a"), dict(store.own()), store.peers()) == ("b", {"/own": "{}"}, [PEER])
    assert store.totals().blocks == fresh.totals().blocks
    fresh.close()
    assert contents(path) == contents(path.with_suffix(".new"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "GROUP", 4)
        assert store.pack(1000, keep=2) > 8
    blocks = [row.data for row in store.log(1000)]
    assert assert_sound(store, blocks) == truth
    Replica(store).merge(random_dag(random.Random(1), 60)[:5], "peer", 0)
    assert not assert_sound(store, [row.data for row in store.log(1000)]).wants
    assert store.check() == "ok"
    store.close()


@pytest.mark.parametrize("after", [False, True], ids=["before or amid", "after"])
def test_a_crash_at_any_statement_of_the_migration_from_version_1(tmp_path: Path, after: bool) -> None:
    path = tmp_path / "old"
    version_1(path, random_dag(random.Random(2), 30)[3:])
    seen = set()
    for left in range(60):
        copy = tmp_path / f"{left}.db"
        shutil.copyfile(path, copy)
        db = CrashingConnection(connect(copy))
        db.left, db.after = left, after
        try:
            schema.prepare(db)  # type: ignore[arg-type]
        except Crash:
            copy = wreck(copy, db)
            again = connect(copy)
            seen.add(version(again))
            assert ("packed" in tables(again)) is (version(again) >= 2)
            again.close()
            open_store(copy).close()
            assert contents(copy) == contents(path.with_suffix(".new"))
        else:
            db.close()
            break
    assert 15 < left < 59
    assert seen == ({1, 2, 3, 4, 5, 6} if after else {1, 2, 3, 4, 5})


def test_a_full_disk_leaves_version_1(tmp_path: Path) -> None:
    path = tmp_path / "old"
    version_1(path, random_dag(random.Random(3), 60))
    db = connect(path)
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        schema.prepare(db)
    assert version(db) == 1
    db.execute("PRAGMA max_page_count = 100000")
    schema.prepare(db)
    db.close()
    assert contents(path) == contents(path.with_suffix(".new"))
