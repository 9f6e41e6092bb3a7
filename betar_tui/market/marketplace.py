"""`Marketplace`: the one door between the interface and the machinery.

The embedded peer, the control socket's client and the tests' fake implement it; the rooms above cannot tell them apart.
All values that pass through are frozen dataclasses of plain values: strings for peer ids and CIDs, seconds for times.
All methods are trio coroutines. This module knows nothing of libp2p, SQLite or Textual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from betar_tui.values import PeerInfo as PeerInfo
from betar_tui.values import SyncProgress as SyncProgress

if TYPE_CHECKING:
    import trio


class Provenance(StrEnum):
    """The verdict on the signature inside a listing (docs/protocol.md#provenance)."""

    VERIFIED = "verified"
    UNSIGNED = "unsigned"
    INVALID = "invalid"


class ChangeKind(StrEnum):
    """The effect of an applied delta on one listing. A refresh changed only the timestamp."""

    PUT = "put"
    UPDATE = "update"
    REFRESH = "refresh"
    DELIST = "delist"


class Connectivity(StrEnum):
    """The state of the peer's network: still starting, alone, with peers, failed, or not running."""

    STARTING = "starting"
    ALONE = "alone"
    ONLINE = "online"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Listing:
    """One agent on offer, as the replica has it now. `market.fields` has the table of its fields.

    `metadata` is an object in the documents' dialect and a CID string in Go betar's; `description` is taken from the
    metadata where it is known. `timestamp` is the seller's and `seen_at` is when this peer applied it, both in Unix
    seconds. `extra` has the fields that this version does not know. `cid` is the block that carries the value, `height`
    its priority. Texts are as received: neutralise them (`market.text.neutralise`) before showing them.
    """

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
    seen_at: float = 0.0
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListingDraft:
    """The fields of a listing to publish. Empty `addrs` or `protocols` take this peer's defaults."""

    name: str
    price: float
    description: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)
    addrs: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    token_id: str | None = None


@dataclass(frozen=True, slots=True)
class ListingPatch:
    """The fields to change in an own listing; None leaves a field as it is. `metadata` is merged key by key."""

    name: str | None = None
    price: float | None = None
    description: str | None = None
    metadata: Mapping[str, object] | None = None
    addrs: tuple[str, ...] | None = None
    protocols: tuple[str, ...] | None = None
    token_id: str | None = None


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
    """One past state of a listing: the raw JSON text, or None where a delta removed it."""

    cid: str
    height: int
    value: str | None


@dataclass(frozen=True, slots=True)
class ListingDetail:
    """One listing with its stored value, its versions (newest first) and, where metadata is a CID, the fetched file."""

    listing: Listing
    raw: str
    history: tuple[Version, ...]
    document: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class ListingPage:
    """The result of a query. `total` counts all shown listings before the filter; the others are never shown as
    listings: `invalid` carry a bad signature, `unreadable` are no listings at all."""

    listings: tuple[Listing, ...]
    total: int
    invalid: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """A head of the Merkle-DAG."""

    cid: str
    height: int


@dataclass(frozen=True, slots=True)
class DeltaInfo:
    """One applied delta. `via` is the peer it came through, or "local". `ids` are the listings it touched."""

    cid: str
    height: int
    bytes: int
    at: float
    via: str
    elements: int
    tombstones: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DagNodeInfo:
    """A delta in the Merkle-DAG, with its links, the number of keys it puts and of versions it removes."""

    cid: str
    height: int
    links: tuple[str, ...]
    bytes: int
    elements: int
    tombstones: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The peer and its replica in numbers. `pending` counts blocks still wanted, `packed` the blocks of old history
    that are kept compressed; `troubles` names background services that are being restarted, in words for a person.
    `dialect` is the one that own listings are written in, `dialect_choice` what decides it: "auto", or a dialect.
    `peers_unable_to_read` counts the Go betars on the topic that cannot read it. `sync_held` says that a person stopped
    the fetching of history."""

    version: str
    running: bool
    peer_id: str
    addrs: tuple[str, ...]
    peers: int
    topic_peers: int
    listings: int
    heads: int
    height: int
    blocks: int
    bytes: int
    pending: int
    tombstones: int
    uptime: float
    connectivity: Connectivity = Connectivity.STOPPED
    invalid: int = 0
    unreadable: int = 0
    dialect: str = "documents"
    troubles: tuple[str, ...] = ()
    sync: SyncProgress | None = None
    packed: int = 0
    dialect_choice: str = "auto"
    peers_unable_to_read: int = 0
    sync_held: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One listing changed, as it was applied. `at` is in Unix seconds. `listing` is the new state, None if delisted.
    `bytes` is the size of the delta, `took` the seconds that the merge took which brought it."""

    kind: ChangeKind
    id: str
    cid: str
    height: int
    via: str
    at: float
    listing: Listing | None = None
    bytes: int = 0
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class Exported:
    """An archive that was written: its path, its roots as CIDs, and how much is in it."""

    path: str
    roots: tuple[str, ...]
    blocks: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Imported:
    """An archive that was merged. `new` deltas were not here before, `known` were, `files` are blocks of metadata
    files; `missing` counts blocks that are still wanted after it."""

    path: str
    new: int
    known: int
    files: int
    missing: int


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """Something that `status()` or `peers()` shows is different now."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`peers` peers have shown that they have the own delta `cid`, or one built on it, which touched the listings `ids`."""

    cid: str
    ids: tuple[str, ...]
    peers: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know: a healed listing, a dialect switch, a service that failed. `level` is info,
    warning or error."""

    level: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Missed:
    """The subscriber was too slow and `count` events were left out: load the state again."""

    count: int


Event = Change | StatusChanged | Seen | Notice | Missed


class Marketplace(Protocol):
    """One peer of the market, wherever it runs.

    Every method raises a `BetarError` with a message for a person; nothing else is expected to be raised.
    """

    async def listings(self, query: str = "", sort: str = "", limit: int = 0) -> ListingPage:
        """The shown listings that match `query` (the filter grammar), ordered by `sort`, a field's name with "-" before
        it for descending; `limit` 0 is all. Raises FilterError."""

    async def show(self, listing_id: str) -> ListingDetail:
        """One listing with its history. Raises UnknownListingError."""

    async def publish(self, drafts: Sequence[ListingDraft]) -> tuple[Receipt, ...]:
        """Store and announce new listings; durable when it returns. Raises ListingError and then stores nothing."""

    async def update(self, listing_id: str, patch: ListingPatch) -> Receipt:
        """Change an own listing. Raises UnknownListingError, NotOwnerError, ListingError."""

    async def delist(self, listing_id: str) -> DelistReceipt:
        """Remove an own listing. Raises UnknownListingError, NotOwnerError."""

    async def status(self) -> Status:
        """The peer in numbers."""

    async def peers(self) -> tuple[PeerInfo, ...]:
        """The connected peers. Raises NoRunningPeerError where no network runs."""

    async def connect(self, address: str) -> PeerInfo:
        """Dial a multiaddr that ends in /p2p/<peer id> and remember it. Raises NetworkError."""

    async def disconnect(self, peer_id: str) -> None:
        """Close every connection to a peer and do not dial it again in this run. Raises NetworkError."""

    async def choose_dialect(self, dialect: str) -> None:
        """Write own listings in this dialect from now on ("auto", "documents" or "betar-go"), and once more those that
        stand in another. Kept in config.toml. Raises ConfigError."""

    async def hold_sync(self, held: bool) -> None:
        """Stop fetching history, or go on with it; what is announced from now on is still followed. For this run."""

    async def heads(self) -> tuple[HeadInfo, ...]:
        """The heads, highest first."""

    async def dag(self, limit: int = 200) -> tuple[DagNodeInfo, ...]:
        """The newest deltas below the heads, by falling height: each stands before what it links to."""

    async def log(self, limit: int = 50) -> tuple[DeltaInfo, ...]:
        """Recently applied deltas, newest first."""

    async def export_car(self, path: str, heads: Sequence[str] = ()) -> Exported:
        """Write the DAG below `heads` (by default all) as CARv1 to a file of this machine. Raises ArchiveError."""

    async def import_car(self, path: str) -> Imported:
        """Merge a CARv1 file of this machine as if a peer had sent it. Raises ArchiveError; what came before the
        trouble stays merged."""

    def events(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Event]]:
        """A stream of what happens from now on; it never blocks the peer, a slow reader gets `Missed`."""
