"""The listings that the person has delisted in this run, and what publishes one again. Pure."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from betar_tui.market.fields import METADATA_NAMES
from betar_tui.market.marketplace import Listing, ListingDraft

MAX_DELISTED = 50
"""Maximum delisted listings that are kept."""
UNDO_SECONDS = 60.0
"""Seconds after a delist in which its undoing is offered everywhere; the screen of the own listings offers it longer."""


@dataclass(frozen=True, slots=True)
class Delisted:
    """A listing as it was, with its metadata in full, and when it was delisted, in Unix seconds."""

    listing: Listing
    metadata: Mapping[str, object]
    at: float

    @property
    def draft(self) -> ListingDraft:
        """The listing once more, under the same id."""
        listing = self.listing
        return ListingDraft(
            listing.name,
            listing.price,
            listing.description,
            {key: value for key, value in self.metadata.items() if key not in METADATA_NAMES},
            listing.addrs,
            listing.protocols,
            listing.token_id,
        )


class DelistedListings:
    """The delisted listings, the newest last."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Delisted] = OrderedDict()

    def __iter__(self) -> Iterator[Delisted]:
        return iter(tuple(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, listing: Listing, document: Mapping[str, object] | None, at: float) -> None:
        """A listing was delisted; `document` is its metadata file, where it has one."""
        metadata = listing.metadata if isinstance(listing.metadata, Mapping) else document or {}
        self._by_id.pop(listing.id, None)
        self._by_id[listing.id] = Delisted(listing, metadata, at)
        while len(self._by_id) > MAX_DELISTED:
            self._by_id.popitem(last=False)

    def forget(self, listing_id: str) -> None:
        """It is listed again."""
        self._by_id.pop(listing_id, None)

    def get(self, listing_id: str) -> Delisted | None:
        """One of them, None for any other listing."""
        return self._by_id.get(listing_id)

    def newest(self, now: float) -> Delisted | None:
        """The last one, if that is not long ago."""
        last = next(reversed(self._by_id.values()), None)
        return last if last is not None and now - last.at < UNDO_SECONDS else None
