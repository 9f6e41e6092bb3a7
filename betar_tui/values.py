"""Values that `p2p` and `sync` produce and `market.marketplace` passes on to the interface and to scripts.

They are defined here because those packages may not import each other."""

from dataclasses import dataclass

from betar_tui.plurals import plural


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """One connected peer.

    `addrs` are the multiaddrs it claims to listen on, each ending in /p2p/<peer id>, or the remote address until it has sent
    them. `direction` is "in" or "out". `latency_ms` is the round trip of the last ping, None before the first.
    `connected_since` is in Unix seconds. `bytes_in` and `bytes_out` went over its open connections.

    `found` is how this peer came to know it: "bootstrap", "mdns", "dht", "remembered", "connect", or "incoming" when it
    dialled us. `behind` is by how many heights the newest head that it was seen to hold is below our newest: 0 means
    level, that it was seen to hold all our heads; None that nothing was seen yet. `waiting_since` is since when, in Unix
    seconds, it lacks a head and has given no sign that it takes what was announced to it; None when nothing is open, and
    for the first seconds. `listings` is the number of its own listings, at most 10,000 of which are counted. `refused`
    counts its gossip that was dropped because it or an author behind it exceeded a budget, `misbehaved` the rules that it
    broke, both since the start."""

    peer_id: str
    addrs: tuple[str, ...]
    direction: str
    latency_ms: float | None
    agent: str
    protocols: tuple[str, ...]
    on_topic: bool
    connected_since: float
    bytes_in: int = 0
    bytes_out: int = 0
    found: str = ""
    behind: int | None = None
    waiting_since: float | None = None
    listings: int = 0
    refused: int = 0
    misbehaved: int = 0


@dataclass(frozen=True, slots=True)
class Connected:
    """The answer to `connect`: the connected peer, and whether it was `already` connected before."""

    peer: PeerInfo
    already: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit: what is `allowed`, 0 for no limit; how much of it is `used`, None where that was not counted; and how much
    was `refused` because of it."""

    allowed: int
    used: int | None = None
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits of a peer and how far they are used: listings of the seller that has most, unsigned ones of the peer that
    brought most, and bytes of the replica. Refused are listings that are counted and not shown, and blocks since the start
    that were not taken."""

    listings_per_seller: Quota = Quota(0)
    unsigned_per_peer: Quota = Quota(0)
    disk: Quota = Quota(0)


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a person's list: the id of a blocked peer or a muted seller, and since when, in Unix seconds."""

    peer_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Reachability:
    """How others can dial this peer.

    `verdict` is "public" when peers on the internet could dial it, "private" when they could not, "unknown" while none or
    one alone did, or as many as did not; `asked` counts the networks whose answers it rests on. `observed` are the IP
    addresses under which other peers see it, the most seen first; `confirmed` the multiaddrs where a peer has reached it;
    `mapped` the multiaddr that the router forwards, and `mapping_trouble` why it forwards none."""

    verdict: str = "unknown"
    observed: tuple[str, ...] = ()
    confirmed: tuple[str, ...] = ()
    mapped: str = ""
    asked: int = 0
    mapping_trouble: str = ""

    @property
    def text(self) -> str:
        """The same in words for a person."""
        peers = plural(self.asked, "peer")
        if self.verdict == "public":
            words = f"public: {peers} asked to dial this one, reached at {', '.join(self.confirmed)}"
        elif self.verdict == "private":
            words = f"private: {peers} asked to dial this one, which most could not"
        else:
            tested = "no peer has tested it", "one peer has dialled this one, another must confirm it"
            words = "unknown: " + (
                tested[self.asked] if self.asked < len(tested) else f"{peers} asked to dial this one disagree"
            )
        if self.observed:
            words += f"; seen as {', '.join(self.observed)}"
        if self.mapped:
            words += f"; the router forwards {self.mapped}"
        return words


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """A sync under way: deltas merged since it began, blocks known to be missing (more may turn up below them), deltas
    a second, and the peer that sends them ("" when several do)."""

    fetched: int
    missing: int
    rate: float
    source: str


@dataclass(frozen=True, slots=True)
class Indexing:
    """Listings that are being taken into the catalogue: `done` of `total` so far. One that can be shown and not searched yet
    counts half."""

    done: int
    total: int

    @property
    def text(self) -> str:
        """The same in words for a person."""
        return f"{self.done:,} of {self.total:,} indexed"


@dataclass(frozen=True, slots=True)
class Search:
    """One way in which a peer looks for others at the moment.

    `what` says what is done: "searching the local network", "dialling 3 remembered peers". `next_at` is when it is tried
    next, in Unix seconds; None while a try is under way, or if it goes on all the time. `trouble` is why the last try
    failed, or, without `next_at`, why it cannot be tried."""

    what: str
    next_at: float | None = None
    trouble: str = ""
