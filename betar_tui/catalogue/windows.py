"""Reads a window of the market: a page of rows, where it lies, and how many rows there are.

The rows come first. What is said beside them is exact where it is known or quickly counted, and else it is left open: who
looks at a page should not wait for a number."""

import math
import sqlite3
from dataclasses import dataclass, replace

from betar_tui.catalogue.counting import (
    count_before,
    count_gathered,
    count_gathered_before,
    count_of_sellers,
    count_of_sellers_before,
    count_scanned,
    total,
)
from betar_tui.catalogue.interrupting import Interruptible
from betar_tui.catalogue.orders import Order, parse_order
from betar_tui.catalogue.query import Rows, read_page, read_place, skip_rows
from betar_tui.market.filter import Filter
from betar_tui.market.marketplace import Place

MAX_COUNTED = 5_000
"""Number of matches up to which a page says how many there are."""
STEPS = 15_000
"""Steps of SQLite that a page may take to count, for each of its two numbers: some 3 ms."""
COVERED_STEPS = 8_000_000
"""The same where an index alone is read, in which a step is cheaper and many are needed: some 40 ms."""
MAX_MUTED = 100_000
"""Maximum listings of muted sellers that are counted."""
MUTED_STEPS = 400_000
"""Steps of SQLite that it may take to leave the listings of muted sellers out of those before a page, each of which is
looked up: some 60 ms. A page that would take more begins near the place that is asked for, or does not say where."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: see `Marketplace.listings`. `muted` sellers are left out, `around` is the number of a row."""

    query: Filter
    sort: str = ""
    limit: int = 0
    after: Place | None = None
    before: Place | None = None
    around: int | None = None
    skip: int = 0
    muted: frozenset[str] = frozenset()

    @property
    def wanted(self) -> Filter:
        """The filter, with the muted sellers in it."""
        return self.query.muting(self.muted)


@dataclass(frozen=True, slots=True)
class Window:
    """The places of the rows, how many match and whether that is exact, how many match before the first of them (None where
    that is not known), and the number of listings of muted sellers."""

    places: tuple[Place, ...]
    matching: int
    exact: bool
    start: int | None
    muted: int


def read_window(reading: Interruptible, asked: Asked, now: float) -> Window:
    """What is asked for. In a transaction. Raises FilterError."""
    counted = reading.within(COVERED_STEPS, lambda: count_of_sellers(reading.db, asked.muted, MAX_MUTED))
    muted = MAX_MUTED if counted is None else counted
    if not muted and not asked.query.asks_for_muted:
        asked = replace(asked, muted=frozenset())  # there is nobody to leave out
    return _Reading(reading, asked, now, muted).window()


@dataclass(frozen=True, slots=True)
class _Reading:
    reading: Interruptible
    asked: Asked
    now: float
    muted: int

    def window(self) -> Window:
        asked, number = self.asked, self._known_number()
        place = None if asked.around is None else self._place(asked.around)
        start: int | None = None
        if place is not None:
            rows, start = self._around(place)
        elif asked.skip:
            rows, start = self._skipped(number)
        else:
            rows = read_page(self._db, asked.wanted, asked.sort, asked.limit, asked.after, asked.before, self.now)
            if asked.after is None and (asked.before is None or len(rows.places) < (asked.limit or math.inf)):
                start = 0
        matching, exact = self._number(rows, number, start)
        return Window(rows.places, matching, exact, self._start(rows, number) if start is None else start, self.muted)

    def _skipped(self, number: int | None) -> tuple[Rows, int | None]:
        """The page after the rows that are skipped, and how many those are, None where that is not known."""
        asked, known = self.asked, -1 if number is None else number

        def exactly() -> Rows:
            return skip_rows(self._db, asked.wanted, asked.sort, asked.limit, asked.skip, known, self.now)

        only_muted = asked.query.everything and self.muted > 0
        rows = self.reading.within(MUTED_STEPS, exactly) if only_muted else exactly()
        if rows is None:
            return self._near(number), None
        return rows, asked.skip if rows.places else None

    def _near(self, number: int | None) -> Rows:
        """A page where the skipped rows would end if those of muted sellers lay evenly among all."""
        asked, every = self.asked, total(self._db)
        skip = min(asked.skip * every // max(number, 1) if number is not None else asked.skip, every - 1)
        (place,) = skip_rows(self._db, asked.query, asked.sort, 1, skip, every, self.now).places
        rows = read_page(self._db, asked.wanted, asked.sort, asked.limit, place, None, self.now)
        return (
            rows if rows.places else read_page(self._db, asked.wanted, asked.sort, asked.limit, None, place, self.now)
        )

    @property
    def _db(self) -> sqlite3.Connection:
        return self.reading.db

    @property
    def _order(self) -> Order:
        return parse_order(self.asked.sort)

    def _known_number(self) -> int | None:
        """The number of rows that match where it need not be counted."""
        if self.muted >= MAX_MUTED or not self.asked.query.everything:
            return None
        return total(self._db) - self.muted

    def _place(self, number: int) -> Place | None:
        return read_place(self._db, self.asked.wanted, self.asked.sort, number, self.now)

    def _around(self, place: Place) -> tuple[Rows, int | None]:
        """A page that has a place in its middle, or nearer to its end where there is not enough behind it; and how many rows
        come before it where that turns out."""
        limit, wanted, sort = self.asked.limit, self.asked.wanted, self.asked.sort
        if not limit:
            return read_page(self._db, wanted, sort, 0, None, None, self.now), 0
        half = limit // 2
        rows = read_page(self._db, wanted, sort, limit - 1, None, place, self.now) if limit > 1 else Rows(())
        rest = limit - 1 - min(half, len(rows.places))
        behind = read_page(self._db, wanted, sort, rest, place, None, self.now) if rest else Rows(())
        before = len(rows.places)
        left_out = max(0, before - (limit - 1 - len(behind.places)))
        places = (*rows.places[left_out:], place, *behind.places)
        found = replace(rows, places=places, complete=rows.complete and behind.complete)
        return found, left_out if before < limit - 1 else None

    def _number(self, rows: Rows, known: int | None, start: int | None) -> tuple[int, bool]:
        """How many rows match, and whether that is exact."""
        if known is not None:
            return known, True
        if start == 0 and self.asked.before is None and len(rows.places) < (self.asked.limit or math.inf):
            return len(rows.places), rows.complete
        counted = self.reading.within(STEPS, lambda: self._counted(rows))
        return counted if counted is not None else (len(rows.places) + (start or 0), False)

    def _counted(self, rows: Rows) -> tuple[int, bool]:
        if rows.gathered is not None:
            return count_gathered(self._db, rows.gathered, MAX_COUNTED)
        # The page was full after a few rows, so that many meet the filter.
        return count_scanned(self._db, self.asked.wanted, self.now, MAX_COUNTED)

    def _start(self, rows: Rows, known: int | None) -> int | None:
        """How many rows match before the first one, None where that is not known."""
        if not rows.places:
            return None
        place = rows.places[0]
        if known is not None:
            return self._before(place)
        if (gathered := rows.gathered) is None:
            return None
        return self.reading.within(STEPS, lambda: count_gathered_before(self._db, gathered, self._order, place))

    def _before(self, place: Place) -> int | None:
        """The same where nothing is left out but the muted."""
        db, order, muted = self._db, self._order, self.asked.muted
        before = self.reading.within(COVERED_STEPS, lambda: count_before(db, order, place, total(db)))
        if before is None or not self.muted:
            return before
        steps = COVERED_STEPS if order.column in ("name", "seller") else MUTED_STEPS  # the sellers' index has these two
        left_out = self.reading.within(steps, lambda: count_of_sellers_before(db, muted, order, place))
        return None if left_out is None else before - left_out
