"""The first stored listings, read before all others: a large market shows a screenful at once."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from operator import itemgetter

from betar_tui.errors import ListingError
from betar_tui.market.catalogue import Catalogue
from betar_tui.market.listing import parse_value
from betar_tui.market.marketplace import ListingPage
from betar_tui.market.sorting import folded
from betar_tui.replica import keys
from betar_tui.replica.facts import Winner
from betar_tui.store.database import Store

ROWS = 200
"""Maximum listings of the page: more than a terminal has lines, since some values may turn out to be unreadable."""

Value = tuple[str, Winner, float]
"""A key, its value, and when that was applied, in Unix seconds."""


@dataclass(frozen=True, slots=True)
class FirstPage:
    """A request for the first listings.

    `sort` is as in `Marketplace.listings`. `take` gets the page, whose `total` counts all values; the other listings are
    read after it returns."""

    sort: str
    take: Callable[[ListingPage], Awaitable[None]]


def read_first_page(store: Store, own_peer_id: str, sort: str, clock_now: float) -> ListingPage:
    """The first listings in an order, by name where `sort` is not one of those below. Raises StoreError."""
    column = sort.removeprefix("-")
    if column not in _RANKS:
        sort = column = "name"
    stored = store.values(keys.span(keys.AGENTS))
    pick = nlargest if sort.startswith("-") else nsmallest
    catalogue = Catalogue(own_peer_id)
    catalogue.fill(
        (value for _, value in pick(ROWS, _ranked(stored, column), key=itemgetter(0))), store.signature_cache()
    )
    return ListingPage(catalogue.page("", sort, 0, clock_now).listings, len(stored))


_RANKS: Mapping[str, Callable[[Mapping[str, object], float], object]] = {
    "name": lambda fields, at: folded(str(fields["name"])),
    "price": lambda fields, at: _number(fields["price"]),
    "seen": lambda fields, at: -at,
}
"""The sort keys of the orders, as in `market.sorting`. Raise ValueError or KeyError where the value is not a listing."""


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("the price is not a number")
    return value


def _ranked(stored: Iterable[Value], column: str) -> Iterator[tuple[object, Value]]:
    rank = _RANKS[column]
    for value in stored:
        _, winner, at = value
        try:
            yield rank(parse_value(winner.value), at), value
        except (ListingError, ValueError, KeyError):
            continue  # `Catalogue` counts and explains it when it reads all
