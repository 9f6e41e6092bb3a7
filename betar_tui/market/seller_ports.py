"""What a seller needs of the rest of a peer."""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from betar_tui.market.marketplace import Listing
from betar_tui.market.own import OwnStore
from betar_tui.market.republish import Said
from betar_tui.replica import Written
from betar_tui.replica.facts import Winner


class SellerStore(OwnStore, Protocol):
    """The storage of a seller: its records, its dialect, and the values of the replica."""

    def setting(self, name: str) -> str | None:
        """The value of a setting, None without one."""

    def put_setting(self, name: str, value: str) -> None:
        """Store a setting, durably."""

    def winners(self, keys: Collection[str]) -> Mapping[str, Winner]:
        """The replica's values of these keys."""

    def unheard_of(self, keys: Collection[str]) -> Collection[str]:
        """Those of these keys that certainly stand in no delta that is merged, as far as is known without waiting."""


class Listings(Protocol):
    """The listings of the market. Raises StoreError."""

    def get(self, listing_id: str) -> Listing | None:
        """A listing, hidden or not."""

    def document(self, listing: Listing) -> Mapping[str, object] | None:
        """Its metadata file, where its metadata is a CID and the file is here."""

    def said(self, keys: Collection[str]) -> Mapping[str, Said]:
        """What the sellers of these keys have said last, where they have said anything that they signed."""

    def waiting(self, keys: Collection[str]) -> Collection[str]:
        """Those of these keys of which something has come that was not looked at yet: what is shown of them, and how that
        differs from the map, is not known."""


class DeltaWriter(Protocol):
    """Writes own deltas, one at a time."""

    async def write(
        self, puts: Mapping[str, bytes], deletes: Iterable[str] = (), own: Mapping[str, str] | None = None
    ) -> tuple[Written, ...]:
        """Put and delete keys durably, and store the records of `own` in the same transaction. Raises StoreError."""
