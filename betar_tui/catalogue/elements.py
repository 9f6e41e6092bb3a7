"""Reads every version of keys that merges have brought, those too that the map does not choose: the seller's newest word may
be any of them. A key may have tens of thousands, so they are read in portions."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from betar_tui.catalogue.versions import Location
from betar_tui.replica.facts import Winner
from betar_tui.store.history import History
from betar_tui.store.sql import PREFIX


class Unseen(NamedTuple):
    """A key with versions to look at: its number, its name, and the number of the first block to look at."""

    k: int
    key: str
    since: int


@dataclass(slots=True)
class Portion:
    """Versions of a key, by where they are, and when each was applied, Unix ms, by its block's CID. `since` is the number of
    the first block that was not looked at; `complete` that there are no more versions."""

    since: int
    complete: bool = True
    versions: dict[Location, Winner] = field(default_factory=dict)
    applied: dict[bytes, int] = field(default_factory=dict)


def portions(
    db: sqlite3.Connection, history: History, wanted: Sequence[Unseen], most: int, most_bytes: int
) -> dict[int, Portion]:
    """The next versions of keys, by the numbers of the keys: at most `most`, and no further after `most_bytes` bytes, but
    always one at least.

    Keys for which there was no room are left out."""
    found: dict[int, Portion] = {}
    locations: dict[tuple[str, int], tuple[int, Location]] = {}
    left = most_bytes
    sql = "SELECT n, start, length FROM elements WHERE k = ? AND n >= ? ORDER BY n LIMIT ?"
    for k, key, since in wanted:
        if locations and (len(locations) >= most or left <= 0):
            break
        room = max(most - len(locations), 1)
        rows = [Location(*row) for row in db.execute(sql, (k, since, room + 1))]
        taken = 0
        while taken < min(len(rows), room) and (left > 0 or not locations):
            locations[key, rows[taken].n] = (k, rows[taken])
            left -= rows[taken].length
            taken += 1
        complete = taken == len(rows)
        found[k] = Portion(rows[taken - 1].n + 1 if taken else since, complete)
    for row in history.values(db, [(key, *location) for (key, _), (_, location) in locations.items()]):
        k, location = locations[row.key, row.n]
        cid = PREFIX + row.digest
        found[k].versions[location] = Winner(row.height, row.value, cid)
        found[k].applied[cid] = row.at
    return found


def has_few(db: sqlite3.Connection, k: int, since: int, most: int) -> bool:
    """Whether a key has at most `most` versions from a block on."""
    sql = "SELECT count(*) FROM (SELECT 1 FROM elements WHERE k = ? AND n >= ? LIMIT ?)"
    (count,) = db.execute(sql, (k, since, most + 1)).fetchone()
    return int(count) <= most
