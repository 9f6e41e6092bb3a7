"""Finds the rows of a page."""

import sqlite3
from typing import NamedTuple

from betar_tui.catalogue.projecting import MINE, UNSIGNED
from betar_tui.market.filter import Filter
from betar_tui.market.marketplace import Listing, Place, Provenance

_COLUMNS = {"name": "name", "price": "price", "seller": "seller", "seen": "-seen", "state": "state"}


class Rows(NamedTuple):
    """The numbers of the rows of a page in order, their places, and how many match: at least so many, if not `exact`."""

    numbers: tuple[int, ...]
    places: tuple[Place, ...]
    matching: int
    exact: bool


def read_page(
    db: sqlite3.Connection,
    filter: Filter,
    sort: str,
    limit: int,
    after: Place | None,
    before: Place | None,
    now: float,
) -> Rows:
    """The rows that match, in the order of a column; see `Marketplace.listings`."""
    column = _COLUMNS[sort.removeprefix("-") or "name"]
    direction = "DESC" if sort.startswith("-") else "ASC"
    sql = (
        f"SELECT k, {column}, name, price, seller, seen, first_seen, state, timestamp, text, facts"
        " FROM listings JOIN listing_texts USING (k)"
        f" ORDER BY {column} {direction}, name {direction}, k {direction}"
    )
    found: list[tuple[int, Place]] = []
    for k, value, name, price, seller, seen, first_seen, state, timestamp, text, facts in db.execute(sql):
        protocols = tuple(line[6:] for line in facts.split("\n") if line.startswith("proto\x1f"))
        provenance = Provenance.UNSIGNED if state == UNSIGNED else Provenance.VERIFIED
        listing = Listing(
            "",
            name,
            price,
            None,
            seller,
            (),
            protocols,
            timestamp,
            None,
            provenance,
            state == MINE,
            "",
            0,
            "",
            seen / 1000,
        )
        if filter.matches_text(listing, text, now, first_seen / 1000):
            found.append((k, Place(value, name, k)))
    matching = len(found)
    places = [place for _, place in found]
    if after is not None:
        found = found[places.index(after) + 1 :]
    if before is not None:
        found = found[: places.index(before)]
        found = found[-limit:] if limit else found
    found = found[:limit] if limit else found
    return Rows(tuple(k for k, _ in found), tuple(place for _, place in found), matching, True)
