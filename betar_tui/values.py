"""Plain values that one room observes and another shows, though neither may import the other.

`p2p` and `sync` fill them in, `market.marketplace` passes them on to the interface and to scripts.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """One connected peer.

    `addrs` are the multiaddrs it says it listens on, each ending in /p2p/<peer id>, or the remote address while it has not
    said. `direction` is "in" or "out". `latency_ms` is the round trip of the last ping, None before the first.
    `connected_since` is in Unix seconds. `bytes_in` and `bytes_out` went over its open connections.
    """

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


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """A sync under way: deltas merged since it began, blocks known to be missing (more may turn up below them), deltas
    a second, and the peer that sends them ("" when several do)."""

    fetched: int
    missing: int
    rate: float
    source: str
