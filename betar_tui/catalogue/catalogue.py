"""`Catalogue`: the market as one replica has it, for the peer that shows it."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from betar_tui.catalogue import schema
from betar_tui.catalogue.backlog import Backlog
from betar_tui.catalogue.conditions import add_functions
from betar_tui.catalogue.files import MissingFiles, stored_file
from betar_tui.catalogue.projecting import metadata_cid, read_document
from betar_tui.catalogue.projection import Followed, Projection
from betar_tui.catalogue.query import count, read_page
from betar_tui.catalogue.reader import find, read_listings
from betar_tui.errors import FilterError
from betar_tui.market.filter import parse
from betar_tui.market.marketplace import Change, Listing, ListingPage, Place
from betar_tui.replica import Applied
from betar_tui.store.database import Store

MAX_COUNTED = 5_000
"""Number of matches up to which a page says how many there are: counting more would take longer than the page."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of shown listings, of those with a wrong signature, and of values that are not listings."""

    listings: int
    invalid: int
    unreadable: int


class Catalogue:
    """All listings of a store. Listings of `own_peer_id` are mine; values for which `is_own_value` is true count as verified
    without a check. Any thread may call. Makes its tables if they are not there. Raises StoreError.

    `backlog` works off what merges leave. Listings applied before `opened`, in Unix seconds, are not reported as new."""

    def __init__(
        self,
        store: Store,
        own_peer_id: str,
        is_own_value: Callable[[bytes], bool] = lambda value: False,
        *,
        opened: float = 0.0,
    ) -> None:
        self._store = store
        self._own_peer_id = own_peer_id
        with store.transaction() as db:
            if not schema.is_current(db, own_peer_id):
                schema.make_afresh(db, own_peer_id)
        store.readers.prepare = add_functions
        self._projection = Projection(own_peer_id, is_own_value, self._left)
        self.backlog = Backlog(store, own_peer_id, is_own_value, self._projection.removal_of, opened)
        self.files = MissingFiles(store, self._queued)
        store.projection = self._projection

    # What is shown

    def get(self, listing_id: str) -> Listing | None:
        """A listing, hidden or not. Raises StoreError."""
        with self._store.readers.reading() as reader:
            return find(reader, listing_id, self._own_peer_id)

    def document(self, listing: Listing) -> Mapping[str, object] | None:
        """The metadata file of a listing, where its metadata is a CID and the file is here. Raises StoreError."""
        cid = metadata_cid(listing)
        if cid is None:
            return None
        with self._store.readers.reading() as reader:
            return read_document(cid, lambda name: stored_file(reader.db, name))

    def counts(self) -> Counts:
        """The numbers of listings. Raises StoreError."""
        with self._store.readers.reading() as (db, _):
            found = dict(db.execute("SELECT name, n FROM catalogue_counts").fetchall())
        return Counts(found["listings"], found["invalid"], found["unreadable"])

    def page(
        self,
        query: str,
        sort: str,
        limit: int,
        clock_now: float,
        after: Place | None = None,
        before: Place | None = None,
    ) -> ListingPage:
        """The shown listings that match, in order; see `Marketplace.listings`. Raises FilterError, StoreError."""
        parsed, limit = parse(query), min(max(limit, 0), sys.maxsize)
        if parsed.asks_for_muted:
            raise FilterError("who is muted is a setting of the interface: state:muted works only there")
        counts = self.counts()
        with self._store.readers.reading() as reader:
            rows = read_page(reader.db, parsed, sort, limit, after, before, clock_now)
            found = read_listings(reader, rows.numbers, self._own_peer_id)
            matching, exact = len(rows.places), rows.complete
            if after is not None or before is not None or matching == limit:
                matching, exact = count(reader.db, parsed, clock_now, MAX_COUNTED)
        return ListingPage(
            tuple(found[k] for k in rows.numbers if k in found),
            counts.listings,
            counts.invalid,
            counts.unreadable,
            matching,
            exact,
            rows.places[0] if rows.places else None,
            rows.places[-1] if rows.places else None,
        )

    # What merges do

    def changes_of(self, applied: Applied) -> list[Change]:
        """What people are told of a merge. What it left to the backlog is told when that is done."""
        return self._projection.changes_of(applied)

    def _left(self, followed: Followed) -> None:
        self.backlog.progress.add(followed.queued, followed.texts)

    def _queued(self, rows: int) -> None:
        self.backlog.progress.add(rows, 0)
