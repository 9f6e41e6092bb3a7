"""Creating, versions, migrations, and other files."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from betar_tui.errors import StoreError
from betar_tui.replica import Replica
from betar_tui.store import schema
from betar_tui.store.database import open_store
from tests.simulation.crashing import CrashingConnection, wreck
from tests.simulation.lab import node
from tests.simulation.memory import Crash
from tests.store.reading import values

TABLES = {"blocks", "incomplete", "names", "sources", "keys", "key_names", "elements", "tombstones", "heads", "wants"}
TABLES |= {"groups", "packed", "due", "packing", "verdicts", "files", "peers", "own", "settings", "announced", "counts"}
TABLES.add("unfinished")


def tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def test_a_new_database(tmp_path: Path) -> None:
    store = open_store(tmp_path / "db")
    assert tables(store._db) == TABLES
    assert version(store._db) == schema.VERSION == 6
    assert store.check() == "ok"
    assert store.load() == type(store.load())({}, {}, frozenset())
    store.close()
    store.close()


def test_the_current_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with open_store(path)._db as db:
        db.execute("INSERT INTO settings VALUES ('a', 'b')")
    db.close()
    store = open_store(path)
    assert store.setting("a") == "b"
    store.close()


def test_a_newer_version_is_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "db"
    store = open_store(path)
    store._db.execute(f"PRAGMA user_version = {schema.VERSION + 6}")
    store.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"version 12, this program knows 6; use a newer betar-tui"):
        open_store(path)
    assert path.read_bytes() == before


def test_durability(tmp_path: Path) -> None:
    """WAL; FULL for own deltas, NORMAL for those that can be fetched again."""
    store = open_store(tmp_path / "db")

    assert store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    levels: list[int] = []

    class Watched(CrashingConnection):
        def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
            if sql == "COMMIT":
                levels.append(self.real.execute("PRAGMA synchronous").fetchone()[0])
            return super().execute(sql, parameters)

    store._db = Watched(store._db)  # type: ignore[assignment]
    replica = Replica(store)
    replica.merge([node((), [("/k", b"v")])], "peer", 0)
    tuple(replica.writing({"/k": b"v"}, (), 0))
    replica.merge([node((), [("/k", b"w")])], "peer", 0)
    store.put_setting("a", "b")
    store.put_own({"/k": "{}"})
    store.drop_own(["/k"])
    store.put_files({b"\x01\x55\x12\x20" + bytes(32): b"x"})
    assert levels == [1, 2, 1, 2, 2, 2, 2]
    store.close()


# --- migrations ---------------------------------------------------------------------------------


def to_7(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE settings ADD COLUMN note TEXT NOT NULL DEFAULT ''")
    db.execute("UPDATE settings SET note = 'migrated ' || value")


def to_8(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE third (x)")
    db.execute("INSERT INTO third SELECT note FROM settings")
    db.execute("DELETE FROM settings")


TO_7 = (*schema.MIGRATIONS, to_7)
TO_8 = (*TO_7, to_8)


def old_database(path: Path) -> None:
    store = open_store(path)
    store.put_setting("a", "b")
    store.close()


def test_migrations_run_in_order_and_once(tmp_path: Path) -> None:
    path = tmp_path / "db"
    old_database(path)
    db = connect(path)
    schema.prepare(db, TO_7)
    assert (version(db), db.execute("SELECT note FROM settings").fetchall()) == (7, [("migrated b",)])
    schema.prepare(db, TO_8)
    schema.prepare(db, TO_8)
    assert (version(db), db.execute("SELECT * FROM third").fetchall()) == (8, [("migrated b",)])
    with pytest.raises(StoreError, match="version 8, this program knows 6"):
        schema.prepare(db)
    db.close()


def test_a_new_database_starts_at_the_newest_version(tmp_path: Path) -> None:
    db = connect(tmp_path / "db")
    schema.prepare(db, TO_8)
    assert version(db) == 8
    db.close()


def test_a_crash_at_any_statement_of_a_migration(tmp_path: Path) -> None:
    """Each step is there or not; opening again does the rest."""
    seen = set()
    for after in (False, True):
        for left in range(40):
            path = tmp_path / f"{after}{left}.db"
            old_database(path)
            db = CrashingConnection(connect(path))
            db.left, db.after = left, after
            try:
                schema.prepare(db, TO_8)  # type: ignore[arg-type]
            except Crash:
                again = connect(wreck(path, db))
                seen.add(version(again))
                has_note = "note" in {row[1] for row in again.execute("PRAGMA table_info(settings)")}
                assert has_note is (version(again) > 6)
                assert ("third" in tables(again)) is (version(again) > 7)
                schema.prepare(again, TO_8)
                assert again.execute("SELECT * FROM third").fetchall() == [("migrated b",)]
                again.close()
            else:
                db.close()
                break
        assert 10 < left < 39
    assert seen == {6, 7, 8}


def test_a_crash_at_any_statement_of_creating(tmp_path: Path) -> None:
    for left in range(60):
        path = tmp_path / f"{left}.db"
        db = CrashingConnection(connect(path))
        db.left = left
        try:
            schema.prepare(db)  # type: ignore[arg-type]
        except Crash:
            store = open_store(wreck(path, db))
            assert tables(store._db) == TABLES
            store.close()
        else:
            db.close()
            break
    assert 12 < left < 59


def test_a_migration_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    path = tmp_path / "db"
    old_database(path)

    def bad(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM settings")
        db.execute("SELECT nonsense")

    db = connect(path)
    with pytest.raises(sqlite3.OperationalError, match="nonsense"):
        schema.prepare(db, (*TO_7, bad))
    assert not db.in_transaction
    assert (version(db), db.execute("SELECT note FROM settings").fetchall()) == (7, [("migrated b",)])
    db.close()


# --- other files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be one" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_not_a_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"db cannot be used: .*; move it away"):
        open_store(path)


def test_a_foreign_database(tmp_path: Path) -> None:
    path = tmp_path / "db"
    db = connect(path)
    db.execute("CREATE TABLE blocks (theirs)")
    db.close()
    with pytest.raises(StoreError, match="already exists"):
        open_store(path)
    db = connect(path)
    assert tables(db) == {"blocks"}
    db.close()


def test_a_folder_or_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it is a directory, not a regular file"):
        open_store(tmp_path)
    with pytest.raises(StoreError, match="No such file"):
        open_store(tmp_path / "none" / "db")


def test_a_database_that_rotted(tmp_path: Path) -> None:
    """Pages in the middle are overwritten: a StoreError with a hint, at opening or at reading."""
    path = tmp_path / "db"
    store = open_store(path)
    replica = Replica(store)
    for i in range(200):
        tuple(replica.writing({f"/{i}": b"v" * 200}, (), 0))
    store.close()
    raw = bytearray(path.read_bytes())
    for page in range(4096 * 3, len(raw), 4096):
        raw[page : page + 2000] = b"\xa5" * 2000
    path.write_bytes(raw)
    with pytest.raises(StoreError, match=r"(run betar-tui doctor|move it away|nothing was changed)"):
        store = open_store(path)
        try:
            store.load()
            values(store)
            store.log(1000)
        finally:
            store.close()


def test_a_kept_block_that_rotted(tmp_path: Path) -> None:
    """SQLite has no checksums: the store must notice a damaged block, for which no peer is to blame."""
    store = open_store(tmp_path / "db")
    Replica(store).merge([node([b"\x01\x70\x12\x20" + bytes(32)], [("/k", b"v")])], "peer", 0)
    store._db.execute("UPDATE blocks SET data = x'ff'")
    with pytest.raises(StoreError, match="damaged"):
        Replica(store)
    store.close()
