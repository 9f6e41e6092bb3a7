"""Which version of a listing is shown, and where its value is.

Today it is the value that the CRDT's rules choose. Whoever wants another version shown, such as the newest one that the
seller has signed, decides it here: `winner_of` for a change, `SHOWN` for what is stored."""

import sqlite3
from collections.abc import Collection, Iterator
from typing import NamedTuple

from betar_tui.replica.facts import Winner
from betar_tui.store.history import History
from betar_tui.store.sql import PREFIX, in_list

SHOWN = "keys.n, keys.start, keys.length"
"""The columns of `keys` that say where the shown version of a key is: block, start and length; NULL where there is none."""


class Version(NamedTuple):
    """The version of a key that is shown: the number of its block, its value, and when that was applied, Unix ms."""

    k: int
    key: str
    n: int
    winner: Winner
    at: int


def winner_of(after: Winner | None) -> Winner | None:
    """The version that is shown after a merge whose rules choose `after`, None if none is."""
    return after


def read_versions(db: sqlite3.Connection, history: History, numbers: Collection[int]) -> Iterator[Version]:
    """The shown versions of keys, given by their numbers; those without one are left out. In any order."""
    sql = f"SELECT k, key, {SHOWN} FROM keys WHERE k IN"
    shown = [row for row in in_list(db, sql, list(numbers)) if row[2] is not None]
    blocks = {key: (k, n) for k, key, n, _, _ in shown}
    for row in history.values(db, [(key, n, start, length) for _, key, n, start, length in shown]):
        k, n = blocks[row.key]
        yield Version(k, row.key, n, Winner(row.height, row.value, PREFIX + row.digest), row.at)


def read_last(db: sqlite3.Connection, history: History, numbers: Collection[int]) -> dict[int, bytes]:
    """The values that came last of keys, given by their numbers, also where they are removed."""
    # Blocks are numbered as they come.
    sql = (
        "SELECT k, key, e.n, e.start, e.length FROM keys JOIN elements AS e USING (k)"
        " WHERE e.n = (SELECT max(n) FROM elements WHERE elements.k = keys.k) AND k IN"
    )
    rows = in_list(db, sql, list(numbers))
    found = {row[1]: row[0] for row in rows}
    return {found[row.key]: row.value for row in history.values(db, [row[1:] for row in rows])}
