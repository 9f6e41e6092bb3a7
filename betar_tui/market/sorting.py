"""What listings are ordered by, and sorted lists of slots that are kept in order. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from betar_tui.market.marketplace import Listing, Provenance

SortKey = tuple[Any, str, str]


def folded(name: str) -> str:
    """A name as it is compared."""
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
"""What each column is ordered by, before the name."""

SORT_COLUMNS: tuple[str, ...] = tuple(KEYS)
"""The columns `set_sort` takes. "seen" ascending is the youngest first: ages count up."""


def sort_key(column: str, listing: Listing) -> SortKey:
    """What a listing is ordered by: equal prices read alphabetically, and the id makes a row unique."""
    return KEYS[column](listing), folded(listing.name), listing.id


def order_ties(slots: list[int], keys: Sequence[str], listings: Sequence[Listing | None]) -> None:
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
        slots[at:done] = sorted(slots[at:done], key=lambda slot: listings[slot].id)  # type: ignore[union-attr]


def place(order: list[int], slot: int, key: Callable[[int], SortKey]) -> tuple[int, bool]:
    """Where a slot is, or belongs, and whether it is there."""
    at = bisect_left(order, key(slot), key=key)
    return at, at < len(order) and order[at] == slot


def put(order: list[int], slot: int, key: Callable[[int], SortKey]) -> None:
    """Add a slot where it belongs."""
    order.insert(place(order, slot, key)[0], slot)


def take(order: list[int], slot: int, key: Callable[[int], SortKey]) -> None:
    """Take a slot out, if it is there."""
    at, there = place(order, slot, key)
    if there:
        del order[at]
