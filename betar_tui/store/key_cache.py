"""What the store knows by heart of its own tables: a merge asks for the same keys again and again.

Nothing here is known before its transaction has ended, and after one that failed all of it is forgotten. Runs under the
store's lock.
"""

from collections import OrderedDict
from typing import NamedTuple

from betar_tui.replica.facts import Winner

KEYS = 4096
_SOURCES = 1024
_LARGEST = 4096
"""The longest key with its value that is kept here: all of them together take some tens of megabytes at most."""


class CachedKey(NamedTuple):
    """A key's number, the number of the block with its value, and that value."""

    k: int
    n: int | None
    winner: Winner | None


class Counters(NamedTuple):
    """The numbers that the next block and the next key take, and up to where packing has been."""

    block: int
    key: int
    examined: int


class KeyCache:
    """The keys that merges touched last, at most `limit`, the sources of blocks, and the counters."""

    def __init__(self, limit: int = KEYS) -> None:
        self._limit = limit
        self._keys: OrderedDict[str, CachedKey] = OrderedDict()
        self._sources: dict[str, int] = {}
        self.counters: Counters | None = None
        self.absent: frozenset[str] = frozenset()
        """Keys that were looked for last and are not there."""

    def get(self, key: str) -> CachedKey | None:
        """What is known of a key."""
        shown = self._keys.get(key)
        if shown is not None:
            self._keys.move_to_end(key)
        return shown

    def put(self, key: str, shown: CachedKey) -> None:
        """Remember a key, and forget the one that nobody has asked for longest."""
        if len(key) + (len(shown.winner.value) if shown.winner is not None else 0) > _LARGEST:
            self._keys.pop(key, None)
            return
        self._keys[key] = shown
        self._keys.move_to_end(key)
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)

    def source(self, peer: str) -> int | None:
        """The number of a peer that blocks came through."""
        return self._sources.get(peer)

    def put_source(self, peer: str, number: int) -> None:
        """Remember it; all are forgotten when they are many."""
        if len(self._sources) >= _SOURCES:
            self._sources.clear()
        self._sources[peer] = number

    def clear(self) -> None:
        """Forget everything."""
        self._keys.clear()
        self._sources.clear()
        self.counters = None
        self.absent = frozenset()
