"""The listings in order: filtered, sorted, and kept so while changes arrive.

Pure, no I/O. All that decides which rows a table shows, and in which order, lives here; what they look like does not.

Two sorted lists of (key, id) are kept: `_order` holds every listing, `_shown` those that pass the filter (the same
list while there is none). A change costs a bisection in each; a new filter costs a walk over `_order`, or over
`_shown` when it only narrows the last one. Descending order is the same list read backwards.
"""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from betar_tui.market.filter import Filter, haystack, parse
from betar_tui.market.marketplace import Change, ChangeKind, Listing, Provenance

SortKey = tuple[float | int | str, str]
Row = tuple[SortKey, str]

_STATE_RANK = {Provenance.VERIFIED: 1, Provenance.UNSIGNED: 2, Provenance.INVALID: 3}

# Each key ends with the name, so that equal prices read alphabetically; the id makes a row unique.
_KEYS: dict[str, Callable[[Listing], SortKey]] = {
    "name": lambda listing: (listing.name.casefold(), ""),
    "price": lambda listing: (listing.price, listing.name.casefold()),
    "seller": lambda listing: (listing.seller_id, listing.name.casefold()),
    "seen": lambda listing: (-listing.seen_at, listing.name.casefold()),
    "state": lambda listing: (0 if listing.mine else _STATE_RANK[listing.provenance], listing.name.casefold()),
}

SORT_COLUMNS: tuple[str, ...] = tuple(_KEYS)
"""The columns `set_sort` takes. "seen" ascending is the youngest first: ages count up."""


class ListingIndex:
    """All listings of the market as one peer has them, with a filter and an order."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._listings: dict[str, Listing] = {}
        self._hay: dict[str, str] = {}
        self._first_seen: dict[str, float] = {}
        self._by_seller: Counter[str] = Counter()
        self._column = "name"
        self._descending = False
        self._filter = Filter()
        self._order: list[Row] = []
        self._shown: list[Row] = self._order
        self._rows: list[str] | None = []
        self._generation = 0

    # What is there

    def __len__(self) -> int:
        return len(self._listings)

    def __contains__(self, listing_id: object) -> bool:
        return listing_id in self._listings

    def __iter__(self) -> Iterator[Listing]:
        return iter(self._listings.values())

    def __getitem__(self, listing_id: str) -> Listing:
        return self._listings[listing_id]

    def get(self, listing_id: str) -> Listing | None:
        """The listing, or None where there is none of that id."""
        return self._listings.get(listing_id)

    def first_seen(self, listing_id: str) -> float:
        """When the listing first appeared here, as far as this index knows; 0 where it is unknown."""
        return self._first_seen.get(listing_id, 0.0)

    def listings_of(self, seller_id: str) -> int:
        """How many listings this seller has."""
        return self._by_seller[seller_id]

    @property
    def rows(self) -> Sequence[str]:
        """The ids of the listings that pass the filter, in order. Not to be changed."""
        if self._rows is None:
            self._rows = [listing_id for _, listing_id in self._shown]
            if self._descending:
                self._rows.reverse()
        return self._rows

    def shows(self, listing_id: str) -> bool:
        """Whether the listing passes the filter."""
        listing = self._listings.get(listing_id)
        if listing is None:
            return False
        row = self._row(listing)
        at = bisect_left(self._shown, row)
        return at < len(self._shown) and self._shown[at] == row

    @property
    def generation(self) -> int:
        """A number that changes whenever `rows` may differ."""
        return self._generation

    @property
    def filter(self) -> Filter:
        """The filter in force: the last good one."""
        return self._filter

    @property
    def sort(self) -> tuple[str, bool]:
        """The column and whether the order is descending."""
        return self._column, self._descending

    # What changes it

    def replace(self, listings: Iterable[Listing]) -> None:
        """Take these listings for all there are."""
        known = self._first_seen
        self._listings = {listing.id: listing for listing in listings}
        self._hay = {}
        self._first_seen = {
            listing_id: known.get(listing_id, listing.seen_at) for listing_id, listing in self._listings.items()
        }
        self._by_seller = Counter(listing.seller_id for listing in self._listings.values())
        self._rebuild()

    def apply(self, change: Change) -> None:
        """Follow one change of the replica."""
        old = self._listings.get(change.id)
        new = change.listing if change.kind is not ChangeKind.DELIST else None
        if old is not None:
            row = self._row(old)
            self._drop(self._order, row)
            if self._shown is not self._order:
                self._drop(self._shown, row)
            self._hay.pop(change.id, None)
            self._by_seller[old.seller_id] -= 1
        if new is None:
            self._listings.pop(change.id, None)
            self._first_seen.pop(change.id, None)
        else:
            self._first_seen.setdefault(change.id, change.at)
            self._listings[change.id] = new
            self._by_seller[new.seller_id] += 1
            row = self._row(new)
            insort(self._order, row)
            if self._shown is not self._order and self._passes(new, self._clock()):
                insort(self._shown, row)
        self._changed()

    def set_filter(self, text: str) -> None:
        """Show only what matches. Raises FilterError and keeps the last good filter."""
        new = parse(text)
        if new.terms == self._filter.terms:
            self._filter = new
            return
        pool = self._shown if new.narrows(self._filter) else self._order
        self._filter = new
        self._sift(pool)

    def reconsider(self) -> None:
        """Filter again where the filter depends on the time (`state:new`, `state:stale`)."""
        if self._filter.timed:
            self._sift(self._order)

    def set_sort(self, column: str, descending: bool) -> None:
        """Order by one of SORT_COLUMNS. Raises ValueError for another."""
        if column not in _KEYS:
            raise ValueError(f"no column {column!r} to sort by: use one of {', '.join(_KEYS)}")
        if column == self._column:
            if descending != self._descending:
                self._descending = descending
                self._changed()
            return
        self._column, self._descending = column, descending
        self._rebuild()

    # How

    def _row(self, listing: Listing) -> Row:
        return _KEYS[self._column](listing), listing.id

    def _rebuild(self) -> None:
        key = _KEYS[self._column]
        self._order = sorted((key(listing), listing_id) for listing_id, listing in self._listings.items())
        self._sift(self._order)

    def _sift(self, pool: list[Row]) -> None:
        words = [term for term in self._filter.terms if term.kind == "word"]
        others = [term for term in self._filter.terms if term.kind != "word"]
        if not self._filter.terms:
            pool = self._order
        elif words:
            # Words first, in plain loops over cached text: this is what typing in a large market costs.
            hay = self._haystacks()
            for term in words:
                value = term.value
                if term.negated:
                    pool = [row for row in pool if value not in hay[row[1]]]
                else:
                    pool = [row for row in pool if value in hay[row[1]]]
        if others:
            now, listings, seen = self._clock(), self._listings, self._first_seen
            pool = [row for row in pool if all(term.holds(listings[row[1]], "", now, seen[row[1]]) for term in others)]
        self._shown = pool
        self._changed()

    def _haystacks(self) -> dict[str, str]:
        hay = self._hay
        if len(hay) != len(self._listings):
            for listing_id, listing in self._listings.items():
                if listing_id not in hay:
                    hay[listing_id] = haystack(listing)
        return hay

    def _passes(self, listing: Listing, now: float) -> bool:
        return self._filter.matches(listing, now, self._first_seen[listing.id])

    def _drop(self, rows: list[Row], row: Row) -> None:
        at = bisect_left(rows, row)
        if at < len(rows) and rows[at] == row:
            del rows[at]

    def _changed(self) -> None:
        self._rows = None
        self._generation += 1
