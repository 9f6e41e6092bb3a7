"""The queue of keys whose rows are still to be made, table `unprojected`.

Each time that a key is queued its `turn` is drawn anew, so that whoever has made a row can tell whether anything has
come since."""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from betar_tui.catalogue.schema import ALL_LOOKED_AT, MAX_HEIGHT
from betar_tui.store.sql import in_list

_QUEUE = (
    "INSERT INTO unprojected (k, height, since, turn) VALUES (?, ?, ?, random()) ON CONFLICT (k) DO UPDATE SET"
    " height = max(height, excluded.height), since = min(since, excluded.since), turn = excluded.turn"
)


class Queued(NamedTuple):
    """A key in the queue: its number, the number of the first block to look at, and its turn."""

    k: int
    since: int
    turn: int


def add(db: sqlite3.Connection, rows: Iterable[tuple[int, int, int]]) -> None:
    """Queue keys: (number, height, number of the first block that was not looked at)."""
    ordered = sorted((k, min(height, MAX_HEIGHT), since) for k, height, since in rows)
    if ordered:
        db.executemany(_QUEUE, ordered)


def add_again(db: sqlite3.Connection, numbers: Iterable[int]) -> int:
    """Queue keys of which all versions were looked at, before all others; returns how many."""
    rows = [(k, MAX_HEIGHT, ALL_LOOKED_AT) for k in numbers]
    add(db, rows)
    return len(rows)


def read(db: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, Queued]:
    """Those of the keys that are queued."""
    sql = "SELECT k, since, turn FROM unprojected WHERE k IN"
    return {row[0]: Queued(*row) for row in in_list(db, sql, list(numbers))}


def looked_at(db: sqlite3.Connection, rows: Iterable[tuple[int, int]]) -> None:
    """Versions of keys that stay in the queue were looked at: (number, number of the first block that was not).

    A merge may have queued a key again meanwhile. Its blocks have higher numbers than those that were looked at; only a key
    of which there was nothing to look at has no such number, and then nothing is to be changed."""
    seen = [(k, since) for k, since in rows if since != ALL_LOOKED_AT]
    db.executemany("UPDATE unprojected SET since = max(since, ?2) WHERE k = ?1", seen)
