"""Values that `p2p` and `sync` produce and `market.marketplace` passes on to the interface and to scripts.

They are defined here because those packages may not import each other."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """One connected peer.

    `addrs` are the multiaddrs it claims to listen on, each ending in /p2p/<peer id>, or the remote address until it has sent
    them. `direction` is "in" or "out". `latency_ms` is the round trip of the last ping, None before the first.
    `connected_since` is in Unix seconds. `bytes_in` and `bytes_out` went over its open connections.

    `found` is how this peer came to know it: "bootstrap", "mdns", "dht", "remembered", "connect", or "incoming" when it
    dialled us. `behind` is by how many heights the newest head that it was seen to hold is below our newest: 0 means
    level, None that nothing was seen yet. `waiting_since` is since when, in Unix seconds, it has not fetched what was
    announced to it; None when nothing is open."""

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


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """A sync under way: deltas merged since it began, blocks known to be missing (more may turn up below them), deltas
    a second, and the peer that sends them ("" when several do)."""

    fetched: int
    missing: int
    rate: float
    source: str


@dataclass(frozen=True, slots=True)
class Search:
    """One way in which a peer looks for others at the moment.

    `what` says what is done: "searching the local network", "dialling 3 remembered peers". `next_at` is when it is tried
    next, in Unix seconds; None while a try is under way, or if it goes on all the time. `trouble` is why it cannot work, ""
    if it can."""

    what: str
    next_at: float | None = None
    trouble: str = ""
