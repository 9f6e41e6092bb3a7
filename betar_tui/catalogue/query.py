"""Finds the rows of the catalogue that meet a filter, a page at a time.

There are two ways to a page, and which is quick depends on how many rows meet the filter:

- *Scanning* follows the index of the sorted column from a place on and checks row by row, until the page is full. It is
  quick when much is met: every second row fills a page of 60 after 120.
- *Gathering* takes the rows out of the search index, or out of a range of another one, checks and sorts them. It is quick
  when they are few.

So a scan begins, and most pages are full soon. Where one is not, the indexes are asked for a bounded count, and what is
few is gathered; else the scan goes on, and asks again later for a count with a higher bound (`STAGES`).

Reads only, from a connection that `conditions.add_functions` has seen. Each function runs a few statements: call it in a
transaction where others write, so that they see one state. Nothing is cached."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from betar_tui.catalogue.conditions import (
    ALWAYS,
    JOINED,
    Sql,
    all_of,
    column_of,
    needs_texts,
    of_filter,
    range_of,
)
from betar_tui.catalogue.orders import Order, parse_order
from betar_tui.catalogue.sources import Gathered, gather
from betar_tui.market.filter import Filter
from betar_tui.market.marketplace import Place

STAGES = ((500, 2_000), (8_000, 20_000), (40_000, 100_000))
"""Pairs: once this many rows were scanned and the page is not full, gather where an index has at most that many rows."""
SLICES = (500, 2_500, 5_000)
"""Rows that are scanned between two questions whether to go on; the last figure holds from then on: 30 ms."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in order: their places, which have their numbers.

    `stopped` is the place up to which a scan came that was told not to go on before the page was full: the rows beyond it
    were not looked at. `complete` is False where rows may be missing that are not in the search index yet."""

    places: tuple[Place, ...]
    stopped: Place | None = None
    complete: bool = True

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the rows, in order."""
        return tuple(place.number for place in self.places)


def always() -> bool:
    """Lets a scan go on to the end."""
    return True


def read_page(
    db: sqlite3.Connection,
    wanted: Filter,
    sort: str,
    limit: int,
    after: Place | None,
    before: Place | None,
    now: float,
    go_on: Callable[[], bool] = always,
) -> Rows:
    """At most `limit` rows that meet a filter, all for 0: those nearest after a place, or nearest before one, or the first
    of all. With both places, those after the first one that are also before the other.

    `go_on` is asked every few rows of a scan, some 30 ms apart: when it returns False, the page is what was found until
    then, and `Rows.stopped` says from where to ask again. `Connection.interrupt` ends a running statement too, with
    sqlite3.OperationalError. Raises FilterError for a column that there is not."""
    order = parse_order(sort)
    if after is None and before is not None:
        rows = _Page(db, wanted, order.reversed(), limit, before, None, now).read(go_on)
        return Rows(rows.places[::-1], rows.stopped, rows.complete)
    return _Page(db, wanted, order, limit, after, before, now).read(go_on)


def count(db: sqlite3.Connection, wanted: Filter, now: float, most: int | None = None) -> tuple[int, bool]:
    """Number of rows that meet a filter, and whether that is exact: it is at least that many where it is not.

    Counting ends at `most`. Without it, a text that much has takes seconds in a market of a million: use
    `Connection.interrupt` from another thread, or a progress handler, to end it with sqlite3.OperationalError."""
    if wanted.everything:
        return _total(db), True
    bound = -1 if most is None else most
    gathered = gather(db, wanted, now, None)
    if gathered is None:
        found = _counted(db, _scanning(wanted, "listings l"), of_filter(wanted, JOINED, now), bound)
    elif gathered.condition == ALWAYS:
        found = _counted(db, Sql(f"({gathered.numbers.text})", gathered.numbers.values), ALWAYS, bound)
    else:
        found = _counted(db, _gathering(gathered), gathered.condition, bound)
    return found, found != bound and (gathered is None or gathered.complete)


@dataclass(frozen=True, slots=True)
class _Page:
    db: sqlite3.Connection
    wanted: Filter
    order: Order
    limit: int
    start: Place | None
    end: Place | None
    now: float

    def read(self, go_on: Callable[[], bool]) -> Rows:
        stages = [(0, STAGES[-1][1]), *STAGES] if not self.limit else list(STAGES)
        if self.wanted.everything:
            stages = []
        scanned, found = 0, list[Place]()
        sizes = chain(SLICES, repeat(SLICES[-1]))
        size, bounds = next(sizes), self._bounds()
        # Where the filter excludes the start and what follows it, it says itself where to start.
        start = self.start if self._meets(self.start, bounds) else None
        bounds = [bound for bound in bounds if start is None or not self.order.goes_as(bound)]
        limits = all_of([*bounds, self.order.within(None, self.end)])
        ranges = self.order.beyond(start)
        while ranges:
            while stages and scanned >= stages[0][0]:
                gathered = gather(self.db, self.wanted, self.now, stages.pop(0)[1])
                if gathered is not None:
                    return self._gathered(gathered)
            part = all_of([ranges[0], limits])
            last = self._place_at(part, size)
            found += self._scanned(part, last, self.limit - len(found) if self.limit else -1)
            if self.limit and len(found) >= self.limit:
                break
            if last is None:
                ranges = ranges[1:]
                continue
            scanned, size = scanned + size, next(sizes)
            ranges = self.order.beyond(last)
            if not go_on():
                return Rows(tuple(found), last)
        return Rows(tuple(found))

    def _place_at(self, part: Sql, number: int) -> Place | None:
        """The place of the row of this number in a part of the index, None where it has fewer."""
        found = self._places(Sql(f"listings l INDEXED BY {self.order.index}"), part, 1, number - 1)
        return found[0] if found else None

    def _scanned(self, part: Sql, last: Place | None, limit: int) -> list[Place]:
        """The rows that meet the filter in a part of the index, up to the place `last`."""
        source = _scanning(self.wanted, f"listings l INDEXED BY {self.order.index}")
        condition = of_filter(self.wanted, JOINED, self.now)
        found = list[Place]()
        for piece in self.order.up_to(last) if last else [ALWAYS]:
            if limit < 0 or len(found) < limit:
                found += self._places(source, all_of([part, piece, condition]), limit - len(found) if limit > 0 else -1)
        return found

    def _gathered(self, gathered: Gathered) -> Rows:
        where = all_of([gathered.condition, self.order.within(self.start, self.end)])
        found = self._places(_gathering(gathered), where, self.limit or -1)
        return Rows(tuple(found), None, gathered.complete)

    def _bounds(self) -> list[Sql]:
        """What the filter says of the sorted column itself: the scan need not look beyond that."""
        if len(self.wanted.alternatives) > 1:
            return []
        terms = [t for t in self.wanted.alternatives[0] if t.kind != "sellers" and column_of(t) == self.order.column]
        return [bound for term in terms if (bound := range_of(term, self.now)) is not None]

    def _meets(self, place: Place | None, bounds: Sequence[Sql]) -> bool:
        """Whether a place is not before the rows that the bounds leave."""
        if place is None:
            return True
        bound = all_of(each for each in bounds if self.order.goes_as(each))
        sql = f"SELECT {bound.text} FROM (SELECT ? AS {self.order.column}) l"
        return bool(self.db.execute(sql, (*bound.values, place.value)).fetchone()[0])

    def _places(self, source: Sql, where: Sql, limit: int, offset: int = 0) -> list[Place]:
        rows = self.db.execute(
            f"SELECT {self.order.columns} FROM {source.text} WHERE {where.text} ORDER BY {self.order.by} LIMIT ? OFFSET ?",
            (*source.values, *where.values, limit, offset),
        )
        return [Place(value, name, number) for number, value, name in rows]


def _scanning(wanted: Filter, listings: str) -> Sql:
    """Rows with the texts that the conditions of a filter need."""
    texts = " CROSS JOIN listing_texts t ON t.k = l.k" if any(map(needs_texts, wanted.terms)) else ""
    return Sql(listings + texts)


def _gathering(gathered: Gathered) -> Sql:
    return Sql(f"({gathered.numbers.text}) c CROSS JOIN listings l ON l.k = c.k", gathered.numbers.values)


def _counted(db: sqlite3.Connection, source: Sql, where: Sql, bound: int) -> int:
    row = db.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {source.text} WHERE {where.text} LIMIT ?)",
        (*source.values, *where.values, bound),
    ).fetchone()
    return int(row[0])


def _total(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT n FROM catalogue_counts WHERE name = 'listings'").fetchone()
    return int(row[0]) if row else 0
