"""The storage that a replica needs, as a protocol: the SQLite store in a peer, dictionaries in tests.

It stores and returns facts; the merge rules are not known behind this door."""

from collections.abc import Collection, Mapping, Set
from typing import Protocol

from betar_tui.replica.facts import Changes, Snapshot, Winner


class ReplicaStorage(Protocol):
    """The storage of a replica. Only `apply` changes anything; when it raises StoreError nothing has changed."""

    def load(self) -> Snapshot:
        """The state of the replica after the last `apply`."""

    def stored(self, cids: Collection[bytes]) -> Mapping[bytes, bool]:
        """Those of the blocks that are stored and not laid aside, each with whether it is complete."""

    def laid_aside(self, cids: Collection[bytes]) -> Collection[bytes]:
        """Those of the blocks that are stored and laid aside."""

    def winners(self, keys: Collection[str]) -> Mapping[str, Winner]:
        """The values of those of the keys that have one."""

    def tombstoned(self, pairs: Collection[tuple[str, bytes]]) -> Collection[tuple[str, bytes]]:
        """Those of the (key, block) pairs that a tombstone removes."""

    def live(self, key: str, least: int = 0) -> Collection[bytes]:
        """The blocks of at least this height with an element of a key that no tombstone removes."""

    def greatest(self, key: str, without: Set[bytes]) -> Winner | None:
        """The greatest element of a key that no tombstone removes and that is not in one of these blocks."""

    def apply(self, changes: Changes, durable: bool) -> None:
        """Store a merge in one transaction; a `durable` one survives a power cut once this returns."""
