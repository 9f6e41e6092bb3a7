"""The integrity check, as versions of SQLite that examine virtual tables have to be asked for it, and as others."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from betar_tui.store.integrity import integrity

VERSIONS = [(3, 40, 1), (3, 44, 0), (3, 51, 0)]
PAGE = 4096


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    """A database with two tables, a search index and free pages."""
    found = sqlite3.connect(tmp_path / "db", isolation_level=None)
    found.execute("CREATE TABLE plain (k INTEGER PRIMARY KEY, text TEXT)")
    found.execute('CREATE TABLE "it\'s" (k TEXT PRIMARY KEY) WITHOUT ROWID')
    found.execute("CREATE INDEX by_text ON plain (text)")
    found.execute("CREATE VIRTUAL TABLE search USING fts5(text, content='', tokenize='trigram')")
    rows = [(f"{n:06}" * 10,) for n in range(1_000)]
    for sql in ("plain (text)", '"it\'s"', "search (text)"):
        found.executemany(f"INSERT INTO {sql} VALUES (?)", rows)
    found.execute("CREATE TABLE gone AS SELECT * FROM plain")
    found.execute("DROP TABLE gone")
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_a_sound_database(db: sqlite3.Connection, version: tuple[int, ...]) -> None:
    assert integrity(db, version) == "ok"


def test_which_tables_are_looked_at(db: sqlite3.Connection) -> None:
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    integrity(db, (3, 45, 0))
    checked = {each.partition("(")[2].strip("')") for each in statements if "integrity_check" in each}
    assert checked >= {"sqlite_schema", "plain", "it''s", "search_data", "search_idx"}
    assert "search" not in checked


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("table", ["plain", "it's", "by_text", "search_data"])
def test_a_damaged_table(db: sqlite3.Connection, tmp_path: Path, version: tuple[int, ...], table: str) -> None:
    (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    db.close()
    raw = bytearray((tmp_path / "db").read_bytes())
    raw[(root - 1) * PAGE : root * PAGE] = bytes(PAGE)
    (tmp_path / "db").write_bytes(raw)
    damaged = sqlite3.connect(tmp_path / "db", isolation_level=None)
    with suppress(sqlite3.DatabaseError):  # which a store says in its words
        assert integrity(damaged, version) != "ok"
    damaged.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_damaged_free_pages(db: sqlite3.Connection, tmp_path: Path, version: tuple[int, ...]) -> None:
    db.close()
    raw = bytearray((tmp_path / "db").read_bytes())
    assert int.from_bytes(raw[36:40], "big") > 3
    raw[36:40] = (1).to_bytes(4, "big")
    (tmp_path / "db").write_bytes(raw)
    damaged = sqlite3.connect(tmp_path / "db", isolation_level=None)
    assert integrity(damaged, version) != "ok"
    damaged.close()
