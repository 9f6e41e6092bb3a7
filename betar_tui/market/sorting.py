"""The orders of listings by each column, and sorted lists of slots that are kept sorted. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

from betar_tui.market.marketplace import Listing, Provenance

SORT_SLICE = 12_500
"""Number of listings sorted in one go, before all are merged."""

MAX_COMPARED = 128
"""Maximum characters of a name that are compared: it stands in every index."""

SortKey = tuple[Any, str, str]


def folded(name: str) -> str:
    """A name as it is compared: its first characters, in lower case."""
    name = name[:MAX_COMPARED]
    folded = name.casefold()
    # Most names are folded as they stand: one text in memory is enough.
    return name if folded == name else folded


_STATE_RANK = {Provenance.VERIFIED: 1, Provenance.UNSIGNED: 2, Provenance.INVALID: 3}

KEYS: dict[str, Callable[[Listing], Any]] = {
    "name": lambda listing: folded(listing.name),
    "price": lambda listing: listing.price,
    "seller": lambda listing: listing.seller_id,
    "seen": lambda listing: -listing.seen_at,
    "state": lambda listing: 0 if listing.mine else _STATE_RANK[listing.provenance],
}
"""The key of each column, which counts before the name."""

SORT_COLUMNS: tuple[str, ...] = tuple(KEYS)
"""The columns `set_sort` takes. "seen" ascending is the youngest first: ages count up."""


def sort_key(column: str, listing: Listing) -> SortKey:
    """The whole key of a listing: equal prices read alphabetically, and the id makes it unique."""
    return KEYS[column](listing), folded(listing.name), listing.id


def find_slot(order: list[int], slot: int, key: Callable[[int], SortKey]) -> tuple[int, bool]:
    """The position of a slot in a sorted list, or the one it belongs at, and whether it is there."""
    at = bisect_left(order, key(slot), key=key)
    return at, at < len(order) and order[at] == slot


def insert_slot(order: list[int], slot: int, key: Callable[[int], SortKey]) -> None:
    """Insert a slot where it belongs."""
    order.insert(find_slot(order, slot, key)[0], slot)


def remove_slot(order: list[int], slot: int, key: Callable[[int], SortKey]) -> None:
    """Remove a slot, if it is there."""
    at, there = find_slot(order, slot, key)
    if there:
        del order[at]


class SortOrders:
    """The `slots` (by id) of `listings` sorted by each column, when it is first asked for, and kept sorted from then on.

    A change of a listing is a `remove` before and an `insert` after it, which cost a bisection in each sorted column.
    """

    def __init__(self, listings: Sequence[Listing | None], slots: Mapping[str, int]) -> None:
        self._listings, self._slots = listings, slots
        self._orders: dict[str, list[int]] = {}
        self._changed: list[set[int]] = []

    def order(self, column: str) -> list[int]:
        """All slots sorted by a column. Not to be changed."""
        for _ in self.sorting(column):
            pass
        return self._orders[column]

    def key_of(self, column: str) -> Callable[[int], SortKey]:
        """The key of a slot's listing in a column."""
        return lambda slot: sort_key(column, cast(Listing, self._listings[slot]))

    def insert(self, slot: int, columns: Sequence[str] | None = None) -> None:
        """Insert a slot into all orders, or into those of `columns`."""
        for column in self._orders if columns is None else columns:
            insert_slot(self._orders[column], slot, self.key_of(column))

    def remove(self, slot: int, columns: Sequence[str] | None = None) -> None:
        """Remove a slot from all orders, or from those of `columns`."""
        for column in self._orders if columns is None else columns:
            remove_slot(self._orders[column], slot, self.key_of(column))

    def moving(self, old: Listing, new: Listing) -> list[str]:
        """The sorted columns in which the new listing belongs elsewhere than the old one."""
        return [column for column in self._orders if sort_key(column, old) != sort_key(column, new)]

    def changed(self, slot: int) -> None:
        """Note for sorts under way that a slot's listing has changed."""
        for slots in self._changed:
            slots.add(slot)

    def sorting(self, column: str) -> Iterator[None]:
        """Sort by a column in slices, if that is not done. Changes may come in between."""
        if column in self._orders:
            return
        # Sorting is stable: equal keys stay as their names are ordered. All orders share the integers of `slots`.
        slots = list(self._slots.values()) if column == "name" else self.order("name").copy()
        # Slots that change meanwhile are left out, and inserted at the end.
        changed = set[int]()
        self._changed.append(changed)
        try:
            yield from self._sort(column, slots, changed)
        finally:
            self._changed = [slots for slots in self._changed if slots is not changed]

    def _sort(self, column: str, slots: list[int], changed: set[int]) -> Iterator[None]:
        listings, key = self._listings, KEYS[column]
        keys: list[Any] = [None] * len(listings)
        runs: list[list[int]] = []
        for start in range(0, len(slots), SORT_SLICE):
            part = [slot for slot in slots[start : start + SORT_SLICE] if slot not in changed]
            for slot in part:
                keys[slot] = key(cast(Listing, listings[slot]))
            part.sort(key=keys.__getitem__)
            runs.append(part)
            yield
            if column in self._orders:
                return
        while len(runs) > 1:
            merged = []
            for pair in zip(runs[::2], [*runs[1::2], []], strict=False):
                # Python's sort finds the two runs and merges them.
                merged.append(sorted(pair[0] + pair[1], key=keys.__getitem__))
                yield
            runs = merged
        if column in self._orders:
            return
        result = [slot for slot in runs[0] if slot not in changed] if runs else []
        if column == "name":
            _order_ties(result, keys, listings)
        for slot in changed:
            if listings[slot] is not None:
                insert_slot(result, slot, self.key_of(column))
        self._orders[column] = result
        yield


def _order_ties(slots: list[int], keys: Sequence[str], listings: Sequence[Listing | None]) -> None:
    """Among sorted slots, order those of equal keys by id."""
    sorted_keys = [keys[slot] for slot in slots]
    ties = [at for at, (one, next_one) in enumerate(pairwise(sorted_keys)) if one == next_one]
    done = 0
    for at in ties:
        if at < done:
            continue
        done = at + 1
        while done < len(slots) and sorted_keys[done] == sorted_keys[at]:
            done += 1
        slots[at:done] = sorted(slots[at:done], key=lambda slot: cast(Listing, listings[slot]).id)
