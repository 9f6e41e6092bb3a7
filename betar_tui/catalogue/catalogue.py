"""`Catalogue`: the market as one replica has it, for the peer that shows it."""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from betar_tui.catalogue import schema
from betar_tui.catalogue.backlog import Backlog
from betar_tui.catalogue.conditions import add_functions
from betar_tui.catalogue.counting import count, count_of_each, sellers_from
from betar_tui.catalogue.files import MissingFiles, stored_file
from betar_tui.catalogue.following import Followed
from betar_tui.catalogue.interrupting import Interruptible, always
from betar_tui.catalogue.projecting import metadata_cid, read_document
from betar_tui.catalogue.projection import Projection
from betar_tui.catalogue.quotas import hold_to, largest
from betar_tui.catalogue.reader import find, find_all, numbers_of, read_listings
from betar_tui.catalogue.saying import read_said, read_waiting
from betar_tui.catalogue.windows import Asked, read_window
from betar_tui.limits import Limits
from betar_tui.market.filter import parse
from betar_tui.market.marketplace import Change, Listing, ListingPage, Place
from betar_tui.market.republish import Said
from betar_tui.replica import Applied
from betar_tui.store.database import Store
from betar_tui.store.readers import Reader
from betar_tui.values import Quota, Quotas

MAX_FOUND = 200
"""Maximum ids that are looked for at once."""
DEFAULT_LIMITS = Limits()
MAX_WEIGHED = 20_000
"""Maximum listings among which the seller with most is looked for whenever the status is asked."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of shown listings, of those with a wrong signature, of values that are not listings, and of listings that are
    withheld because their seller, or the peer that brought them unsigned, has too many."""

    listings: int
    invalid: int
    unreadable: int
    withheld: int = 0
    withheld_unsigned: int = 0


class Catalogue:
    """All listings of a store. Listings of `own_peer_id` are mine; values for which `is_own_value` is true count as verified
    without a check. Any thread may call. Makes its tables if they are not there. Raises StoreError.

    `backlog` works off what merges leave; `limits` say how many listings of one seller are shown. Listings applied before
    `opened`, in Unix seconds, are not reported as new."""

    def __init__(
        self,
        store: Store,
        own_peer_id: str,
        is_own_value: Callable[[bytes], bool] = lambda value: False,
        *,
        opened: float = 0.0,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._store = store
        self._own_peer_id = own_peer_id
        self._is_own_value = is_own_value
        self._limits = limits
        with store.transaction() as db:
            if not schema.is_current(db, own_peer_id) and not schema.upgrade(db, own_peer_id):
                schema.make_afresh(db, own_peer_id)
            hold_to(db, limits)
        store.readers.prepare = add_functions
        self._projection = Projection(own_peer_id, is_own_value, self._left, limits)
        self.backlog = Backlog(store, own_peer_id, is_own_value, self._projection.removal_of, opened, limits)
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

    def said(self, keys: Collection[str]) -> Mapping[str, Said]:
        """What the sellers of these keys have said last, where they have signed anything. Raises StoreError.

        Takes long where many versions of one wait to be looked at."""
        with self._store.readers.reading() as reader:
            return read_said(reader, keys, self._own_peer_id, self._is_own_value)

    def waiting(self, keys: Collection[str]) -> Collection[str]:
        """Those of these keys of which something has come that was not looked at yet. Raises StoreError."""
        with self._store.readers.reading() as reader:
            return read_waiting(reader, keys)

    def counts(self) -> Counts:
        """The numbers of listings. Raises StoreError."""
        with self._store.readers.reading() as reader:
            return _counts(reader)

    def quotas(self, counts: Counts, disk: Quota) -> Quotas:
        """The limits with what is used of them. Raises StoreError."""
        seller, source = self._limits.listings_per_seller, self._limits.unsigned_per_peer
        most: tuple[int | None, int | None] = None, None
        if counts.listings <= MAX_WEIGHED:
            with self._store.readers.reading() as (db, _):
                most = largest(db)
        return Quotas(Quota(seller, most[0], counts.withheld), Quota(source, most[1], counts.withheld_unsigned), disk)

    def page(
        self,
        query: str,
        sort: str,
        limit: int,
        clock_now: float,
        after: Place | None = None,
        before: Place | None = None,
        around: str = "",
        skip: int = 0,
        muted: Collection[str] = (),
        *,
        go_on: Callable[[], bool] = always,
    ) -> ListingPage:
        """The shown listings that match, in order; see `Marketplace.listings`. Ends soon after `go_on` returns False.
        Raises FilterError, StoreError."""
        parsed, left_out = parse(query), frozenset(muted)
        with self._store.readers.reading() as reader, Interruptible(reader.db, go_on) as reading:
            number = numbers_of(reader, [around]).get(around) if around else None
            asked = Asked(parsed, sort, _bounded(limit), after, before, number, _bounded(skip), left_out)
            window = read_window(reading, asked, clock_now)
            numbers = [place.number for place in window.places]
            found = read_listings(reader, numbers, self._own_peer_id)
            counts = _counts(reader)
        return ListingPage(
            tuple(found[k] for k in numbers if k in found),
            counts.listings,
            counts.invalid,
            counts.unreadable,
            window.matching,
            window.exact,
            window.places[0] if window.places else None,
            window.places[-1] if window.places else None,
            window.muted,
            window.start,
            counts.withheld + counts.withheld_unsigned,
        )

    def count(
        self, query: str, clock_now: float, muted: Collection[str] = (), *, go_on: Callable[[], bool] = always
    ) -> int:
        """How many shown listings match, exactly but for texts that are not in the search index yet, where they are very
        many. Ends soon after `go_on` returns False. Raises FilterError, StoreError."""
        wanted = parse(query).muting(frozenset(muted))
        with self._store.readers.reading() as reader, Interruptible(reader.db, go_on):
            return count(reader.db, wanted, clock_now)[0]

    def find(self, ids: Sequence[str]) -> tuple[Listing, ...]:
        """The shown listings of the first `MAX_FOUND` ids, in their order. Raises StoreError."""
        with self._store.readers.reading() as reader:
            return find_all(reader, list(dict.fromkeys(ids[:MAX_FOUND])), self._own_peer_id)

    def counts_of_sellers(self, sellers: Collection[str], most: int) -> Mapping[str, int]:
        """The number of shown listings of each seller, each counted up to `most`. Raises StoreError."""
        with self._store.readers.reading() as (db, _):
            return count_of_each(db, sellers, most)

    def sellers(self, text: str) -> Collection[str]:
        """Some of the sellers of shown listings whose id begins as `text` does, up to where it is abbreviated: enough to
        tell whether there is more than one. Raises StoreError."""
        with self._store.readers.reading() as (db, _):
            return sellers_from(db, text.partition("…")[0])

    # What merges do

    def changes_of(self, applied: Applied) -> list[Change]:
        """What people are told of a merge. What it left to the backlog is told when that is done."""
        return self._projection.changes_of(applied)

    def _left(self, followed: Followed) -> None:
        self.backlog.progress.add(followed.queued, followed.texts)

    def _queued(self, rows: int) -> None:
        self.backlog.progress.add(rows, 0)


def _counts(reader: Reader) -> Counts:
    found = dict(reader.db.execute("SELECT name, n FROM catalogue_counts").fetchall())
    return Counts(**found)


def _bounded(number: int) -> int:
    """A number of rows as SQLite takes it."""
    return min(max(number, 0), sys.maxsize)
