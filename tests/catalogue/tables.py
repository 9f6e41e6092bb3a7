"""The catalogue's tables, and rows made directly of listings."""

import sqlite3
from collections.abc import Iterable

from betar_tui.catalogue import schema
from betar_tui.catalogue.conditions import add_functions
from betar_tui.catalogue.search_index import put_in
from betar_tui.market.facts import facts_text
from betar_tui.market.filter import search_text
from betar_tui.market.marketplace import Listing, Provenance
from betar_tui.market.sorting import folded

Row = tuple[int, Listing, int]
"""A row's number, its listing, and when that first appeared, in Unix ms."""


def connect(path: str) -> sqlite3.Connection:
    """A connection with the functions that queries need."""
    db = sqlite3.connect(path, isolation_level=None)
    add_functions(db)
    return db


def create(path: str = ":memory:") -> sqlite3.Connection:
    """A database with the tables, empty."""
    db = connect(path)
    schema.create(db)
    return db


def state_of(listing: Listing) -> int:
    """A listing's state, in the order of states."""
    return 0 if listing.mine else 1 if listing.provenance is Provenance.VERIFIED else 2


def add(db: sqlite3.Connection, rows: Iterable[Row], stale: dict[int, tuple[str, str] | None] | None = None) -> None:
    """Add rows. Of the numbers in `stale` the index has these texts, or none, instead of those of the listing; and they
    stand in `unindexed`."""
    added = 0
    for k, listing, first_seen in rows:
        texts = search_text(listing), facts_text(listing)
        columns = (
            k,
            listing.id,
            folded(listing.name),
            listing.price,
            listing.seller_id,
            round(listing.seen_at * 1000),
            first_seen,
            state_of(listing),
            listing.timestamp,
            0,
            listing.metadata if isinstance(listing.metadata, str) else None,
            0,
        )
        db.execute(f"INSERT INTO listings VALUES ({','.join('?' * 12)})", columns)
        db.execute("INSERT INTO listing_texts VALUES (?, ?, ?)", (k, *texts))
        indexed = stale[k] if stale and k in stale else texts
        if indexed:
            put_in(db, [(k, *indexed)])
        added += 1
    for k, old in (stale or {}).items():
        # Numbers without a listing are of one that is gone, and still in the index.
        if old and not db.execute("SELECT 1 FROM listings WHERE k = ?", (k,)).fetchone():
            put_in(db, [(k, *old)])
        db.execute("INSERT INTO unindexed VALUES (?, ?, ?)", (k, *(old or (None, None))))
    db.execute("UPDATE catalogue_counts SET n = n + ? WHERE name = 'listings'", (added,))
