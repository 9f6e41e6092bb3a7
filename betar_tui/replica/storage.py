"""What the replica asks of whoever remembers for it: the SQLite store in a peer, dictionaries in tests.

The answers are facts; no rule is known behind this door.
"""

from collections.abc import Collection, Mapping, Set
from typing import Protocol

from betar_tui.replica.facts import Changes, Snapshot, Winner


class ReplicaStorage(Protocol):
    """The memory of a replica. Only `apply` changes anything; it raises StoreError and then nothing has changed."""

    def load(self) -> Snapshot:
        """Where the replica stood when the last `apply` returned."""

    def stored(self, cids: Collection[bytes]) -> Mapping[bytes, bool]:
        """Those of the blocks that are held, each with whether it is complete."""

    def winners(self, keys: Collection[str]) -> Mapping[str, Winner]:
        """The values of those of the keys that have one."""

    def tombstoned(self, pairs: Collection[tuple[str, bytes]]) -> Collection[tuple[str, bytes]]:
        """Those of the (key, block) pairs that a tombstone names."""

    def live(self, key: str, least: int = 0) -> Collection[bytes]:
        """The blocks with elements of a key that no tombstone names, those of at least this height."""

    def greatest(self, key: str, without: Set[bytes]) -> Winner | None:
        """The greatest element of a key that no tombstone names, those in some blocks left out."""

    def apply(self, changes: Changes, durable: bool) -> None:
        """Remember a merge in one transaction; `durable` ones survive a power cut once this returns."""
