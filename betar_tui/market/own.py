"""What a seller means to have published, remembered across restarts: one record a listing.

A record is the document and when it was last written; a record without a document is a removal that is not finished.
"""

import json
from collections.abc import Collection, Mapping
from typing import Protocol

import trio

from betar_tui.market.fields import STAMPS, STORED
from betar_tui.market.marketplace import Listing
from betar_tui.market.republish import Intent


class OwnStore(Protocol):
    """Where the records are kept; every write is durable."""

    def own(self) -> Mapping[str, str]:
        """All records, by key."""

    def put_own(self, documents: Mapping[str, str]) -> None:
        """Keep records."""

    def drop_own(self, keys: Collection[str]) -> None:
        """Forget records."""

    def put_files(self, files: Mapping[bytes, bytes]) -> None:
        """Keep blocks of metadata files, by CID."""


class OwnListings:
    """The records of one seller. `intents` are the listings to keep up, `removals` the keys still to be removed."""

    def __init__(self, store: OwnStore) -> None:
        self._store = store
        self.intents: dict[str, Intent] = {}
        self.removals: set[str] = set()
        for key, text in store.own().items():
            record = json.loads(text)
            if record["document"] is None:
                self.removals.add(key)
            else:
                self.intents[key] = Intent(record["document"], record["at"])

    async def keep(self, intents: Mapping[str, Intent]) -> None:
        """Remember these, durably."""
        await trio.to_thread.run_sync(self._store.put_own, records(intents))
        self.kept(intents)

    async def keep_files(self, files: Mapping[bytes, bytes]) -> None:
        """Remember metadata files, durably, before a listing points at them."""
        if files:
            await trio.to_thread.run_sync(self._store.put_files, files)

    def kept(self, intents: Mapping[str, Intent]) -> None:
        """The records of these were written along with their deltas."""
        self.intents.update(intents)
        self.removals.difference_update(intents)

    def removing(self, key: str) -> None:
        """The removal of this listing was begun and recorded: it is not kept up any more."""
        self.intents.pop(key, None)
        self.removals.add(key)

    async def forget(self, keys: Collection[str]) -> None:
        """These are done with."""
        await trio.to_thread.run_sync(self._store.drop_own, list(keys))
        for key in keys:
            self.intents.pop(key, None)
        self.removals.difference_update(keys)


def intent_of(listing: Listing, metadata: Mapping[str, object] | None) -> Intent:
    """The intent behind an own listing that this data directory did not write, but another device with our key.
    `metadata` is its metadata file where the listing only has the CID."""
    document = dict(listing.extra)
    for field in STORED:
        value = getattr(listing, field.name)
        if value is not None and field.name not in STAMPS:
            document[field.name] = list(value) if isinstance(value, tuple) else value
    if not isinstance(listing.metadata, Mapping):
        document["metadata"] = dict(metadata or {})
    return Intent(document, listing.timestamp)


def records(intents: Mapping[str, Intent | None]) -> dict[str, str]:
    """The records of these listings by key; None is one whose removal is not finished."""
    return {
        key: json.dumps({"document": each.document if each else None, "at": each.at if each else 0})
        for key, each in intents.items()
    }
