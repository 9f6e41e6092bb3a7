"""The tables, their version, and how an older database becomes a current one.

A block is stored once; an element says where in its block a value lies. Digests are the 32 bytes behind the constant
CID prefix. Heights above 2^63-1 do not fit SQLite's integers and are kept as eight bytes, which sort behind every
integer. `user_version` is the schema's version; `MIGRATIONS[n]` turns version n into n + 1.
"""

import sqlite3
from collections.abc import Callable

from betar_tui.errors import StoreError

_TABLES = """
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
"""

MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = ()
"""Empty as long as there has been one version only."""

VERSION = len(MIGRATIONS) + 1


def prepare(db: sqlite3.Connection, migrations: tuple[Callable[[sqlite3.Connection], None], ...] = MIGRATIONS) -> None:
    """Create the tables, or bring those of an older version up to date, each step in one transaction.

    Raises StoreError for a database of a newer version.
    """
    newest = len(migrations) + 1
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > newest:
        raise StoreError(
            f"the database has schema version {version}, this program knows {newest}; use a newer betar-tui"
        )
    if version == 0:
        _step(db, newest, lambda each: [each.execute(sql) for sql in _TABLES.split(";") if sql.strip()])
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
