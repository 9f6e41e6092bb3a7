"""`StoredMarket`: what is asked of a data directory on which no peer runs.

Reading waits for nothing, so it needs no event loop: importing trio would take as long as all the rest of a short command.
What a `Peer` answers from its store it answers by the functions of this module."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from betar_tui.catalogue.catalogue import Catalogue
from betar_tui.catalogue.sources import MAX_UNINDEXED
from betar_tui.config import Config, load_identity, prepare_data_dir
from betar_tui.errors import StoreLockedError, UnknownListingError
from betar_tui.ipld import cid as cids
from betar_tui.market import story
from betar_tui.market.marketplace import (
    DeltaInfo,
    HeadInfo,
    Listed,
    Listing,
    ListingDetail,
    ListingPage,
    Place,
)
from betar_tui.market.names import unknown_listing
from betar_tui.market.origin import LOCAL
from betar_tui.market.personal import BLOCKED, MUTED, old_mutes, read_list
from betar_tui.market.provenance import Signer
from betar_tui.replica import decode_node, keys
from betar_tui.replica.delta import Delta
from betar_tui.replica.facts import LogRow
from betar_tui.store.database import Store, open_store
from betar_tui.store.lock import DirectoryLock

LOCK_TIMEOUT = 2.0
"""Seconds that a command waits for another command to release the data directory."""
LOCK_RETRY = 0.05
"""Seconds until it tries again."""
MAX_DELTAS = 10_000
"""Maximum deltas of a log."""


class StoredMarket:
    """The reading calls of `Marketplace`, as `Peer` answers them without a network. They never wait.

    Everything that is stored is shown: what another process left to be taken into the catalogue is taken in first."""

    def __init__(
        self, store: Store, catalogue: Catalogue, interface: Mapping[str, object], tell: Callable[[str], object]
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._interface = interface
        self._tell = tell

    async def listings(
        self,
        query: str = "",
        sort: str = "",
        limit: int = 0,
        after: Place | None = None,
        *,
        muted: Sequence[str] = (),
    ) -> ListingPage:
        self._take_in()
        if query:
            self._index()
        return self._catalogue.page(query, sort, limit, time.time(), after, muted=muted)

    async def count(self, query: str = "", muted: Sequence[str] = ()) -> int:
        return self._catalogue.count(query, time.time(), muted)

    async def find(self, ids: Sequence[str]) -> tuple[Listing, ...]:
        self._take_in()
        return self._catalogue.find(ids)

    async def mutes(self) -> tuple[Listed, ...]:
        text = self._store.setting(MUTED)
        kept = read_list(text) if text is not None else dict.fromkeys(old_mutes(self._interface), 0.0)
        return tuple(Listed(seller, at) for seller, at in kept.items())

    async def blocks(self) -> tuple[Listed, ...]:
        return tuple(Listed(peer, at) for peer, at in read_list(self._store.setting(BLOCKED)).items())

    async def show(self, listing_id: str) -> ListingDetail:
        self._take_in()
        return detail(self._store, self._catalogue, listing_id)

    async def heads(self) -> tuple[HeadInfo, ...]:
        return heads(self._store.load().heads)

    async def log(self, limit: int = 50) -> tuple[DeltaInfo, ...]:
        return deltas(self._store, limit)

    def _take_in(self) -> None:
        progress = self._catalogue.backlog.progress
        count = progress.rows
        self._catalogue.backlog.work_off(
            time.time(), lambda: self._tell_done(f"{max(count - progress.rows, 0):,} of {count:,} listings read")
        )

    def _index(self) -> None:
        progress = self._catalogue.backlog.progress
        before = progress.texts
        count = before - MAX_UNINDEXED
        self._catalogue.backlog.index_all_but(
            MAX_UNINDEXED,
            lambda: self._tell_done(f"{min(before - progress.texts, count):,} of {count:,} listings indexed"),
        )

    def _tell_done(self, text: str) -> None:
        self._tell(f"{text}; Ctrl+C ends it, and what is done stays")


@contextmanager
def open_stored(config: Config, tell: Callable[[str], object] = lambda text: None) -> Iterator[StoredMarket]:
    """Open the store of a data directory, and lock the directory meanwhile. `tell` is told how far it is while a call takes
    in what was left.

    Raises ConfigError, StoreError, StoreLockedError."""
    prepare_data_dir(config.data_dir)
    lock = DirectoryLock(config.data_dir)
    _acquire(lock)
    try:
        signer = Signer(load_identity(config.key_file))
        with closing(open_store(config.database)) as store:
            own = signer.peer_id, signer.is_own_value
            catalogue = Catalogue(store, *own, opened=time.time(), limits=config.limits)
            yield StoredMarket(store, catalogue, config.interface, tell)
    finally:
        lock.release()


def _acquire(lock: DirectoryLock) -> None:
    """Take the lock; another command may be about to finish."""
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return lock.acquire()
        except StoreLockedError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(LOCK_RETRY)


def detail(store: Store, catalogue: Catalogue, listing_id: str) -> ListingDetail:
    """A listing with its history. Raises UnknownListingError, StoreError."""
    listing, key = catalogue.get(listing_id), keys.of_agent(listing_id)
    said = catalogue.said([key])
    withdrawn = said[key].withdrawn if key in said else None
    if listing is None:
        if withdrawn is not None:
            raise UnknownListingError(f"{listing_id} was withdrawn by its seller on {story.day(withdrawn)}")
        raise unknown_listing(listing_id)
    elements = store.elements(key)
    voices = story.voices(key, elements)
    shown = next((e.value for e in elements if cids.to_str(e.cid) == listing.cid), b"")
    told = story.story(listing, voices, withdrawn)
    withdrawals = keys.of_withdrawal(listing_id)
    history = story.told_history(withdrawals, elements, voices, store.elements(withdrawals))
    return ListingDetail(listing, shown.decode(errors="replace"), history, catalogue.document(listing), told)


def heads(found: Mapping[bytes, int]) -> tuple[HeadInfo, ...]:
    """Heads, given with their heights, the highest first."""
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return tuple(HeadInfo(cids.to_str(cid), height) for cid, height in ordered)


def deltas(store: Store, limit: int) -> tuple[DeltaInfo, ...]:
    """The deltas that were stored last, newest first. Raises StoreError."""
    return tuple(map(_delta_info, store.log(max(0, min(limit, MAX_DELTAS)))))


def touched(delta: Delta) -> tuple[str, ...]:
    """The listings that a delta touches."""
    changed = dict.fromkeys([span.key for span in delta.elements] + [key for key, _ in delta.tombstones])
    return tuple(listing_id for listing_id in map(keys.agent_id, changed) if listing_id is not None)


def _delta_info(row: LogRow) -> DeltaInfo:
    delta = decode_node(row.cid, row.data).delta
    return DeltaInfo(
        cids.to_str(row.cid),
        row.height,
        row.size,
        row.at,
        row.via or LOCAL,
        len(delta.elements),
        len(delta.tombstones),
        touched(delta),
    )
