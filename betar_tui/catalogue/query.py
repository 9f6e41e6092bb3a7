"""Finds the rows of the catalogue that meet a filter, a page at a time.

There are two ways to a page, and which is quick depends on how many rows meet the filter:

- *Scanning* follows the index of the sorted column from a place on and checks row by row, until the page is full. It is
  quick when much is met: every second row fills a page of 60 after 120.
- *Gathering* takes the rows out of the search index, or out of a range of another one, checks and sorts them. It is quick
  when they are few.

So a scan begins, and most pages are full soon. Where one is not, the indexes are asked for a bounded count, and what is
few is gathered; else the scan goes on, and asks again later for a count with a higher bound (`STAGES`).

Reads only, from a connection that `conditions.add_functions` has seen. Each function runs a few statements: call it in a
transaction where others write, so that they see one state. `Interruptible` (`catalogue.interrupting`) ends a running one.
Nothing is cached."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat

from betar_tui.catalogue.conditions import (
    ALWAYS,
    JOINED,
    LOOKED_UP,
    Sql,
    all_of,
    column_of,
    left_out,
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
"""Rows that are scanned between two looks at the stages; the last figure holds from then on: 30 ms."""
GATHERED = 20_000
"""Maximum rows that are gathered to leave some of them out: a scan has to look at all that are left out too."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in order: their places, which have their numbers.

    `complete` is False where rows may be missing that are not in the search index yet. `gathered` is where they were taken
    out of, None where they were scanned."""

    places: tuple[Place, ...]
    complete: bool = True
    gathered: Gathered | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the rows, in order."""
        return tuple(place.number for place in self.places)


def read_page(
    db: sqlite3.Connection,
    wanted: Filter,
    sort: str,
    limit: int,
    after: Place | None,
    before: Place | None,
    now: float,
) -> Rows:
    """At most `limit` rows that meet a filter, all for 0: those nearest after a place, or nearest before one, or the first
    of all. With both places, those after the first one that are also before the other. Raises FilterError for a column
    that there is not."""
    order = parse_order(sort)
    if after is None and before is not None:
        return _backwards(_Page(db, wanted, order.reversed(), limit, before, None, now).read())
    return _Page(db, wanted, order, limit, after, before, now).read()


def skip_rows(
    db: sqlite3.Connection, wanted: Filter, sort: str, limit: int, skip: int, number: int, now: float
) -> Rows:
    """At most `limit` rows that meet a filter, all for 0, after the first `skip`. `number` rows meet it, -1 if that is not
    known: where it is, the rows that are left out are those at the nearer end. Raises FilterError."""
    order = parse_order(sort)
    most = min(limit or number, number - skip) if number >= 0 else limit
    if number >= 0 and most <= 0:
        return Rows(())
    if number >= 0 and skip > number // 2:
        return _backwards(_Page(db, wanted, order.reversed(), most, None, None, now).read_after(number - skip - most))
    return _Page(db, wanted, order, most, None, None, now).read_after(skip)


def read_place(db: sqlite3.Connection, wanted: Filter, sort: str, number: int, now: float) -> Place | None:
    """The place of the row of a number, None where there is none that meets the filter. Raises FilterError."""
    where = all_of([Sql("l.k = ?", (number,)), of_filter(wanted, LOOKED_UP, now)])
    found = _Page(db, wanted, parse_order(sort), 1, None, None, now).places(Sql("listings l"), where, 1)
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class _Page:
    db: sqlite3.Connection
    wanted: Filter
    order: Order
    limit: int
    start: Place | None
    end: Place | None
    now: float

    def read(self) -> Rows:
        """The rows from the start on."""
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
        return Rows(tuple(found))

    def read_after(self, skip: int) -> Rows:
        """The rows of all after the first `skip`."""
        gathered = None if self.wanted.everything else gather(self.db, self.wanted, self.now, GATHERED)
        if gathered is not None:
            return self._gathered(gathered, skip)
        source, condition = scanning(self.wanted, self._listings), of_filter(self.wanted, JOINED, self.now)
        if (sellers := left_out(self.wanted)) is not None:
            condition = Sql(f"l.k NOT IN (SELECT m.k FROM listings m WHERE m.seller IN {sellers.text})", sellers.values)
        return Rows(tuple(self.places(source, condition, self.limit or -1, skip)))

    @property
    def _listings(self) -> str:
        return f"listings l INDEXED BY {self.order.index}"

    def _place_at(self, part: Sql, number: int) -> Place | None:
        """The place of the row of this number in a part of the index, None where it has fewer."""
        found = self.places(Sql(self._listings), part, 1, number - 1)
        return found[0] if found else None

    def _scanned(self, part: Sql, last: Place | None, limit: int) -> list[Place]:
        """The rows that meet the filter in a part of the index, up to the place `last`."""
        source = scanning(self.wanted, self._listings)
        condition = of_filter(self.wanted, JOINED, self.now)
        found = list[Place]()
        for piece in self.order.up_to(last) if last else [ALWAYS]:
            if limit < 0 or len(found) < limit:
                found += self.places(source, all_of([part, piece, condition]), limit - len(found) if limit > 0 else -1)
        return found

    def _gathered(self, gathered: Gathered, skip: int = 0) -> Rows:
        where = all_of([gathered.condition, self.order.within(self.start, self.end)])
        found = self.places(gathered.rows, where, self.limit or -1, skip)
        return Rows(tuple(found), gathered.complete, gathered)

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

    def places(self, source: Sql, where: Sql, limit: int, offset: int = 0) -> list[Place]:
        rows = self.db.execute(
            f"SELECT {self.order.columns} FROM {source.text} WHERE {where.text} ORDER BY {self.order.by} LIMIT ? OFFSET ?",
            (*source.values, *where.values, limit, offset),
        )
        return [Place(value, name, number) for number, value, name in rows]


def _backwards(rows: Rows) -> Rows:
    return replace(rows, places=rows.places[::-1])


def scanning(wanted: Filter, listings: str) -> Sql:
    """Rows with the texts that the conditions of a filter need."""
    texts = " CROSS JOIN listing_texts t ON t.k = l.k" if any(map(needs_texts, wanted.terms)) else ""
    return Sql(listings + texts)
