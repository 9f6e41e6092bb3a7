"""Compares the catalogue with a projection made afresh. Reads everything, in slices, and keeps none of it."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from betar_tui.catalogue import schema, search_index
from betar_tui.catalogue.backlog import ROW_BYTES, VERSIONS
from betar_tui.catalogue.elements import Portion, Unseen, portions
from betar_tui.catalogue.files import stored_file
from betar_tui.catalogue.origins import origins
from betar_tui.catalogue.projecting import INVALID, Projected, brought_by, project, reader_of
from betar_tui.catalogue.quotas import count_misplaced, read_withheld, share_of
from betar_tui.catalogue.versions import Basis, judged, read_bases, versions_of
from betar_tui.errors import StoreError
from betar_tui.market.sorting import folded
from betar_tui.market.withdrawal import newest_withdrawal
from betar_tui.replica import keys
from betar_tui.store.database import Store
from betar_tui.store.readers import Reader
from betar_tui.store.sql import in_list

_SLICE = 200
"""Maximum keys that are looked at in one go."""
_INDEXED = (
    "SELECT k FROM listing_texts WHERE NOT EXISTS (SELECT 1 FROM unindexed WHERE unindexed.k = listing_texts.k)"
    " UNION SELECT k FROM unindexed WHERE text IS NOT NULL"
)
"""The rows that the search indexes must have."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison: the number of listings, how many keys wait for their rows, how many rows are not as they
    should be, and what is wrong besides, "" for nothing."""

    listings: int
    waiting: int
    wrong: int
    trouble: str = ""

    @property
    def right(self) -> bool:
        """Whether the catalogue is what the replica makes it, but for keys that wait."""
        return not self.wrong and not self.trouble


def compare(store: Store, own_peer_id: str) -> Comparison | None:
    """Compare the catalogue with the values of the replica; None where it was not made yet. Raises StoreError."""
    with store.readers.reading() as reader:
        db = reader.db
        if not schema.is_current(db, own_peer_id):
            return None
        wrong = sum(_wrong(reader, numbers, own_peer_id) for numbers in _slices(db))
        (stray,) = db.execute(
            "SELECT count(*) FROM (SELECT k FROM listings UNION SELECT k FROM withheld UNION SELECT k FROM signed"
            " UNION SELECT k FROM withdrawals) AS row"
            " WHERE NOT EXISTS (SELECT 1 FROM elements WHERE elements.k = row.k)"
            " AND NOT EXISTS (SELECT 1 FROM unprojected WHERE unprojected.k = row.k)"
        ).fetchone()
        (listings,) = db.execute("SELECT count(*) FROM listings").fetchone()
        (waiting,) = db.execute("SELECT count(*) FROM unprojected").fetchone()
        trouble = _counts(db) or _index(db)
        wrong += stray + count_misplaced(db)
    return Comparison(listings, waiting, wrong, trouble or _integrity(store))


def make_afresh(store: Store, own_peer_id: str) -> None:
    """Empty the catalogue and queue every value: the next start makes it again. Raises StoreError."""
    with store.transaction(durable=True) as db:
        schema.make_afresh(db, own_peer_id)


def _slices(db: sqlite3.Connection) -> Iterator[list[int]]:
    """The numbers of all keys that ever had a value and whose row is made."""
    sql = (
        "SELECT k FROM keys WHERE k > ? AND key >= ? AND key < ?"
        " AND NOT EXISTS (SELECT 1 FROM unprojected WHERE unprojected.k = keys.k) ORDER BY k LIMIT ?"
    )
    for prefix in (keys.AGENTS, keys.WITHDRAWN):
        last = 0
        while numbers := [k for (k,) in db.execute(sql, (last, *keys.span(prefix), _SLICE))]:
            yield numbers
            last = numbers[-1]


def _wrong(reader: Reader, numbers: list[int], own_peer_id: str) -> int:
    """The number of keys of which something is not what their versions make it."""
    kept, made, withdrawals = read_bases(reader.db, numbers), dict[int, Basis](), dict[int, int | None]()
    for basis in kept.values():
        if keys.withdrawn_id(basis.key) is not None:
            withdrawals[basis.k] = _withdrawn_at(reader, basis)
        elif keys.agent_id(basis.key) is not None:
            made[basis.k] = _judged_afresh(reader, basis, own_peer_id)
    stored = dict(in_list(reader.db, "SELECT k, timestamp FROM withdrawals WHERE k IN", numbers))
    wrong = sum(1 for k, basis in kept.items() if stored.get(k) != withdrawals.get(k) or basis != made.get(k, basis))
    return wrong + _wrong_rows(reader, kept, own_peer_id)


def _portions(reader: Reader, basis: Basis) -> Iterator[Portion]:
    """All versions of a key."""
    since, complete = 0, False
    while not complete:
        unseen = [Unseen(basis.k, basis.key, since)]
        portion = portions(reader.db, reader.history, unseen, VERSIONS, ROW_BYTES)[basis.k]
        yield portion
        since, complete = portion.since, portion.complete


def _withdrawn_at(reader: Reader, basis: Basis) -> int | None:
    found = [
        newest_withdrawal(basis.key, [each.value for each in portion.versions.values()])
        for portion in _portions(reader, basis)
    ]
    return max((at for at in found if at is not None), default=None)


def _judged_afresh(reader: Reader, kept: Basis, own_peer_id: str) -> Basis:
    basis = kept._replace(signed=None, word=None)
    for portion in _portions(reader, basis):
        read = reader_of(basis.key, own_peer_id, portion.applied.__getitem__, lambda value: False)
        basis, _ = judged(reader.db, reader.history, basis, portion.versions, read)
    return basis


def _wrong_rows(reader: Reader, kept: Mapping[int, Basis], own_peer_id: str) -> int:
    """The number of keys whose row is not that of the version that is to be shown."""
    db, numbers = reader.db, list(kept)
    columns = "name, price, seller, seen, state, timestamp, content, metadata, text, facts, id, share"
    rows = {
        k: tuple(row)
        for k, *row in in_list(
            db, f"SELECT k, {columns} FROM listings JOIN listing_texts USING (k) WHERE k IN", numbers
        )
    }
    reasons = dict(in_list(db, "SELECT k, reason FROM unlisted WHERE k IN", numbers))
    withheld = read_withheld(db, numbers)
    listed = [basis for basis in kept.values() if keys.agent_id(basis.key) is not None]
    versions = {each.k: each for each in versions_of(db, reader.history, listed)}
    found = origins(db, reader.history, {each.n for each in versions.values() if not each.signed})
    wrong = 0
    for k in numbers:
        version = versions.get(k)
        if version is None:
            wrong += k in rows or k in reasons or k in withheld
            continue
        made = project(version.key, version.winner, version.at / 1000, own_peer_id, lambda cid: stored_file(db, cid))
        made = brought_by(made, found[version.n].via if version.n in found else "")
        if isinstance(made, Projected) and k in withheld:
            wrong += withheld[k].share != share_of(made) or k in rows or k in reasons
        elif isinstance(made, Projected):
            wrong += rows.get(k) != _row(made, version.at) or k in reasons
        else:
            wrong += k in rows or k in withheld or (reasons.get(k, made) == INVALID) != (made == INVALID)
            wrong += k not in reasons
    return wrong


def _row(made: Projected, seen: int) -> tuple[object, ...]:
    listing = made.listing
    return (
        folded(listing.name),
        float(listing.price),
        listing.seller_id,
        seen,
        made.state,
        listing.timestamp,
        made.content,
        made.metadata,
        made.text,
        made.facts,
        listing.id,
        share_of(made),
    )


def _counts(db: sqlite3.Connection) -> str:
    kept = dict(db.execute("SELECT name, n FROM catalogue_counts").fetchall())
    counted = {
        "listings": "SELECT count(*) FROM listings",
        "invalid": "SELECT count(*) FROM unlisted WHERE reason = ''",
        "unreadable": "SELECT count(*) FROM unlisted WHERE reason <> ''",
        "withheld": "SELECT count(*) FROM withheld WHERE share & 1 = 0",
        "withheld_unsigned": "SELECT count(*) FROM withheld WHERE share & 1 = 1",
    }
    for name, sql in counted.items():
        (n,) = db.execute(sql).fetchone()
        if n != kept.get(name):
            return f"it counts {kept.get(name)} {name}, and has {n}"
    return ""


def _index(db: sqlite3.Connection) -> str:
    pairs = [pair for held in search_index.HELD for pair in ((held, _INDEXED), (_INDEXED, held))]
    for sql in (f"SELECT * FROM ({these}) EXCEPT SELECT * FROM ({those})" for these, those in pairs):
        if db.execute(f"SELECT 1 FROM ({sql}) LIMIT 1").fetchone() is not None:
            return "the search index has other listings than the catalogue"
    return ""


def _integrity(store: Store) -> str:
    try:
        with store.transaction() as db:
            search_index.check(db)
    except StoreError as error:
        return f"the search index is damaged: {error}"
    return ""
