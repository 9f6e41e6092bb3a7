"""What a peer reports of itself, of its replica and of archives: values of `market.marketplace`."""

from dataclasses import dataclass, field

from betar_tui.market.kinds import Connectivity
from betar_tui.values import Indexing, Quotas, Reachability, Search, SyncProgress


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
    """A delta in the Merkle-DAG. `elements` counts the keys that it puts, `tombstones` the versions that it removes."""

    cid: str
    height: int
    links: tuple[str, ...]
    bytes: int
    elements: int
    tombstones: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The peer and its replica in numbers.

    `pending` counts missing blocks, `packed` the blocks of old history that are stored compressed. `troubles` are failures
    of background services, a sentence each. Own listings are written in `dialect`; `dialect_choice` is "auto" or the
    dialect that the person chose. `peers_unable_to_read` counts the Go betars on the topic that cannot read it. `sync_held`
    is True while the person has paused the fetching of history.

    `offline` says why the network is not open although it should be, "" while it is open or not wanted; `port_taken` is the
    address that could not be listened on, if that is the reason. `listen_notice` says that another port was taken than the
    default one, `listen` are the multiaddrs that it was told to listen on (empty: of a peer that does not tell).
    `searches` is what is done to find peers, `reachability` how others can dial this one. `indexing` is the
    progress of taking listings that came in bulk into the catalogue, None where there are few or none. `muted` are the ids
    of sellers and `blocked` those of peers that the person has muted and blocked (None: of a peer that has no such list);
    `limits` is how much this peer takes of others."""

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
    reachability: Reachability = field(default_factory=Reachability)
    offline: str = ""
    port_taken: str = ""
    listen_notice: str = ""
    searches: tuple[Search, ...] = ()
    indexing: Indexing | None = None
    muted: tuple[str, ...] | None = None
    blocked: tuple[str, ...] = ()
    limits: Quotas = field(default_factory=Quotas)
    listen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """An archive that was written: its path, its roots as CIDs, and how much is in it; `files` of the blocks are metadata
    files."""

    path: str
    roots: tuple[str, ...]
    blocks: int
    bytes: int
    files: int = 0


@dataclass(frozen=True, slots=True)
class SkippedBlocks:
    """Blocks of an archive that were passed over for one reason."""

    reason: str
    blocks: int


@dataclass(frozen=True, slots=True)
class Imported:
    """An archive that was merged: how many of its deltas were `new` or `known`, and how many blocks were metadata `files`.
    `missing` counts the blocks that are missing after it. Of the `skipped` blocks nothing was kept; `absent_roots` is the
    number of roots whose blocks are not in the archive."""

    path: str
    new: int
    known: int
    files: int
    missing: int
    skipped: int = 0
    skipped_by_reason: tuple[SkippedBlocks, ...] = ()
    absent_roots: int = 0
