"""The tables of the catalogue, with a version of their own: they hold nothing that the replica does not have.

Another version but that before this one (`upgrade`), or another peer whose own listings are "mine", costs a projection of
all values: the tables are dropped and every key that ever had a value is queued. That is also how a database comes by
them that was written before there were any. When a listing first appeared does not follow from the values, so that is
kept in the queue."""

import sqlite3
from collections.abc import Iterator

from betar_tui.catalogue import search_index
from betar_tui.replica import keys

VERSION = 5
WITH_ONE_INDEX = 4
"""The version before, which had words and facts in one search index."""
SETTING = "catalogue"
"""Name of the setting that holds the version of the tables and the peer that they were made for."""
MAX_HEIGHT = (1 << 63) - 1
"""The height of what goes before all others in the queue."""
FIRST = 1 << 62
"""Added to the heights of what goes before others."""
TOP = FIRST - 2
"""Greatest other height; greater ones count as this."""
ALL_LOOKED_AT = (1 << 63) - 1
"""Stands in the queue for the number of the first block to look at where all elements of a key were looked at."""

TABLES: tuple[str, ...] = (
    "listings",
    "listing_texts",
    search_index.WORDS,
    search_index.FACTS,
    "unindexed",
    "unprojected",
    "unlisted",
    "withheld",
    "undescribed",
    "signed",
    "withdrawals",
    "catalogue_counts",
)

VERIFIED_SELLERS = "CREATE INDEX listings_verified ON listings (seller) WHERE state < 2"

_CREATE = (
    # k is the key's number in `keys`. The order of rows is (column, name, k) everywhere: each index ends with k.
    # name is folded (market.sorting), price and seller are as written; seen and first_seen are in Unix ms, the seller's
    # timestamp is in Unix s. state is MINE, VERIFIED or UNSIGNED. content is a hash of the value without its stamps:
    # equal means a refresh, not news. metadata is the CID of its metadata file in its usual form, else NULL. share says
    # which quota the listing counts against (`quotas`), 0 for none.
    """CREATE TABLE listings (
        k          INTEGER PRIMARY KEY,
        id         TEXT NOT NULL,
        name       TEXT NOT NULL,
        price      REAL NOT NULL,
        seller     TEXT NOT NULL,
        seen       INTEGER NOT NULL,
        first_seen INTEGER NOT NULL,
        state      INTEGER NOT NULL,
        timestamp  INTEGER NOT NULL,
        content    INTEGER NOT NULL,
        metadata   TEXT,
        share      INTEGER NOT NULL
    )""",
    "CREATE INDEX listings_by_name ON listings (name)",
    "CREATE INDEX listings_by_price ON listings (price, name)",
    "CREATE INDEX listings_by_seller ON listings (seller, name)",
    "CREATE INDEX listings_by_seen ON listings (seen DESC, name)",
    "CREATE INDEX listings_by_state ON listings (state, name)",
    # For the states "new" and "stale".
    "CREATE INDEX listings_by_first_seen ON listings (first_seen)",
    "CREATE INDEX listings_by_timestamp ON listings (timestamp)",
    "CREATE INDEX listings_by_metadata ON listings (metadata) WHERE metadata IS NOT NULL",
    "CREATE INDEX listings_by_share ON listings (share) WHERE share <> 0",
    VERIFIED_SELLERS,
    # text is what words are looked for in (market.filter.search_text), facts what else is searched (market.facts).
    "CREATE TABLE listing_texts (k INTEGER PRIMARY KEY, text TEXT NOT NULL, facts TEXT NOT NULL)",
    *search_index.CREATE,
    # Rows whose texts are not in the indexes as they are now, with those that are in them, NULL for none: an index holds no
    # texts itself and has to be told them to take them out. A listing that is gone stands here until that is done.
    "CREATE TABLE unindexed (k INTEGER PRIMARY KEY, text TEXT, facts TEXT)",
    # Keys that merges touched since their row was made; height is that of the newest value, from FIRST on where it goes
    # before others (`queue`), since the number of the first block with an element that was not looked at (ALL_LOOKED_AT
    # for none), and turn is drawn anew by each merge that touches the key. first_seen is when a listing first appeared
    # whose row is made again, as in `listings`, NULL for all others.
    """CREATE TABLE unprojected (
        k          INTEGER PRIMARY KEY,
        height     INTEGER NOT NULL,
        since      INTEGER NOT NULL,
        turn       INTEGER NOT NULL,
        first_seen INTEGER
    )""",
    "CREATE INDEX unprojected_by_height ON unprojected (height)",
    # Values that are not listings, with the reason; '' is a wrong signature.
    "CREATE TABLE unlisted (k INTEGER PRIMARY KEY, reason TEXT NOT NULL)",
    # Listings beyond a quota, which are not shown: the share, and when each first appeared, as in `listings`.
    "CREATE TABLE withheld (k INTEGER PRIMARY KEY, share INTEGER NOT NULL, first_seen INTEGER NOT NULL)",
    "CREATE INDEX withheld_by_share ON withheld (share)",
    # Metadata files that listings point at and that are not here; due is when to ask for one next, Unix ms.
    "CREATE TABLE undescribed (metadata TEXT PRIMARY KEY, due INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX undescribed_by_due ON undescribed (due)",
    # The newest verified version of each key, where there is one: where its value is, as in `elements`, and its word (see
    # `market.words`). Whether the map still has it does not matter.
    """CREATE TABLE signed (
        k         INTEGER PRIMARY KEY,
        n         INTEGER NOT NULL,
        start     INTEGER NOT NULL,
        length    INTEGER NOT NULL,
        timestamp INTEGER NOT NULL,
        mark      INTEGER NOT NULL
    )""",
    # The timestamp of the newest verified withdrawal under each key "/withdrawn/…".
    "CREATE TABLE withdrawals (k INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL)",
    "CREATE TABLE catalogue_counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO catalogue_counts VALUES"
    " ('listings', 0), ('invalid', 0), ('unreadable', 0), ('withheld', 0), ('withheld_unsigned', 0)",
)


def is_current(db: sqlite3.Connection, peer_id: str) -> bool:
    """Whether the tables are there, as this version makes them for this peer."""
    row = db.execute("SELECT value FROM settings WHERE name = ?", (SETTING,)).fetchone()
    return row is not None and row[0] == _mark(peer_id)


def create(db: sqlite3.Connection) -> None:
    """Make the tables, empty."""
    for sql in _CREATE:
        db.execute(sql)


def upgrade(db: sqlite3.Connection, peer_id: str) -> bool:
    """Make tables of the version before into those of this one where that is quicker than making them afresh. In a
    transaction. Returns whether they are now what `is_current` looks for."""
    row = db.execute("SELECT value FROM settings WHERE name = ?", (SETTING,)).fetchone()
    if row is None or row[0] != f"{WITH_ONE_INDEX} {peer_id}":
        return False
    # Some of this is there where a program of the version before has used a database of this one.
    for index in search_index.INDEXES:
        db.execute(f"DROP TABLE IF EXISTS {index}")
    db.execute("DROP INDEX IF EXISTS listings_verified")
    for sql in (*search_index.CREATE, VERIFIED_SELLERS):
        db.execute(sql)
    db.execute("UPDATE unprojected SET height = ? WHERE height > ?", (TOP, TOP))
    db.execute("DELETE FROM unindexed")
    db.execute("INSERT INTO unindexed SELECT k, NULL, NULL FROM listing_texts")
    db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (SETTING, _mark(peer_id)))
    return True


def make_afresh(db: sqlite3.Connection, peer_id: str) -> None:
    """Make the tables, empty, and queue every key that ever had a value, withdrawals first. In a transaction."""
    db.execute("CREATE TEMP TABLE known (k INTEGER PRIMARY KEY, first_seen INTEGER NOT NULL)")
    db.execute(f"INSERT INTO known {' UNION ALL '.join(_known(db))}")
    for table in TABLES:
        db.execute(f"DROP TABLE IF EXISTS {table}")
    create(db)
    height = "CASE typeof(height) WHEN 'integer' THEN min(height, :top) WHEN 'blob' THEN :top ELSE 0 END"
    for prefix, order, seen in ((keys.WITHDRAWN, ":most", "NULL"), (keys.AGENTS, height, "first_seen")):
        first, end = keys.span(prefix)
        db.execute(
            f"INSERT INTO unprojected SELECT k, {order}, 0, random(), {seen}"
            " FROM keys LEFT JOIN blocks USING (n) LEFT JOIN known USING (k) WHERE key >= :first AND key < :end"
            " AND EXISTS (SELECT 1 FROM elements WHERE elements.k = keys.k)",
            {"most": MAX_HEIGHT, "top": TOP, "first": first, "end": end},
        )
    db.execute("DROP TABLE known")
    db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (SETTING, _mark(peer_id)))


def _known(db: sqlite3.Connection) -> Iterator[str]:
    """Selects the keys of listings that have appeared, with the times, from tables of any version.

    Without any, all that the replica has was shown: since when its version is known, or long since."""
    columns = "SELECT 1 FROM pragma_table_info(?) WHERE name = 'first_seen'"
    tables = "listings", "unprojected", "withheld"
    listings, queue, withheld = (db.execute(columns, (table,)).fetchone() for table in tables)
    if not listings:
        yield "SELECT k, coalesce(at, 0) FROM keys LEFT JOIN blocks USING (n) WHERE n IS NOT NULL"
        return
    yield "SELECT k, first_seen FROM listings"
    if withheld:
        yield "SELECT k, first_seen FROM withheld"
    if queue:
        yield (
            "SELECT k, first_seen FROM unprojected WHERE first_seen IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM listings WHERE listings.k = unprojected.k)"
            + (" AND NOT EXISTS (SELECT 1 FROM withheld WHERE withheld.k = unprojected.k)" if withheld else "")
        )


def _mark(peer_id: str) -> str:
    return f"{VERSION} {peer_id}"
