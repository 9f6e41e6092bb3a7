"""The listings in order: filtered, sorted, and kept so while changes arrive.

Pure, no I/O. All that decides which rows a table shows, and in which order, lives here; what they look like does not.

Every listing has a slot, a small number that stays its own until it is gone and `reclaim` is called. What a search or a
comparison needs stands in lists by slot, and an order is a sorted list of slots. A column is sorted when it is first
asked for and kept in order from then on: a change costs a bisection in each column whose key it changes. A new filter
costs a plain loop over the order, or over the last result when it only narrows that. Descending is read backwards.

`prepare` does the slow parts beforehand, in slices, for a table whose loop must go on: the texts that are searched and
the orders of all columns. Without it each is done when it is first needed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from betar_tui.market.filter import Filter, Term, haystack, parse, screen
from betar_tui.market.marketplace import Change, ChangeKind, Listing
from betar_tui.market.sorting import KEYS, SORT_COLUMNS, SortKey, order_ties, place, put, sort_key, take
from betar_tui.market.term_cache import TermCache

SLICE = 4_000
"""Listings read, or made searchable, in one go: a few milliseconds."""

SORT_SLICE = 12_500
"""Listings sorted in one go, before all are merged."""


class ListingIndex:
    """All listings of the market as one peer has them, with a filter and an order."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._slot: dict[str, int] = {}
        self._listings: list[Listing | None] = []
        self._hay: list[str | None] = []
        self._searchable = True
        self._first_seen: list[float] = []
        self._free: list[int] = []
        self._gone: dict[str, int] = {}
        self._by_seller: Counter[str] = Counter()
        self._orders: dict[str, list[int]] = {}
        self._touched: set[int] | None = None
        self._column = "name"
        self._descending = False
        self._filter = self._sieve = Filter()
        self._muted: frozenset[str] = frozenset()
        self._sifted: list[int] | None = None
        self._rows: list[str] | None = []
        self._generation = 0
        self._screens = TermCache()

    # What is there

    def __len__(self) -> int:
        return len(self._slot)

    def __contains__(self, listing_id: object) -> bool:
        return listing_id in self._slot

    def __iter__(self) -> Iterator[Listing]:
        return (listing for listing in self._listings if listing is not None)

    def __getitem__(self, listing_id: str) -> Listing:
        return self._at(self._slot[listing_id])

    def get(self, listing_id: str) -> Listing | None:
        """The listing, or None where there is none of that id."""
        slot = self._slot.get(listing_id)
        return None if slot is None else self._listings[slot]

    def first_seen(self, listing_id: str) -> float:
        """When the listing first appeared here, as far as this index knows; 0 where it is unknown."""
        slot = self._slot.get(listing_id)
        return 0.0 if slot is None else self._first_seen[slot]

    def listings_of(self, seller_id: str) -> int:
        """How many listings this seller has."""
        return self._by_seller[seller_id]

    @property
    def rows(self) -> Sequence[str]:
        """The ids of the listings that pass the filter, in order. Not to be changed."""
        if self._rows is None:
            self._rows = [self._at(slot).id for slot in self._shown()]
            if self._descending:
                self._rows.reverse()
        return self._rows

    @property
    def count(self) -> int:
        """How many listings pass the filter."""
        return len(self._slot) if self._sifted is None else len(self._sifted)

    def slots(self) -> list[int]:
        """The slots of the listings that pass the filter, in order; a copy. This is what is cheap with many rows."""
        return self._shown()[::-1] if self._descending else self._shown().copy()

    def slot(self, listing_id: str) -> int | None:
        """The slot of a listing, or None where there is none of that id."""
        return self._slot.get(listing_id)

    def at(self, slot: int) -> Listing | None:
        """The listing of a slot, or None where it is gone."""
        return self._listings[slot] if slot < len(self._listings) else None

    def shows(self, listing_id: str) -> bool:
        """Whether the listing passes the filter."""
        slot = self._slot.get(listing_id)
        return slot is not None and (not self._sieve.terms or place(self._shown(), slot, self._key_of())[1])

    @property
    def generation(self) -> int:
        """A number that changes whenever `rows` may differ."""
        return self._generation

    @property
    def filter(self) -> Filter:
        """The filter in force: the last good one."""
        return self._filter

    @property
    def muted(self) -> frozenset[str]:
        """The sellers whose listings are left out."""
        return self._muted

    @property
    def muted_count(self) -> int:
        """How many listings muted sellers have."""
        return sum(self._by_seller[seller] for seller in self._muted)

    @property
    def sort(self) -> tuple[str, bool]:
        """The column and whether the order is descending."""
        return self._column, self._descending

    # What changes it

    def replace(self, listings: Iterable[Listing]) -> None:
        """Take these listings for all there are."""
        for _ in self.replacing(listings):
            pass

    def replacing(self, listings: Iterable[Listing]) -> Iterator[None]:
        """The same in slices. The index is to be left alone until it is through; the last slice takes over."""
        known = {listing.id: self._first_seen[slot] for slot, listing in enumerate(self._listings) if listing}
        slots: dict[str, int] = {}
        held: list[Listing | None] = []
        source = iter(listings)
        while batch := list(islice(source, SLICE)):
            for listing in batch:
                slot = slots.setdefault(listing.id, len(held))
                if slot == len(held):
                    held.append(listing)
                else:
                    held[slot] = listing
            yield
        first = [known.get(each.id, each.seen_at) for each in held if each]
        self._slot, self._listings, self._first_seen = slots, held, first
        self._hay, self._searchable = [None] * len(held), False
        self._free, self._gone, self._orders, self._touched = [], {}, {}, None
        self._by_seller = Counter([each.seller_id for each in held if each])
        self._screens.clear()
        self._sift(None)

    def apply(self, change: Change) -> None:
        """Follow one change of the replica."""
        new = change.listing if change.kind is not ChangeKind.DELIST else None
        slot = self._slot.get(change.id)
        if slot is None:
            if new is not None:
                self._insert(new, change.at)
        elif new is None:
            self._remove(slot)
        else:
            self._change(slot, new)
        self._changed()

    def reclaim(self) -> None:
        """Slots of listings that are gone may be used for others: nobody holds them any more."""
        self._free += self._gone.values()
        self._gone.clear()

    def set_filter(self, text: str) -> None:
        """Show only what matches. Raises FilterError and keeps the last good filter."""
        new = parse(text)
        if new.terms == self._filter.terms:
            self._filter = new
            return
        sieve = new.muting(self._muted)
        pool = self._sifted if sieve.narrows(self._sieve) else None
        self._filter, self._sieve = new, sieve
        self._sift(pool)

    def set_muted(self, sellers: frozenset[str]) -> None:
        """Leave out the listings of these sellers, unless the filter asks for them."""
        if sellers != self._muted:
            self._muted = sellers
            self._sieve = self._filter.muting(sellers)
            self._sift(None)

    def reconsider(self) -> None:
        """Filter again where the filter depends on the time (`state:new`, `state:stale`)."""
        if self._filter.timed:
            before, generation, rows = self._sifted, self._generation, self._rows
            self._sift(None)
            if self._sifted == before:
                self._generation, self._rows = generation, rows

    def set_sort(self, column: str, descending: bool) -> None:
        """Order by one of SORT_COLUMNS. Raises ValueError for another."""
        if column not in KEYS:
            raise ValueError(f"no column {column!r} to sort by: use one of {', '.join(KEYS)}")
        if (column, descending) == self.sort:
            return
        if column != self._column:
            self._column = column
            if self._sifted is not None:
                kept = set(self._sifted)
                self._sifted = [slot for slot in self._order(column) if slot in kept]
        self._descending = descending
        self._changed()

    def prepare(self) -> Iterator[None]:
        """Do beforehand, in slices, what would be slow when it is first needed. Changes may come in between."""
        yield from self._make_searchable()
        for column in SORT_COLUMNS:
            listings = self._listings
            if column not in self._orders:
                yield from self._sort_in_slices(column)
            if listings is not self._listings:
                return

    # How

    def _at(self, slot: int) -> Listing:
        listing = self._listings[slot]
        assert listing is not None, f"slot {slot} is empty"
        return listing

    def _key_of(self, column: str = "") -> Callable[[int], SortKey]:
        column = column or self._column
        return lambda slot: sort_key(column, self._at(slot))

    def _shown(self) -> list[int]:
        return self._order(self._column) if self._sifted is None else self._sifted

    def _order(self, column: str) -> list[int]:
        if column not in self._orders:
            return self._sort_whole(column)
        return self._orders[column]

    def _sort_whole(self, column: str) -> list[int]:
        for _ in self._sort_in_slices(column):
            pass
        return self._orders[column]

    def _sort_in_slices(self, column: str) -> Iterator[None]:
        listings, key = self._listings, KEYS[column]
        # Sorting is stable: equal ones stay as their names are ordered.
        slots = list(self._slot.values()) if column == "name" else self._order("name").copy()
        keys: list[Any] = [None] * len(listings)
        # What changes meanwhile is left out, and put in at the end.
        touched = self._touched = set[int]()
        runs: list[list[int]] = []
        for start in range(0, len(slots), SORT_SLICE):
            part = [slot for slot in slots[start : start + SORT_SLICE] if slot not in touched]
            for slot in part:
                keys[slot] = key(listings[slot])  # type: ignore[arg-type]
            part.sort(key=keys.__getitem__)
            runs.append(part)
            yield
            if listings is not self._listings or column in self._orders:
                return
        while len(runs) > 1:
            merged = []
            for pair in zip(runs[::2], [*runs[1::2], []], strict=False):
                # Python's sort finds the two runs and merges them.
                merged.append(sorted(pair[0] + pair[1], key=keys.__getitem__))
                yield
            runs = merged
        if listings is not self._listings or column in self._orders:
            return
        result = [slot for slot in runs[0] if slot not in touched] if runs else []
        if column == "name":
            order_ties(result, keys, listings)
        for slot in touched:
            if slot < len(listings) and listings[slot] is not None:
                put(result, slot, self._key_of(column))
        self._touched = None
        self._orders[column] = result
        yield

    def _make_searchable(self) -> Iterator[None]:
        hay, listings = self._hay, self._listings
        for start in range(0, len(hay), SLICE):
            for slot in range(start, min(start + SLICE, len(hay))):
                listing = listings[slot]
                if hay[slot] is None:
                    hay[slot] = haystack(listing) if listing else ""
            yield
        if hay is self._hay:
            self._searchable = True

    def _haystacks(self) -> list[str]:
        hay: list[Any] = self._hay
        if not self._searchable:
            for slot, (text, listing) in enumerate(zip(hay, self._listings, strict=True)):
                if text is None:
                    hay[slot] = haystack(listing) if listing else ""
            self._searchable = True
        return hay

    def _sift(self, pool: list[int] | None) -> None:
        terms = self._sieve.terms
        if not terms:
            self._sifted = None
        else:
            slots = self._order(self._column) if pool is None else pool
            # Words first: they are the most telling, and looked for in cached text.
            for term in sorted(terms, key=lambda term: term.kind != "word"):
                slots = self._meeting(term, slots)
            self._sifted = slots
        self._changed()

    def _meeting(self, term: Term, slots: list[int]) -> list[int]:
        wanted, word = not term.negated, term.value
        if term.kind == "word" and len(slots) < len(self._slot) // 4:
            hay = self._haystacks()
            return [slot for slot in slots if (word in hay[slot]) is wanted]
        if term.kind == "sellers" and len(slots) < len(self._slot) // 4:
            return [slot for slot in slots if (self._at(slot).seller_id in term.sellers) is wanted]
        # All of them, as they lie in memory: three times as fast as following the order.
        held = self._screens.get(term, lambda: self._look(term))
        return [slot for slot in slots if held[slot] is wanted]

    def _look(self, term: Term) -> list[bool]:
        if term.kind == "word":
            return [term.value in text for text in self._haystacks()]
        return screen(term, self._listings, self._first_seen, self._clock())

    def _insert(self, new: Listing, at: float) -> None:
        # One that comes back before anybody looked takes its old place.
        slot = self._gone.pop(new.id, -1)
        if slot < 0 and self._free:
            slot = self._free.pop()
        if slot >= 0:
            self._listings[slot], self._hay[slot], self._first_seen[slot] = new, haystack(new), at
        else:
            slot = len(self._listings)
            self._listings.append(new)
            self._hay.append(haystack(new))
            self._first_seen.append(at)
        self._slot[new.id] = slot
        self._by_seller[new.seller_id] += 1
        self._touch(slot)
        for column, order in self._orders.items():
            put(order, slot, self._key_of(column))
        self._show(slot)

    def _remove(self, slot: int) -> None:
        old = self._at(slot)
        for column, order in self._orders.items():
            take(order, slot, self._key_of(column))
        self._hide(slot)
        self._by_seller[old.seller_id] -= 1
        del self._slot[old.id]
        self._touch(slot)
        self._listings[slot], self._hay[slot] = None, ""
        self._gone[old.id] = slot

    def _change(self, slot: int, new: Listing) -> None:
        old = self._at(slot)
        moved = [column for column in self._orders if sort_key(column, old) != sort_key(column, new)]
        for column in moved:
            take(self._orders[column], slot, self._key_of(column))
        self._hide(slot)
        self._listings[slot] = new
        if (old.name, old.description, old.seller_id) != (new.name, new.description, new.seller_id):
            self._hay[slot] = haystack(new)
        if old.seller_id != new.seller_id:
            self._by_seller[old.seller_id] -= 1
            self._by_seller[new.seller_id] += 1
        self._touch(slot)
        for column in moved:
            put(self._orders[column], slot, self._key_of(column))
        self._show(slot)

    def _show(self, slot: int) -> None:
        listing, seen = self._at(slot), self._first_seen[slot]
        hay = self._hay[slot] or haystack(listing)
        self._screens.take(slot, listing, hay)
        if self._sifted is not None and self._sieve.matches_cached(listing, hay, self._clock(), seen):
            put(self._sifted, slot, self._key_of())

    def _hide(self, slot: int) -> None:
        if self._sifted is not None:
            take(self._sifted, slot, self._key_of())

    def _touch(self, slot: int) -> None:
        if self._touched is not None:
            self._touched.add(slot)

    def _changed(self) -> None:
        self._rows = None
        self._generation += 1
