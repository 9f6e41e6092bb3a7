"""Provider records that this peer keeps for others, as a server. Pure: the caller passes the time.

Peer ids are free to make, so that every bound can be filled by one attacker. Records of the market's own key have places
of their own: nobody displaces them by providing other keys."""

from betar_tui.p2p.dht.messages import DhtPeer

VALIDITY = 48 * 3600.0
"""Seconds for which a record is valid, as in the IPFS network; providers renew theirs sooner."""
MAX_PER_KEY = 64
"""Maximum records of a key."""
MAX_PER_PEER = 256
"""Maximum records of a provider."""
MAX_RECORDS = 4096
"""Maximum records of all other keys together."""
MAX_ADDRS_PER_RECORD = 8
"""Maximum addresses of a record."""


class ProviderRecords:
    """Records by key and provider. In a full place the oldest record gives way."""

    def __init__(self, own_key: bytes) -> None:
        self._own_key = own_key
        self._keys: dict[bytes, dict[str, tuple[float, tuple[bytes, ...]]]] = {own_key: {}}
        # Records of other keys, the oldest first; and how many each provider has.
        self._order: dict[tuple[bytes, str], None] = {}
        self._per_peer: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._order) + len(self._keys[self._own_key])

    def add(self, key: bytes, provider: DhtPeer, now: float) -> bool:
        """Keep or renew a record. Returns False where the provider has too many, or no address."""
        peer = provider.peer
        self._remove(key, peer)
        if not provider.addrs or (key != self._own_key and self._per_peer.get(peer, 0) >= MAX_PER_PEER):
            return False
        records = self._keys.setdefault(key, {})
        if len(records) >= MAX_PER_KEY:
            self._remove(key, next(iter(records)))
        self._keys.setdefault(key, {})[peer] = now + VALIDITY, provider.addrs[:MAX_ADDRS_PER_RECORD]
        if key != self._own_key:
            self._order[key, peer] = None
            self._per_peer[peer] = self._per_peer.get(peer, 0) + 1
            if len(self._order) > MAX_RECORDS:
                self._remove(*next(iter(self._order)))
        return True

    def get(self, key: bytes, now: float) -> list[DhtPeer]:
        """The valid records of a key, the newest first."""
        records = self._keys.get(key, {})
        for peer in [peer for peer, (until, _) in records.items() if until <= now]:
            self._remove(key, peer)
        return [DhtPeer(peer, addrs) for peer, (_, addrs) in reversed(records.items())]

    def expire(self, now: float) -> None:
        """Forget what is no longer valid."""
        for key in list(self._keys):
            self.get(key, now)

    def _remove(self, key: bytes, peer: str) -> None:
        records = self._keys.get(key)
        if records is None or records.pop(peer, None) is None or key == self._own_key:
            return
        if not records:
            del self._keys[key]
        del self._order[key, peer]
        self._per_peer[peer] -= 1
        if not self._per_peer[peer]:
            del self._per_peer[peer]
