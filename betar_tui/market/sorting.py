"""The orders of listings by each column. Pure; `catalogue.orders` says the same in SQL."""

from collections.abc import Callable
from typing import Any

from betar_tui.market.marketplace import Listing, Provenance

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
"""The columns that listings can be sorted by. "seen" ascending is the youngest first: ages count up."""


def sort_key(column: str, listing: Listing) -> SortKey:
    """The whole key of a listing: equal prices read alphabetically, and the id makes it unique."""
    return KEYS[column](listing), folded(listing.name), listing.id
