"""The queue of keys whose rows are still to be made, table `unprojected`: the highest first, after those that go before
others.

Each time that a key is queued its `turn` is drawn anew, so that the maker of a row can tell whether anything has come
since."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from betar_tui.catalogue.schema import ALL_LOOKED_AT, FIRST, MAX_HEIGHT, TOP
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


class LookedAt(NamedTuple):
    """What was looked at of a key: its number, its turn when it was read, the numbers of the first block that was to be
    looked at and of the first that was not, and how many versions there were between."""

    k: int
    turn: int
    first: int
    since: int
    versions: int


def add(db: sqlite3.Connection, rows: Iterable[tuple[int, int, int]], first: Collection[int]) -> None:
    """Queue keys: (number, height, number of the first block that was not looked at). Those whose numbers are in `first`
    go before the others, whatever their heights."""
    _add(db, [(k, min(height, TOP) + (FIRST if k in first else 0), since) for k, height, since in rows])


def add_at_top(db: sqlite3.Connection, rows: Mapping[int, int]) -> None:
    """Queue keys before all others: by number, the number of the first block that was not looked at."""
    _add(db, [(k, MAX_HEIGHT, since) for k, since in rows.items()])


def add_again(db: sqlite3.Connection, numbers: Iterable[int]) -> int:
    """Queue keys of which all versions were looked at, before all others; returns how many."""
    rows = dict.fromkeys(numbers, ALL_LOOKED_AT)
    add_at_top(db, rows)
    return len(rows)


def _add(db: sqlite3.Connection, rows: list[tuple[int, int, int]]) -> None:
    if rows:
        db.executemany(_QUEUE, sorted(rows))


def read(db: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, Queued]:
    """Those of the keys that are queued."""
    sql = "SELECT k, since, turn FROM unprojected WHERE k IN"
    return {row[0]: Queued(*row) for row in in_list(db, sql, list(numbers))}


def looked_at(db: sqlite3.Connection, rows: Iterable[LookedAt]) -> None:
    """Versions of keys that stay in the queue were looked at.

    A merge may have queued a key again meanwhile. A new block has a higher number than those that were looked at, but one of
    which further slices are merged has an old number, perhaps in the middle of them: then they are to be looked at again."""
    sql = (
        "UPDATE unprojected SET since = max(since, ?4) WHERE k = ?1 AND (turn = ?2 OR since >= ?3"
        " AND (SELECT count(*) FROM elements WHERE k = ?1 AND n >= ?3 AND n < ?4) = ?5)"
    )
    db.executemany(sql, [each for each in rows if each.versions])
