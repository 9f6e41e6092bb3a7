"""The listings that the person has delisted in this run, and what publishes one again. Pure."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from betar_tui.market.fields import are_texts, further_metadata
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
        listing, tags = self.listing, self.metadata.get("tags")
        return ListingDraft(
            listing.name,
            listing.price,
            listing.description,
            further_metadata(self.metadata),
            listing.addrs,
            listing.protocols,
            listing.token_id,
            tuple(tags) if are_texts(tags) else (),
        )


class DelistedListings:
    """The delisted listings, the newest last, without those that are being published again."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, Delisted] = OrderedDict()
        self._under_way: set[str] = set()

    def __iter__(self) -> Iterator[Delisted]:
        return iter([each for key, each in self._by_id.items() if key not in self._under_way])

    def add(self, listing: Listing, document: Mapping[str, object] | None, at: float) -> bool:
        """A listing was delisted; `document` is its metadata file, where it has one and it could be read.

        Returns whether it can be published again: not without its metadata."""
        self.forget(listing.id)
        if isinstance(listing.metadata, str) and document is None:
            return False
        metadata = listing.metadata if isinstance(listing.metadata, Mapping) else document or {}
        self._by_id[listing.id] = Delisted(listing, metadata, at)
        while len(self._by_id) > MAX_DELISTED:
            self.forget(next(iter(self._by_id)))
        return True

    def begin(self, listing_id: str) -> None:
        """It is being published again."""
        self._under_way.add(listing_id)

    def failed(self, listing_id: str) -> None:
        """It is delisted still."""
        self._under_way.discard(listing_id)

    def forget(self, listing_id: str) -> None:
        """It is listed again."""
        self._by_id.pop(listing_id, None)
        self._under_way.discard(listing_id)

    def get(self, listing_id: str) -> Delisted | None:
        """One of them, None for any other listing."""
        return None if listing_id in self._under_way else self._by_id.get(listing_id)

    def newest(self, now: float) -> Delisted | None:
        """The last one, if that is not long ago. One from a time to come is from before the clock was set back."""
        last = next(reversed(list(self)), None)
        return last if last is not None and 0 <= now - last.at < UNDO_SECONDS else None
