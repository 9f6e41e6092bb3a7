"""The listings in order: filtered, sorted, and kept so while changes arrive.

Pure, no I/O. Which listings a table shows, and in which order, is decided here; how they look is not.

Every listing has a slot, a small number that stays its own until it is gone and `reclaim` is called. All that a search
or a comparison needs stands in lists by slot, and an order is a sorted list of slots (`sorting.SortOrders`). A new
filter costs a plain loop over the order, or over the last result when it only narrows that. Descending is read
backwards.

`prepare` does the slow parts beforehand, in slices, for a table whose loop must go on: the texts that are searched and
the orders of all columns. Without it each is done when it is first needed."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from betar_tui.market.filter import Filter, Term, evaluate, parse, search_text
from betar_tui.market.marketplace import Change, ChangeKind, Listing
from betar_tui.market.sorting import KEYS, SORT_COLUMNS, SortKey, SortOrders, find_slot, insert_slot, remove_slot
from betar_tui.market.term_cache import TermCache
from betar_tui.market.terms import IN_TEXT

SLICE = 4_000
"""Number of listings read, or made searchable, in one go: a few milliseconds."""


class ListingIndex:
    """All listings of the market as one peer has them, with a filter and an order."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._slot: dict[str, int] = {}
        self._listings: list[Listing | None] = []
        self._texts: list[str | None] = []
        self._searchable = True
        self._first_seen: list[float] = []
        self._free: list[int] = []
        self._gone: dict[str, int] = {}
        self._by_seller: Counter[str] = Counter()
        self._orders = SortOrders(self._listings, self._slot)
        self._column = "name"
        self._descending = False
        self._filter = self._filter_and_mutes = Filter()
        self._muted: frozenset[str] = frozenset()
        self._matching: list[int] | None = None
        self._rows: list[str] | None = []
        self._generation = 0
        self._term_cache = TermCache()

    # Queries

    def __len__(self) -> int:
        return len(self._slot)

    def __contains__(self, listing_id: object) -> bool:
        return listing_id in self._slot

    def __iter__(self) -> Iterator[Listing]:
        return (listing for listing in self._listings if listing is not None)

    def __getitem__(self, listing_id: str) -> Listing:
        return self._at(self._slot[listing_id])

    def get(self, listing_id: str) -> Listing | None:
        """The listing, or None without one of that id."""
        slot = self._slot.get(listing_id)
        return None if slot is None else self._listings[slot]

    def first_seen(self, listing_id: str) -> float:
        """When the listing first appeared here, as far as this index knows; 0 where it is unknown."""
        slot = self._slot.get(listing_id)
        return 0.0 if slot is None else self._first_seen[slot]

    def listings_of(self, seller_id: str) -> int:
        """Number of listings of this seller."""
        return self._by_seller[seller_id]

    @property
    def rows(self) -> Sequence[str]:
        """The ids of the listings that pass the filter, in order. Not to be changed."""
        if self._rows is None:
            self._rows = [self._at(slot).id for slot in self._shown_slots()]
            if self._descending:
                self._rows.reverse()
        return self._rows

    @property
    def count(self) -> int:
        """Number of listings that pass the filter."""
        return len(self._slot) if self._matching is None else len(self._matching)

    def slots(self) -> list[int]:
        """A copy of the slots of the listings that pass the filter, in order: cheaper than `rows` in a large market."""
        return self._shown_slots()[::-1] if self._descending else self._shown_slots().copy()

    def slot(self, listing_id: str) -> int | None:
        """The slot of a listing, or None without one of that id."""
        return self._slot.get(listing_id)

    def at(self, slot: int) -> Listing | None:
        """The listing of a slot, or None where it is gone."""
        return self._listings[slot] if slot < len(self._listings) else None

    def shows(self, listing_id: str) -> bool:
        """Whether the listing passes the filter."""
        slot = self._slot.get(listing_id)
        return slot is not None and (
            self._filter_and_mutes.everything or find_slot(self._shown_slots(), slot, self._key())[1]
        )

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
        """Number of listings of muted sellers."""
        return sum(self._by_seller[seller] for seller in self._muted)

    @property
    def sort(self) -> tuple[str, bool]:
        """The column and whether the order is descending."""
        return self._column, self._descending

    # Changes

    def replace(self, listings: Iterable[Listing]) -> None:
        """Make these all the listings there are."""
        for _ in self.replacing(listings):
            pass

    def replacing(self, listings: Iterable[Listing]) -> Iterator[None]:
        """The same in slices. Leave the index alone until the last slice, which takes over."""
        known = {listing.id: self._first_seen[slot] for slot, listing in enumerate(self._listings) if listing}
        slots: dict[str, int] = {}
        new: list[Listing | None] = []
        source = iter(listings)
        while batch := list(islice(source, SLICE)):
            for listing in batch:
                slot = slots.setdefault(listing.id, len(new))
                if slot == len(new):
                    new.append(listing)
                else:
                    new[slot] = listing
            yield
        first_seen = [known.get(listing.id, listing.seen_at) for listing in new if listing]
        self._slot, self._listings, self._first_seen = slots, new, first_seen
        self._texts, self._searchable = [None] * len(new), False
        self._free, self._gone, self._orders = [], {}, SortOrders(new, slots)
        self._by_seller = Counter([listing.seller_id for listing in new if listing])
        self._term_cache.clear()
        self._refilter(None)

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
        """Allow the slots of listings that are gone to be used for others: no caller refers to them any more."""
        self._free += self._gone.values()
        self._gone.clear()

    def set_filter(self, text: str) -> None:
        """Show only listings that match. Raises FilterError and keeps the last good filter."""
        new = parse(text)
        if new.alternatives == self._filter.alternatives:
            self._filter = new
            return
        with_mutes = new.muting(self._muted)
        pool = self._matching if with_mutes.narrows(self._filter_and_mutes) else None
        self._filter, self._filter_and_mutes = new, with_mutes
        self._refilter(pool)

    def set_muted(self, sellers: frozenset[str]) -> None:
        """Leave out the listings of these sellers, unless the filter asks for them."""
        if sellers != self._muted:
            self._muted = sellers
            self._filter_and_mutes = self._filter.muting(sellers)
            self._refilter(None)

    def reconsider(self) -> None:
        """Filter again where the filter depends on the time (`state:new`, `state:stale`)."""
        if self._filter.timed:
            before, generation, rows = self._matching, self._generation, self._rows
            self._refilter(None)
            if self._matching == before:
                self._generation, self._rows = generation, rows

    def set_sort(self, column: str, descending: bool) -> None:
        """Order by one of SORT_COLUMNS. Raises ValueError for another."""
        if column not in KEYS:
            raise ValueError(f"no column {column!r} to sort by: use one of {', '.join(KEYS)}")
        if (column, descending) == self.sort:
            return
        if column != self._column:
            self._column = column
            if self._matching is not None:
                kept = set(self._matching)
                self._matching = [slot for slot in self._orders.order(column) if slot in kept]
        self._descending = descending
        self._changed()

    def prepare(self) -> Iterator[None]:
        """Make texts and orders in slices, before they are needed. Changes may come in between."""
        yield from self._make_searchable()
        orders = self._orders
        for column in SORT_COLUMNS:
            for _ in orders.sorting(column):
                yield
                if orders is not self._orders:
                    return

    # Internals

    def _at(self, slot: int) -> Listing:
        listing = self._listings[slot]
        assert listing is not None, f"slot {slot} is empty"
        return listing

    def _key(self) -> Callable[[int], SortKey]:
        return self._orders.key_of(self._column)

    def _shown_slots(self) -> list[int]:
        return self._orders.order(self._column) if self._matching is None else self._matching

    def _make_searchable(self) -> Iterator[None]:
        texts, listings = self._texts, self._listings
        for start in range(0, len(texts), SLICE):
            for slot in range(start, min(start + SLICE, len(texts))):
                listing = listings[slot]
                if texts[slot] is None:
                    texts[slot] = search_text(listing) if listing else ""
            yield
        if texts is self._texts:
            self._searchable = True

    def _search_texts(self) -> list[str]:
        texts: list[Any] = self._texts
        if not self._searchable:
            for slot, (text, listing) in enumerate(zip(texts, self._listings, strict=True)):
                if text is None:
                    texts[slot] = search_text(listing) if listing else ""
            self._searchable = True
        return texts

    def _refilter(self, pool: list[int] | None) -> None:
        if self._filter_and_mutes.everything:
            self._matching = None
        else:
            slots = self._orders.order(self._column) if pool is None else pool
            found = [self._meeting_all(terms, slots) for terms in self._filter_and_mutes.alternatives]
            if len(found) > 1:
                either = set[int]().union(*found)
                found = [[slot for slot in slots if slot in either]]
            self._matching = found[0]
        self._changed()

    def _meeting_all(self, terms: Sequence[Term], slots: list[int]) -> list[int]:
        # Words first: they rule out the most, and are looked for in cached text.
        for term in sorted(terms, key=lambda term: term.kind != "word"):
            slots = self._meeting(term, slots)
        return slots

    def _meeting(self, term: Term, slots: list[int]) -> list[int]:
        wanted, word = not term.negated, term.value
        if term.kind == "word" and len(slots) < len(self._slot) // 4:
            texts = self._search_texts()
            return [slot for slot in slots if (word in texts[slot]) is wanted]
        if term.kind == "sellers" and len(slots) < len(self._slot) // 4:
            return [slot for slot in slots if (self._at(slot).seller_id in term.sellers) is wanted]
        # All of them, as they lie in memory: three times as fast as following the order.
        met = self._term_cache.get(term, lambda: self._evaluate(term))
        return [slot for slot in slots if met[slot] is wanted]

    def _evaluate(self, term: Term) -> list[bool]:
        if term.kind == "word":
            return [term.value in text for text in self._search_texts()]
        if term.kind in IN_TEXT:
            return [term.in_text(text) for text in self._search_texts()]
        return evaluate(term, self._listings, self._first_seen, self._clock())

    def _insert(self, new: Listing, at: float) -> None:
        # A listing that comes back before `reclaim` takes its old slot.
        slot = self._gone.pop(new.id, -1)
        if slot < 0 and self._free:
            slot = self._free.pop()
        if slot >= 0:
            self._listings[slot], self._texts[slot], self._first_seen[slot] = new, search_text(new), at
        else:
            slot = len(self._listings)
            self._listings.append(new)
            self._texts.append(search_text(new))
            self._first_seen.append(at)
        self._slot[new.id] = slot
        self._by_seller[new.seller_id] += 1
        self._orders.changed(slot)
        self._orders.insert(slot)
        self._show(slot)

    def _remove(self, slot: int) -> None:
        old = self._at(slot)
        self._orders.remove(slot)
        self._hide(slot)
        self._by_seller[old.seller_id] -= 1
        del self._slot[old.id]
        self._orders.changed(slot)
        self._listings[slot], self._texts[slot] = None, ""
        self._gone[old.id] = slot

    def _change(self, slot: int, new: Listing) -> None:
        old = self._at(slot)
        moving = self._orders.moving(old, new)
        self._orders.remove(slot, moving)
        self._hide(slot)
        self._listings[slot] = new
        if (old.name, old.description, old.seller_id) != (new.name, new.description, new.seller_id):
            self._texts[slot] = search_text(new)
        if old.seller_id != new.seller_id:
            self._by_seller[old.seller_id] -= 1
            self._by_seller[new.seller_id] += 1
        self._orders.changed(slot)
        self._orders.insert(slot, moving)
        self._show(slot)

    def _show(self, slot: int) -> None:
        listing, seen = self._at(slot), self._first_seen[slot]
        text = self._texts[slot] or search_text(listing)
        self._term_cache.update(slot, listing, text)
        if self._matching is not None and self._filter_and_mutes.matches_text(listing, text, self._clock(), seen):
            insert_slot(self._matching, slot, self._key())

    def _hide(self, slot: int) -> None:
        if self._matching is not None:
            remove_slot(self._matching, slot, self._key())

    def _changed(self) -> None:
        self._rows = None
        self._generation += 1
