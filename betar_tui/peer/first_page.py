"""The first stored listings, read before all others: of a large market a screenful shows at once."""

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
"""More than a terminal has lines: some may turn out to be no listings."""

Value = tuple[str, Winner, float]
"""A key, what it holds, and when that was applied."""


@dataclass(frozen=True, slots=True)
class FirstPage:
    """A request for the first listings. `sort` is as in `Marketplace.listings`; `take` gets the page, whose `total` counts
    all values, and the rest is read after it returns."""

    sort: str
    take: Callable[[ListingPage], Awaitable[None]]


def read_first_page(store: Store, own_peer_id: str, sort: str, clock_now: float) -> ListingPage:
    """The first listings in an order, or by name where an order is not known here. Raises StoreError."""
    column = sort.removeprefix("-")
    if column not in _RANKS:
        sort = column = "name"
    stored = store.values(keys.span(keys.AGENTS))
    pick = nlargest if sort.startswith("-") else nsmallest
    book = Catalogue(own_peer_id)
    book.fill((value for _, value in pick(ROWS, _ranked(stored, column), key=itemgetter(0))), store.signature_cache())
    return ListingPage(book.page("", sort, 0, clock_now).listings, len(stored))


_RANKS: Mapping[str, Callable[[Mapping[str, object], float], object]] = {
    "name": lambda fields, at: folded(str(fields["name"])),
    "price": lambda fields, at: _number(fields["price"]),
    "seen": lambda fields, at: -at,
}
"""What each order goes by, as in `market.order`; a ValueError or KeyError where the value is no listing."""


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("the price is no number")
    return value


def _ranked(stored: Iterable[Value], column: str) -> Iterator[tuple[object, Value]]:
    rank = _RANKS[column]
    for value in stored:
        _, winner, at = value
        try:
            yield rank(parse_value(winner.value), at), value
        except (ListingError, ValueError, KeyError):
            continue  # `Catalogue` counts and explains it when it reads all
