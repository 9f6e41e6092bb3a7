"""A cache of keys, sources and counters, since merges ask for the same ones again and again.

An entry is added after its transaction has ended, and a failed transaction empties the cache. Runs under the store's
lock."""

from collections import OrderedDict
from typing import NamedTuple

from betar_tui.replica.facts import Winner

KEYS = 4096
"""Number of keys cached by default."""
_SOURCES = 1024
_LARGEST = 4096
"""Maximum length of a cached key with its value, so that the cache takes a few tens of megabytes at most."""


class CachedKey(NamedTuple):
    """A key's number, the number of the block with its value, and that value."""

    k: int
    n: int | None
    winner: Winner | None


class Counters(NamedTuple):
    """The numbers of the next block and the next key, and of the last block that packing has examined."""

    block: int
    key: int
    examined: int


class KeyCache:
    """The `limit` keys used last, the sources of blocks, and the counters."""

    def __init__(self, limit: int = KEYS) -> None:
        self._limit = limit
        self._keys: OrderedDict[str, CachedKey] = OrderedDict()
        self._sources: dict[str, int] = {}
        self.counters: Counters | None = None
        self.absent: frozenset[str] = frozenset()
        """Keys of the last look-up that are not in the database."""

    def get(self, key: str) -> CachedKey | None:
        """A key, None if it is not cached."""
        cached = self._keys.get(key)
        if cached is not None:
            self._keys.move_to_end(key)
        return cached

    def put(self, key: str, cached: CachedKey) -> None:
        """Cache a key, and drop the one that was used longest ago when there are too many."""
        if len(key) + (len(cached.winner.value) if cached.winner is not None else 0) > _LARGEST:
            self._keys.pop(key, None)
            return
        self._keys[key] = cached
        self._keys.move_to_end(key)
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)

    def source(self, peer: str) -> int | None:
        """The number of a peer that blocks came from, None if it is not cached."""
        return self._sources.get(peer)

    def put_source(self, peer: str, number: int) -> None:
        """Cache it; all sources are dropped when there are too many."""
        if len(self._sources) >= _SOURCES:
            self._sources.clear()
        self._sources[peer] = number

    def clear(self) -> None:
        """Empty the cache."""
        self._keys.clear()
        self._sources.clear()
        self.counters = None
        self.absent = frozenset()
