"""How many listings of one seller are shown, and how many unsigned ones that one peer brought (docs/protocol.md#quotas).

Each listing that is limited belongs to a *share*, a number that stands for its seller or for the peer that brought it. Of
a share those keys are shown that have the lowest numbers, which are those that came first, as many as the limit allows.
The others are *withheld*: counted, and not shown. That follows from the members of a share alone, so a catalogue made
afresh shows the same.

Rows are placed as they are written, by the members of the share before. What that leaves in the wrong place, as after a
listing went, is queued in the same transaction, and placed again by the backlog."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from betar_tui.catalogue import queue
from betar_tui.catalogue.projecting import MINE, UNSIGNED, Projected
from betar_tui.catalogue.schema import ALL_LOOKED_AT, MAX_HEIGHT
from betar_tui.limits import Limits
from betar_tui.store.sql import in_list

SETTING = "catalogue limits"
"""Name of the setting that holds the limits by which the rows are placed."""
COUNTS = ("withheld", "withheld_unsigned")
"""Names of the counts of withheld listings: of sellers, and of peers that brought unsigned ones."""

_MEMBERS = "SELECT k FROM {} WHERE share = ?1 AND share <> 0"
_COUNT = "SELECT " + " + ".join(
    f"(SELECT count(*) FROM ({_MEMBERS.format(table)} LIMIT ?2))" for table in ("listings", "withheld")
)
_LAST = f"{_MEMBERS.format('listings')} UNION ALL {_MEMBERS.format('withheld')} ORDER BY k LIMIT 1 OFFSET ?2"
_ALL = 1 << 63
"""Above the number of every key."""
_MISPLACED = """SELECT k FROM (
    SELECT k, shown, share, row_number() OVER (PARTITION BY share ORDER BY k) AS place FROM (
        SELECT k, share, 1 AS shown FROM listings WHERE share <> 0 UNION ALL SELECT k, share, 0 FROM withheld
    )
) WHERE shown <> (place <= CASE share & 1 WHEN 0 THEN :seller ELSE :source END)"""


class Withheld(NamedTuple):
    """A listing that is withheld: its share, and when it first appeared, Unix ms."""

    share: int
    first_seen: int


def share_of(made: Projected) -> int:
    """The share of a row: odd for one of a peer that brought unsigned listings, 0 for what is not limited, own listings and
    what this peer put here itself."""
    if made.state == MINE:
        return 0
    if made.state == UNSIGNED:
        return _number(made.via) | 1 if made.via else 0
    return _number(made.listing.seller_id) & ~1


@lru_cache(4096)
def _number(name: str) -> int:
    """A number for a name, above 1. Two names with the same number share a limit; to find one takes 2^61 tries."""
    return int.from_bytes(blake2b(name.encode(errors="replace"), digest_size=8).digest()) >> 2 | 2


class Quotas:
    """Places the rows of one batch, by the members that each share has before it."""

    def __init__(self, db: sqlite3.Connection, limits: Limits) -> None:
        self._db = db
        self._limits = limits
        self._members: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._joined: Counter[int] = Counter()
        self._left: set[int] = set()

    def allows(self, k: int, share: int) -> bool:
        """Whether a row is shown."""
        return not share or k <= self._last_of(share)

    def moved(self, before: int, after: int) -> None:
        """A row has gone from one share to another; 0 for none."""
        if before != after:
            self._joined[after] += 1
            self._left.add(before)

    def settle(self) -> int:
        """Queue the rows that are in the wrong place once the batch is written; returns how many."""
        wrong: list[int] = []
        for share in {*self._joined, *self._left} - {0}:
            limit = self._limit(share)
            if not limit or (self._count(share) + self._joined[share] <= limit and not self._has_withheld(share)):
                continue
            row = self._db.execute(_LAST, (share, limit - 1)).fetchone()
            last = row[0] if row is not None else _ALL - 1
            wrong += self._numbers(f"{_MEMBERS.format('listings')} AND k > ?2", share, last)
            wrong += self._numbers(f"{_MEMBERS.format('withheld')} AND k <= ?2", share, last)
        return queue.add_again(self._db, wrong)

    def _numbers(self, sql: str, share: int, last: int) -> list[int]:
        return [k for (k,) in self._db.execute(sql, (share, last))]

    def _limit(self, share: int) -> int:
        return self._limits.unsigned_per_peer if share & 1 else self._limits.listings_per_seller

    def _count(self, share: int) -> int:
        """Number of members before the batch, at least as many as the limit where there are more."""
        if share not in self._members:
            (self._members[share],) = self._db.execute(_COUNT, (share, self._limit(share))).fetchone()
        return self._members[share]

    def _last_of(self, share: int) -> int:
        """The number of the last key that is shown."""
        if share not in self._last:
            limit, last = self._limit(share), _ALL
            if limit and self._count(share) >= limit:
                (last,) = self._db.execute(_LAST, (share, limit - 1)).fetchone()
            self._last[share] = last
        return self._last[share]

    def _has_withheld(self, share: int) -> bool:
        return self._db.execute(f"{_MEMBERS.format('withheld')} LIMIT 1", (share,)).fetchone() is not None


def read_withheld(db: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, Withheld]:
    """Those of the keys whose listings are withheld."""
    rows = in_list(db, "SELECT k, share, first_seen FROM withheld WHERE k IN", list(numbers))
    return {k: Withheld(share, first_seen) for k, share, first_seen in rows}


def count_name(share: int) -> str:
    """The name of the count in which a withheld listing is."""
    return COUNTS[share & 1]


def hold_to(db: sqlite3.Connection, limits: Limits) -> None:
    """Place the rows by these limits: queue those that are in the wrong place, if the limits are others than before."""
    said = f"{limits.listings_per_seller} {limits.unsigned_per_peer}"
    row = db.execute("SELECT value FROM settings WHERE name = ?", (SETTING,)).fetchone()
    if row is not None and row[0] == said:
        return
    db.execute(
        "INSERT OR IGNORE INTO unprojected (k, height, since, turn)"
        f" SELECT k, {MAX_HEIGHT}, {ALL_LOOKED_AT}, random() FROM ({_MISPLACED})",
        _bounds(limits),
    )
    db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (SETTING, said))


def largest(db: sqlite3.Connection) -> tuple[int, int]:
    """Number of shown listings of the seller, and of the peer that brought unsigned ones, that has most. Looks at all."""
    each = "SELECT share & 1 AS kind, count(*) AS n FROM listings WHERE share <> 0 GROUP BY share"
    found = dict(db.execute(f"SELECT kind, max(n) FROM ({each}) GROUP BY kind").fetchall())
    return found.get(0, 0), found.get(1, 0)


def count_misplaced(db: sqlite3.Connection) -> int:
    """Number of rows that are in the wrong place and do not wait to be placed again."""
    row = db.execute("SELECT value FROM settings WHERE name = ?", (SETTING,)).fetchone()
    seller, source = map(int, row[0].split()) if row is not None else (0, 0)
    sql = f"SELECT count(*) FROM ({_MISPLACED}) AS row WHERE k NOT IN (SELECT k FROM unprojected)"
    (count,) = db.execute(sql, _bounds(Limits(seller, source))).fetchone()
    return int(count)


def _bounds(limits: Limits) -> Mapping[str, int]:
    return {
        "seller": limits.listings_per_seller or _ALL - 1,
        "source": limits.unsigned_per_peer or _ALL - 1,
    }
