"""The tables, their version, and the migrations of older databases.

A block is stored once, plain in `blocks` or packed with others in `groups`, and keeps its number `n` when it moves; an
element gives the position of a value in its block. `names` and `key_names` find blocks and keys by the first bytes of a
hash (see `sql`). Digests are the 32 bytes after the constant CID prefix. Heights above 2^63-1 do not fit SQLite's
integers and are stored as eight bytes, which sort after every integer. `user_version` is the schema's version;
`MIGRATIONS[n]` turns version n + 1 into n + 2."""

import sqlite3
from collections.abc import Callable

from betar_tui.errors import StoreError
from betar_tui.store.sql import short, short_key

_BLOCKS_AND_KEYS = """
CREATE TABLE blocks (
    n      INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,
    height NOT NULL,
    via    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    data   BLOB NOT NULL
);
CREATE TABLE incomplete (n INTEGER PRIMARY KEY);
CREATE TABLE names (short INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (short, n)) WITHOUT ROWID;
CREATE TABLE keys (k INTEGER PRIMARY KEY, key TEXT NOT NULL, n INTEGER, start INTEGER, length INTEGER);
CREATE INDEX shown ON keys (n);
CREATE TABLE key_names (short INTEGER NOT NULL, k INTEGER NOT NULL, PRIMARY KEY (short, k)) WITHOUT ROWID;"""

_PACKED = """
CREATE TABLE groups (g INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE packed (n INTEGER PRIMARY KEY, place INTEGER NOT NULL);
CREATE TABLE due (n INTEGER PRIMARY KEY);
CREATE TABLE packing (
    id       INTEGER PRIMARY KEY CHECK (id = 0),
    examined INTEGER NOT NULL,
    blocks   INTEGER NOT NULL,
    groups   INTEGER NOT NULL,
    before   INTEGER NOT NULL,
    after    INTEGER NOT NULL
);
INSERT INTO packing VALUES (0, 0, 0, 0, 0, 0);
CREATE TABLE verdicts (token BLOB PRIMARY KEY, verdict TEXT NOT NULL) WITHOUT ROWID;"""

_ANNOUNCED = """
CREATE TABLE announced (digest BLOB PRIMARY KEY, authors TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;"""

_PEERS = """
CREATE TABLE peers (
    peer      TEXT PRIMARY KEY,
    addrs     TEXT NOT NULL,
    last_seen REAL NOT NULL,
    reached   INTEGER NOT NULL,
    failures  INTEGER NOT NULL
) WITHOUT ROWID;"""

_OTHERS = """
CREATE TABLE sources (id INTEGER PRIMARY KEY, peer TEXT NOT NULL UNIQUE);
CREATE TABLE elements (
    k INTEGER NOT NULL, n INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL, dead INTEGER NOT NULL,
    PRIMARY KEY (k, n)
) WITHOUT ROWID;
CREATE TABLE tombstones (k INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (k, digest)) WITHOUT ROWID;
CREATE TABLE heads (digest BLOB PRIMARY KEY, height NOT NULL) WITHOUT ROWID;
CREATE TABLE wants (digest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE files (cid BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE own (key TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"""

_COUNTS = """
CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counts SELECT 'tombstones', count(*) FROM tombstones;"""

_UNFINISHED = """
CREATE TABLE unfinished (n INTEGER PRIMARY KEY, merged INTEGER);"""
# Incomplete blocks: merged in slices, with the number of keys that are merged, or laid aside (NULL).


def _run(db: sqlite3.Connection, script: str) -> None:
    for sql in script.split(";"):
        if sql.strip():
            db.execute(sql)


def _pack_history(db: sqlite3.Connection) -> None:
    """Version 2: short names instead of UNIQUE columns, and the tables of packed blocks, which are empty at first.

    The space of the old tables is reused, not returned: that would need a VACUUM."""
    db.execute("DROP INDEX incomplete")
    db.execute("ALTER TABLE blocks RENAME TO blocks_1")
    db.execute("ALTER TABLE keys RENAME TO keys_1")
    _run(db, _BLOCKS_AND_KEYS + _PACKED)
    db.execute("INSERT INTO blocks SELECT n, digest, height, via, at, data FROM blocks_1 ORDER BY n")
    db.execute("INSERT INTO incomplete SELECT n FROM blocks_1 WHERE complete = 0")
    db.execute("INSERT INTO keys SELECT k, key, n, start, length FROM keys_1 ORDER BY k")
    names = db.execute("SELECT digest, n FROM blocks_1 ORDER BY digest")
    db.executemany("INSERT INTO names VALUES (?, ?)", ((short(digest), n) for digest, n in names))
    keys = db.execute("SELECT key, k FROM keys_1")
    db.executemany("INSERT INTO key_names VALUES (?, ?)", ((short_key(key), k) for key, k in keys))
    db.execute("DROP TABLE blocks_1")
    db.execute("DROP TABLE keys_1")


def _remember_announced(db: sqlite3.Connection) -> None:
    """Version 3: announced heads that have not come."""
    _run(db, _ANNOUNCED)


def _remember_failures(db: sqlite3.Connection) -> None:
    """Version 4: whether peers were reached, as all that were remembered until then, and how often they were not."""
    db.execute("ALTER TABLE peers RENAME TO peers_3")
    _run(db, _PEERS)
    db.execute("INSERT INTO peers SELECT peer, addrs, last_seen, 1, 0 FROM peers_3")
    db.execute("DROP TABLE peers_3")


def _keep_counts(db: sqlite3.Connection) -> None:
    """Version 5: counts that no start has to scan a table for."""
    _run(db, _COUNTS)


def _note_unfinished(db: sqlite3.Connection) -> None:
    """Version 6: blocks that are merged in slices, and those that were laid aside."""
    _run(db, _UNFINISHED)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _pack_history,
    _remember_announced,
    _remember_failures,
    _keep_counts,
    _note_unfinished,
)

VERSION = len(MIGRATIONS) + 1


def lay_out(db: sqlite3.Connection) -> None:
    """Configure a new file so that pages can be returned to the file system a few at a time. Not in a transaction."""
    if not db.execute("PRAGMA page_count").fetchone()[0]:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")


def prepare(db: sqlite3.Connection, migrations: tuple[Callable[[sqlite3.Connection], None], ...] = MIGRATIONS) -> None:
    """Create the tables, or migrate those of an older version, each step in one transaction.

    Raises StoreError for a database of a newer version."""
    newest = len(migrations) + 1
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > newest:
        raise StoreError(
            f"the database has schema version {version}, this program knows {newest}; use a newer betar-tui"
        )
    if version == 0:
        tables = _BLOCKS_AND_KEYS + _PACKED + _OTHERS + _PEERS + _ANNOUNCED + _COUNTS + _UNFINISHED
        _step(db, newest, lambda each: _run(each, tables))
        return
    for number in range(version, newest):
        _step(db, number + 1, migrations[number - 1])


def _step(db: sqlite3.Connection, version: int, change: Callable[[sqlite3.Connection], object]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        change(db)
        db.execute(f"PRAGMA user_version = {version:d}")
    except BaseException:
        if db.in_transaction:  # SQLite itself rolls back when the disk is full
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
