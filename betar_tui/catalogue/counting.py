"""Counts rows of the catalogue: those that meet a filter, and those of them that come before a place.

An exact count may look at every row. The numbers on a page are counted within bounds (`MAX_COUNTED`, `STEPS`)."""

import json
import sqlite3
from collections.abc import Collection

from betar_tui.catalogue.conditions import ALWAYS, JOINED, Sql, all_of, of_filter, one_of
from betar_tui.catalogue.orders import Order
from betar_tui.catalogue.query import scanning
from betar_tui.catalogue.sources import Gathered, gather
from betar_tui.market.filter import Filter
from betar_tui.market.marketplace import Place

NEAR = 50_000
"""Number of rows that are counted from the end of an order before all from its beginning."""

MAX_SELLERS = 2_000
"""Maximum sellers that are looked at for an abbreviated id."""


def total(db: sqlite3.Connection) -> int:
    """Number of listings."""
    row = db.execute("SELECT n FROM catalogue_counts WHERE name = 'listings'").fetchone()
    return int(row[0]) if row else 0


def count(db: sqlite3.Connection, wanted: Filter, now: float, most: int | None = None) -> tuple[int, bool]:
    """Number of rows that meet a filter, and whether that is exact: it is at least that many where it is not.

    Counting ends at `most`. Without it, a text that much has takes seconds in a market of a million."""
    if wanted.everything:
        return total(db), True
    gathered = gather(db, wanted, now, None)
    return count_scanned(db, wanted, now, most) if gathered is None else count_gathered(db, gathered, most)


def count_scanned(db: sqlite3.Connection, wanted: Filter, now: float, most: int | None = None) -> tuple[int, bool]:
    """The same by a look at every row: the quickest up to a bound where many meet the filter, since the search index reads
    all rows that have a text before it tells their number."""
    bound = -1 if most is None else most
    found = _counted(db, scanning(wanted, "listings l"), of_filter(wanted, JOINED, now), bound)
    return found, found != bound


def count_gathered(db: sqlite3.Connection, gathered: Gathered, most: int | None = None) -> tuple[int, bool]:
    """The same for rows that are gathered."""
    bound = -1 if most is None else most
    if gathered.condition == ALWAYS and 0 <= bound < gathered.counted:
        return bound, False
    if gathered.condition == ALWAYS:
        found = _counted(db, Sql(f"({gathered.numbers.text})", gathered.numbers.values), ALWAYS, bound)
    else:
        found = _counted(db, gathered.rows, gathered.condition, bound)
    return found, found != bound and gathered.complete


def count_before(db: sqlite3.Connection, order: Order, place: Place, number: int) -> int:
    """Number of rows before that of a place, out of `number`: counted from the end where that is near."""
    behind = _counted_ranges(db, order, order.beyond(place), NEAR)
    return number - 1 - behind if behind < NEAR else _counted_ranges(db, order, order.reversed().beyond(place), -1)


def count_gathered_before(db: sqlite3.Connection, gathered: Gathered, order: Order, place: Place) -> int:
    """Number of gathered rows before a place."""
    return _counted(db, gathered.rows, all_of([gathered.condition, order.within(None, place)]), -1)


def count_of_sellers(db: sqlite3.Connection, sellers: Collection[str], most: int) -> int:
    """Number of listings of these sellers, counted up to `most`."""
    return _counted(db, Sql("listings l"), _by_one_of(sellers), most) if sellers else 0


def count_of_sellers_before(db: sqlite3.Connection, sellers: Collection[str], order: Order, place: Place) -> int:
    """Number of listings of these sellers before a place."""
    source = Sql("listings l INDEXED BY listings_by_seller")
    return _counted(db, source, all_of([_by_one_of(sellers), order.within(None, place)]), -1)


def count_of_each(db: sqlite3.Connection, sellers: Collection[str], most: int) -> dict[str, int]:
    """Number of listings of each of these sellers, each counted up to `most`."""
    each = "SELECT count(*) FROM (SELECT 1 FROM listings WHERE seller = value LIMIT ?)"
    return dict(db.execute(f"SELECT value, ({each}) FROM json_each(?)", (most, json.dumps(sorted(sellers)))))


def sellers_from(db: sqlite3.Connection, beginning: str) -> list[str]:
    """The first `MAX_SELLERS` sellers whose id begins so."""
    found: list[str] = []
    sql = "SELECT seller FROM listings WHERE seller > ? ORDER BY seller LIMIT 1"
    row = db.execute(sql.replace(">", ">="), (beginning,)).fetchone() if beginning else None
    while row is not None and row[0].startswith(beginning) and len(found) < MAX_SELLERS:
        found.append(row[0])
        row = db.execute(sql, row).fetchone()
    return found


def _by_one_of(sellers: Collection[str]) -> Sql:
    right = one_of(sellers)
    return Sql(f"l.seller IN {right.text}", right.values)


def _counted_ranges(db: sqlite3.Connection, order: Order, ranges: list[Sql], most: int) -> int:
    """Number of rows in ranges of an index, counted up to `most`, all for -1."""
    found = 0
    for part in ranges:
        if most < 0 or found < most:
            found += _counted(db, Sql(f"listings l INDEXED BY {order.index}"), part, most - found if most >= 0 else -1)
    return found


def _counted(db: sqlite3.Connection, source: Sql, where: Sql, bound: int) -> int:
    """Number of rows, counted up to a bound, all for -1. A bound costs half as much again for each row."""
    sql, values = f"{source.text} WHERE {where.text}", (*source.values, *where.values)
    if bound < 0:
        row = db.execute(f"SELECT count(*) FROM {sql}", values).fetchone()
    else:
        row = db.execute(f"SELECT count(*) FROM (SELECT 1 FROM {sql} LIMIT ?)", (*values, bound)).fetchone()
    return int(row[0])
