"""The listings that a seller means to have published, remembered across restarts.

The record of a listing is its document and when it was last written, or no document for a removal that is not finished.
That of a withdrawal stands under the withdrawal's key and has its timestamp alone."""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Protocol

import trio

from betar_tui.market.fields import STAMPS, STORED
from betar_tui.market.marketplace import Listing
from betar_tui.market.republish import OwnListing
from betar_tui.replica import keys as names


class OwnStore(Protocol):
    """Storage of the records; every write is durable."""

    def own(self) -> Mapping[str, str]:
        """All records, by key."""

    def put_own(self, documents: Mapping[str, str]) -> None:
        """Keep records."""

    def drop_own(self, keys: Collection[str]) -> None:
        """Forget records."""

    def put_files(self, files: Mapping[bytes, bytes]) -> None:
        """Keep blocks of metadata files, by CID."""


class OwnListings:
    """The records of one seller: `listings` are kept published, by key; `removals` are the keys still to be removed;
    `withdrawals` are those in the map, by their keys, with their timestamps in Unix seconds. `names` counts the listings
    of each name, which may be another than the one in the id."""

    def __init__(self, store: OwnStore) -> None:
        self._store = store
        self.listings: dict[str, OwnListing] = {}
        self.names: Counter[object] = Counter()
        self.removals: set[str] = set()
        self.withdrawals: dict[str, int] = {}
        for key, text in store.own().items():
            record = json.loads(text)
            if names.withdrawn_id(key) is not None:
                self.withdrawals[key] = record["at"]
            elif record["document"] is None:
                self.removals.add(key)
            else:
                self._add(key, OwnListing(record["document"], record["at"]))

    async def keep(self, listings: Mapping[str, OwnListing]) -> None:
        """Record these listings."""
        await trio.to_thread.run_sync(self._store.put_own, records(listings))
        self.kept(listings)

    async def keep_files(self, files: Mapping[bytes, bytes]) -> None:
        """Store metadata files before a listing points at them."""
        if files:
            await trio.to_thread.run_sync(self._store.put_files, files)

    def kept(self, listings: Mapping[str, OwnListing]) -> None:
        """Follow records that were written in the transaction of their deltas."""
        for key, each in listings.items():
            self._drop(key)
            self._add(key, each)
        self.removals.difference_update(listings)

    def removing(self, key: str, withdrawal: str, at: int) -> None:
        """Follow a removal that was written in the transaction of its delta, with the key of its withdrawal and the
        timestamp of that."""
        self._drop(key)
        self.removals.add(key)
        self.withdrawals[withdrawal] = at

    async def forget(self, keys: Collection[str]) -> None:
        """Drop the records of these keys."""
        await trio.to_thread.run_sync(self._store.drop_own, list(keys))
        for key in keys:
            self._drop(key)
            self.withdrawals.pop(key, None)
        self.removals.difference_update(keys)

    def _add(self, key: str, listing: OwnListing) -> None:
        self.listings[key] = listing
        self.names[listing.document.get("name")] += 1

    def _drop(self, key: str) -> None:
        if (listing := self.listings.pop(key, None)) is not None:
            self.names[listing.document.get("name")] -= 1


def adopted_listing(listing: Listing, metadata: Mapping[str, object] | None) -> OwnListing:
    """The record of an own listing that this data directory did not write, but another device with the same key.

    `metadata` is its metadata file where the listing only has the CID."""
    document = dict(listing.extra)
    for field in STORED:
        value = getattr(listing, field.name)
        if value is not None and field.name not in STAMPS:
            document[field.name] = list(value) if isinstance(value, tuple) else value
    if not isinstance(listing.metadata, Mapping):
        document["metadata"] = dict(metadata or {})
    return OwnListing(document, listing.timestamp)


def records(listings: Mapping[str, OwnListing | None]) -> dict[str, str]:
    """The records of these listings by key; None is for a removal that is not finished."""
    return {
        key: json.dumps({"document": each.document if each else None, "at": each.at if each else 0})
        for key, each in listings.items()
    }


def withdrawal_record(key: str, at: int) -> dict[str, str]:
    """The record of a withdrawal by its key. `at` is its timestamp."""
    return {key: json.dumps({"document": None, "at": at})}
