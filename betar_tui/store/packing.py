"""Chooses the blocks to pack and packs them, a slice at a time.

A delta is packed when its ancestry is complete, no key's value is in it, and more than `KEEP_PLAIN` deltas came after
it. Packing examines the deltas once, in the order in which they came, up to `packing.examined`; those that may be
packed go into `due`. The merge that later supersedes or completes one of the others puts that into `due`, so there is
never a search. A group is made when enough blocks are due to fill one.

A packed block stays packed. When its value is current again, it is read from its group."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from betar_tui.store import groups
from betar_tui.store.groups import FULL, SLOTS, Member
from betar_tui.store.sql import from_sql, in_list

KEEP_PLAIN = 2048
"""Number of newest deltas that always stay plain: peers ask for these."""
GROUP = SLOTS
"""Number of blocks in a group, unless fewer have enough bytes."""
_EXAMINED = 4096
_SLICE = 4 << 20
"""Maximum bytes of blocks in one slice."""
_INCREMENTAL = 2
_GIVEN_BACK = 1024
"""Maximum number of pages that a slice returns: more than it frees."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A group that is not yet written, with its blocks' numbers and their size before packing."""

    numbers: tuple[int, ...]
    data: bytes
    before: int


def is_due(db: sqlite3.Connection, keep: int) -> bool:
    """Whether there may be enough blocks for a group, from a few rows."""
    (count,) = db.execute(f"SELECT count(*) FROM (SELECT 1 FROM due LIMIT {GROUP})").fetchone()
    examined, horizon = _bounds(db, keep)
    return bool(count + horizon - examined >= GROUP)


def examine(db: sqlite3.Connection, keep: int) -> None:
    """Examine the next deltas. Runs in a transaction."""
    examined, horizon = _bounds(db, keep)
    up_to = min(horizon, examined + _EXAMINED)
    db.execute(
        "INSERT OR IGNORE INTO due SELECT n FROM blocks WHERE n > ? AND n <= ?"
        " AND NOT EXISTS (SELECT 1 FROM incomplete WHERE incomplete.n = blocks.n)"
        " AND NOT EXISTS (SELECT 1 FROM keys WHERE keys.n = blocks.n)",
        (examined, up_to),
    )
    db.execute("UPDATE packing SET examined = ?", (up_to,))


def collect(db: sqlite3.Connection, limit: int) -> list[list[tuple[int, Member]]]:
    """Due blocks in full groups, together at most `limit` blocks or one group. Runs in a transaction."""
    limit = max(limit, GROUP)
    # Those that a key shows again become due again when they are superseded. Missing blocks never occur, but would be
    # due for ever.
    db.execute(
        "DELETE FROM due WHERE n IN (SELECT n FROM due ORDER BY n LIMIT ?)"
        " AND (EXISTS (SELECT 1 FROM keys WHERE keys.n = due.n)"
        " OR NOT EXISTS (SELECT 1 FROM blocks WHERE blocks.n = due.n))",
        (limit,),
    )
    full: list[list[tuple[int, Member]]] = []
    group: list[tuple[int, Member]] = []
    size = total = 0
    sql = "SELECT n, height, at, via, data FROM due JOIN blocks USING (n) ORDER BY n LIMIT ?"
    for n, height, at, via, data in db.execute(sql, (limit,)):
        group.append((n, Member(from_sql(height), at, via, data)))
        size += len(data)
        if len(group) == GROUP or size >= FULL:
            full.append(group)
            total += size
            group, size = [], 0
            if total >= _SLICE:
                break
    return full


def make(members: Sequence[tuple[int, Member]]) -> Packed:
    """Compress one group. Does not touch the database, which is free meanwhile."""
    blocks = [member for _, member in members]
    return Packed(tuple(n for n, _ in members), groups.pack(blocks), sum(len(each.data) for each in blocks))


def write(db: sqlite3.Connection, packed: Sequence[Packed]) -> int:
    """Replace the blocks of each group of which no key shows a block again; returns their number. In a transaction."""
    (g,) = db.execute("SELECT coalesce(max(g), -1) FROM groups").fetchone()
    count = 0
    for group in packed:
        if in_list(db, "SELECT n FROM keys WHERE n IN", group.numbers):
            continue
        g += 1
        rows = [(n,) for n in group.numbers]
        db.execute("INSERT INTO groups VALUES (?, ?)", (g, group.data))
        db.executemany(
            "INSERT INTO packed VALUES (?, ?)", [(n, g * SLOTS + slot) for slot, n in enumerate(group.numbers)]
        )
        db.executemany("DELETE FROM blocks WHERE n = ?", rows)
        db.executemany("DELETE FROM due WHERE n = ?", rows)
        db.execute(
            "UPDATE packing SET blocks = blocks + ?, groups = groups + 1, before = before + ?, after = after + ?",
            (len(rows), group.before, len(group.data)),
        )
        count += len(rows)
    return count


def give_back(db: sqlite3.Connection) -> None:
    """Return free pages to the file system, in a transaction. A file of version 1 keeps and reuses its pages."""
    if db.execute("PRAGMA auto_vacuum").fetchone()[0] != _INCREMENTAL:
        return
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    for _ in range(min(free, _GIVEN_BACK)):
        db.execute("PRAGMA incremental_vacuum(1)")  # frees one page per call, whatever its argument


def _bounds(db: sqlite3.Connection, keep: int) -> tuple[int, int]:
    """The last delta that packing has examined, and the last that it may examine."""
    examined, newest = db.execute("SELECT examined, coalesce((SELECT max(n) FROM blocks), 0) FROM packing").fetchone()
    return examined, max(examined, newest - keep)
