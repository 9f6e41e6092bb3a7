"""`Marketplace`: the protocol between the interface and the machinery.

The embedded peer, the client of the control socket and the fake of the tests implement it, and its users cannot tell them
apart. Arguments and results are frozen dataclasses of plain values: strings for peer ids and CIDs, seconds for times.

A call is added by writing it here, in `peer.peer.Peer`, and where it is shown; everything that passes calls on follows from
the signature, see `market.calls`. An event is added to `Event`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from betar_tui.market.kinds import ChangeKind as ChangeKind
from betar_tui.market.kinds import Connectivity as Connectivity
from betar_tui.market.kinds import Difference as Difference
from betar_tui.market.kinds import Provenance as Provenance
from betar_tui.market.kinds import RepublishReason as RepublishReason
from betar_tui.market.names import is_peer_id
from betar_tui.market.reports import DagNodeInfo as DagNodeInfo
from betar_tui.market.reports import DeltaInfo as DeltaInfo
from betar_tui.market.reports import Exported as Exported
from betar_tui.market.reports import HeadInfo as HeadInfo
from betar_tui.market.reports import Imported as Imported
from betar_tui.market.reports import SkippedBlocks as SkippedBlocks
from betar_tui.market.reports import Status as Status
from betar_tui.values import Connected as Connected
from betar_tui.values import Indexing as Indexing
from betar_tui.values import Listed as Listed
from betar_tui.values import PeerInfo as PeerInfo
from betar_tui.values import Quota as Quota
from betar_tui.values import Quotas as Quotas
from betar_tui.values import Reachability as Reachability
from betar_tui.values import Search as Search
from betar_tui.values import SyncProgress as SyncProgress

if TYPE_CHECKING:
    import trio


@dataclass(frozen=True, slots=True)
class Listing:
    """One agent on offer, as the replica has it now. `market.fields` has the table of its fields.

    `metadata` is an object in the documents' dialect and a CID string in Go betar's; `description` and `tags` are taken
    from the metadata where it is known. `timestamp` is the seller's, `seen_at` is when this peer applied the listing, both
    in Unix seconds. `extra` holds the fields that this version does not know. `difference` says how the map of the CRDT
    differs from what is shown, which is the newest version that the seller has signed. `cid` is the block that carries the
    value, `height` its priority. Text fields are as received: neutralise them (`market.text.neutralise`) before they are
    shown."""

    id: str
    name: str
    price: float
    metadata: Mapping[str, object] | str | None
    seller_id: str
    addrs: tuple[str, ...]
    protocols: tuple[str, ...]
    timestamp: int
    token_id: str | None
    provenance: Provenance
    mine: bool
    cid: str
    height: int
    description: str = ""
    tags: tuple[str, ...] = ()
    seen_at: float = 0.0
    extra: Mapping[str, object] = field(default_factory=dict)
    difference: Difference = Difference.NONE

    @property
    def seller_is_peer(self) -> bool:
        """Whether `seller_id` is a peer id, letter by letter. Anything else only looks like one, and names nobody."""
        return is_peer_id(self.seller_id)


@dataclass(frozen=True, slots=True)
class ListingDraft:
    """The fields of a new listing. Empty `addrs` or `protocols` stand for this peer's defaults."""

    name: str
    price: float
    description: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)
    addrs: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    token_id: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListingPatch:
    """The fields to change in an own listing; None leaves a field as it is. `metadata` is merged key by key, and a key with
    the value None is taken out (RFC 7396)."""

    name: str | None = None
    price: float | None = None
    description: str | None = None
    metadata: Mapping[str, object] | None = None
    addrs: tuple[str, ...] | None = None
    protocols: tuple[str, ...] | None = None
    token_id: str | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A stored publish or update. `sent_to` counts the peers the head was sent to; 0 means it goes out later."""

    id: str
    cid: str
    height: int
    sent_to: int


@dataclass(frozen=True, slots=True)
class DelistReceipt:
    """A stored removal. `tombstones` counts the versions it named."""

    id: str
    cid: str
    height: int
    tombstones: int
    sent_to: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """One past state of a listing: the raw JSON text, or None where a delta removed it, which has the CID "" and the height
    0 if it is not known. `voice` says in words who put it, or withdrew it, "" where that was not looked at."""

    cid: str
    height: int
    value: str | None
    voice: str = ""


@dataclass(frozen=True, slots=True)
class ListingDetail:
    """One listing with its stored value, its versions (newest first) and, where metadata is a CID, the metadata file.

    `story` tells in sentences who put what, and how what is shown differs from what the map has."""

    listing: Listing
    raw: str
    history: tuple[Version, ...]
    document: Mapping[str, object] | None = None
    story: tuple[str, ...] = ()


IN_PARTS = "in_parts"
"""Metadata key of the field of a result that may be too long for one message of the control socket."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a row in an order: its value in the sorted column, its folded name, and a number that makes it
    unique."""

    value: float | str
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class ListingPage:
    """The result of a query.

    `total` counts all listings before the filter. Not among them are `invalid`, which have a wrong signature, and
    `unreadable`, values that are not listings, and `withheld`, those that are beyond a quota of their seller or of the peer
    that brought them (docs/protocol.md#quotas). `matching` listings meet the filter, or more where it is not `exact`; the
    `muted` listings of muted sellers are not among them. `first` and `last` are the places of the first and the last listing
    of the page. `start` listings that match come before the first, None where counting them would take longer than the
    page."""

    listings: tuple[Listing, ...] = field(metadata={IN_PARTS: True})
    total: int
    invalid: int = 0
    unreadable: int = 0
    matching: int = 0
    exact: bool = True
    first: Place | None = None
    last: Place | None = None
    muted: int = 0
    start: int | None = None
    withheld: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One listing changed.

    `via` is the peer that it came through, "local" for this one, "" where that is not known. `at` is in Unix seconds.
    `listing` is the new state, None if delisted. `bytes` is the size of the delta, `took` the
    seconds that its merge took. `name` and `seller_id` are those of the listing, or of the last one where it was delisted;
    `old_price` is the price before, None for a new listing and where it is unknown. `changed` are the fields that an update
    changed, with the values that they had (`market.differences`), None where that is not known."""

    kind: ChangeKind
    id: str
    cid: str
    height: int
    via: str
    at: float
    listing: Listing | None = None
    bytes: int = 0
    took: float = 0.0
    name: str = ""
    seller_id: str = ""
    old_price: float | None = None
    changed: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """A value that `status()` or `peers()` returns has changed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The number of peers that have shown that they have the own delta `cid`, or a later one built on it.

    `ids` are the listings that the delta touched."""

    cid: str
    ids: tuple[str, ...]
    peers: int


@dataclass(frozen=True, slots=True)
class Repaired:
    """An own listing was put again, or adopted from another device; with `trouble`, why that could not be done."""

    listing_id: str
    name: str
    reason: RepublishReason
    at: float
    trouble: str = ""

    @property
    def healed(self) -> bool:
        """Whether the listing is back after another peer removed or replaced it."""
        return self.reason.healing and not self.trouble

    @property
    def level(self) -> str:
        """How much this matters, as in `Notice`."""
        return "warning" if self.reason.healing or self.trouble else "info"

    @property
    def text(self) -> str:
        """What happened to the listing, in words for a person."""
        if self.trouble:
            return f"{self.reason}; not put again: {self.trouble}"
        return f"{self.reason}; {'taken over' if self.reason is RepublishReason.ADOPTED else 'put again'}"


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to the person, such as a switch of the dialect. `level` is info, warning or error."""

    level: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Missed:
    """The subscriber was too slow and `count` events were left out: it should load the state again."""

    count: int


Event = Change | StatusChanged | Seen | Repaired | Notice | Missed


class Marketplace(Protocol):
    """One peer of the market, in this process or in another. All methods but `events` are trio coroutines.

    Errors that are expected are `BetarError`s, with a message for a person."""

    async def listings(
        self,
        query: str = "",
        sort: str = "",
        limit: int = 0,
        after: Place | None = None,
        before: Place | None = None,
        around: str = "",
        skip: int = 0,
        muted: Sequence[str] = (),
    ) -> ListingPage:
        """The listings that match `query` (see `market.filter`), without those of `muted` sellers unless it asks for them.

        They are ordered by the field `sort`, descending with "-" before its name; `limit` 0 returns all. With `after` or
        `before` only those after or before a place in that order are returned, the nearest to it; with `around` those
        about the listing of that id, half of them before it, or the first ones where it does not match; with `skip`, which
        goes with none of these, those after this number of rows, or about it where muted sellers have very many listings
        and counting them would take longer than the page. Raises FilterError."""

    async def count(self, query: str = "", muted: Sequence[str] = ()) -> int:
        """The exact number of listings that match, as `listings` would return them. This may take seconds in a large
        market, and can be cancelled. Raises FilterError."""

    async def find(self, ids: Sequence[str]) -> tuple[Listing, ...]:
        """The listings of these ids, in their order, without those that are not listed. Only the first 200 ids are looked
        for."""

    async def show(self, listing_id: str) -> ListingDetail:
        """One listing with its history. Raises UnknownListingError."""

    async def publish(self, drafts: Sequence[ListingDraft]) -> tuple[Receipt, ...]:
        """Store new own listings, durably, and announce them. Raises ListingError; nothing is stored then."""

    async def update(self, listing_id: str, patch: ListingPatch) -> Receipt:
        """Change an own listing. Raises UnknownListingError, NotOwnerError, ListingError."""

    async def delist(self, listing_id: str) -> DelistReceipt:
        """Remove an own listing. Raises UnknownListingError, NotOwnerError."""

    async def status(self) -> Status:
        """The peer in numbers."""

    async def peers(self) -> tuple[PeerInfo, ...]:
        """The connected peers. Raises NoRunningPeerError where no network runs."""

    async def connect(self, address: str) -> Connected:
        """Dial a multiaddr that ends in /p2p/<peer id>, and remember it if the peer answers there. Raises NetworkError."""

    async def disconnect(self, peer_id: str) -> None:
        """Close every connection to a peer and do not dial it again in this run. Raises NetworkError."""

    async def block(self, peer_id: str) -> str:
        """Have nothing to do with a peer: it is not dialled, not let in, and what it announces is dropped.

        The id may be abbreviated (`market.personal.full_id`); returns the whole one. Kept across restarts. Raises
        UnknownPeerError."""

    async def unblock(self, peer_id: str) -> str:
        """Take a peer off that list; returns its whole id. Raises UnknownPeerError if it is not blocked."""

    async def blocks(self) -> tuple[Listed, ...]:
        """The blocked peers, the latest last."""

    async def mute(self, seller_id: str) -> str:
        """Leave the listings of a seller out where they are not asked for. The id as in `block`; kept across restarts.
        Raises UnknownPeerError."""

    async def unmute(self, seller_id: str) -> str:
        """Take a seller off that list; returns its whole id. Raises UnknownPeerError if it is not muted."""

    async def mutes(self) -> tuple[Listed, ...]:
        """The muted sellers, the latest last."""

    async def go_online(self, free_port: bool = False) -> None:
        """Try at once to open a network that is offline; with `free_port`, on a free port where the chosen one is taken.

        Returns when it is open. Raises NetworkError, with the reason, if it is still not, and NoRunningPeerError."""

    async def choose_dialect(self, dialect: str) -> None:
        """Write own listings in this dialect from now on: "auto", "documents" or "betar-go".

        Those in another dialect are published again. The choice is saved in config.toml. Raises ConfigError."""

    async def hold_sync(self, held: bool) -> None:
        """Stop fetching history, or resume it. New announcements are followed all the same. Holds for this run."""

    async def heads(self) -> tuple[HeadInfo, ...]:
        """The heads, highest first."""

    async def dag(self, limit: int = 200) -> tuple[DagNodeInfo, ...]:
        """The newest deltas below the heads, the highest first: each comes before the deltas that it links to."""

    async def log(self, limit: int = 50) -> tuple[DeltaInfo, ...]:
        """Recently applied deltas, newest first."""

    async def export_car(self, path: str, heads: Sequence[str] = (), descriptor: int | None = None) -> Exported:
        """Write the DAG below `heads`, by default below all heads, to a CARv1 file of this machine, with the metadata
        files that its listings point at.

        With `descriptor`, an open file of the caller, `path` is only its name in messages. Raises ArchiveError."""

    async def import_car(self, path: str, descriptor: int | None = None) -> Imported:
        """Merge a CAR file of this machine as if a peer had sent it; `descriptor` as in `export_car`. Raises ArchiveError;
        the deltas before the fault stay merged."""

    def events(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Event]]:
        """The events from now on. The stream never blocks the peer: a slow reader gets `Missed`."""
