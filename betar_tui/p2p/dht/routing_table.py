"""The DHT servers that this peer knows, in buckets by their distance. Pure: the caller passes the time.

As in Kademlia a full bucket keeps its old peers, which have shown that they stay, until they fail or have been silent
for long; so a crowd of new ones cannot displace them."""

from collections.abc import Iterable
from dataclasses import dataclass

from betar_tui.p2p.dht.lookup import K, peer_position
from betar_tui.p2p.dht.messages import MAX_ADDRS, DhtPeer

BUCKETS = 16
"""Number of buckets; the last one holds every peer that shares more bits with this one."""
STALE = 1800.0
"""Seconds after which a silent peer may be replaced."""


@dataclass(slots=True)
class _Entry:
    position: int
    addrs: tuple[bytes, ...]
    seen: float


class RoutingTable:
    """At most `K` peers for each of `BUCKETS` lengths of the prefix that their positions share with this peer's."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._position = peer_position(own)
        self._buckets: list[dict[str, _Entry]] = [{} for _ in range(BUCKETS)]

    def __len__(self) -> int:
        return sum(map(len, self._buckets))

    def __contains__(self, peer: str) -> bool:
        return peer in self._bucket(peer_position(peer))

    def add(self, peer: str, addrs: Iterable[bytes], now: float) -> bool:
        """A peer has answered, or has shown that it is a server. Returns whether it has an entry now."""
        if peer == self._own:
            return False
        position = peer_position(peer)
        bucket = self._bucket(position)
        kept = tuple(addrs)[:MAX_ADDRS]
        entry = bucket.get(peer)
        if entry is not None:
            entry.addrs, entry.seen = kept or entry.addrs, now
            return True
        if not kept:
            return False
        if len(bucket) >= K:
            oldest = min(bucket, key=lambda each: bucket[each].seen)
            if bucket[oldest].seen > now - STALE:
                return False
            del bucket[oldest]
        bucket[peer] = _Entry(position, kept, now)
        return True

    def remove(self, peer: str) -> None:
        """A peer failed."""
        self._bucket(peer_position(peer)).pop(peer, None)

    def closest(self, target: int, count: int = K, without: str = "") -> list[DhtPeer]:
        """The peers nearest to a position, nearest first, except `without`."""
        entries = [(each.position ^ target, peer, each) for bucket in self._buckets for peer, each in bucket.items()]
        entries.sort(key=lambda each: each[0])
        return [DhtPeer(peer, each.addrs) for _, peer, each in entries if peer != without][:count]

    def _bucket(self, position: int) -> dict[str, _Entry]:
        shared = 256 - (position ^ self._position).bit_length()
        return self._buckets[min(shared, BUCKETS - 1)]
