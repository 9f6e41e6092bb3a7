"""What the replica asks of whoever remembers for it: the SQLite store in a peer, dictionaries in tests.

The answers are facts; no rule is known behind this door.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from betar_tui.store.facts import Changes, Element, Snapshot, Winner


class Port(Protocol):
    """The memory of a replica. Only `apply` changes anything; it raises StoreError and then nothing has changed."""

    def load(self) -> Snapshot:
        """Where the replica stood when the last `apply` returned."""

    def stored(self, cids: Collection[bytes]) -> Mapping[bytes, bool]:
        """Those of the blocks that are held, each with whether it is complete."""

    def winners(self, keys: Collection[str]) -> Mapping[str, Winner]:
        """The values of those of the keys that have one."""

    def tombstoned(self, pairs: Collection[tuple[str, bytes]]) -> Collection[tuple[str, bytes]]:
        """Those of the (key, block) pairs that a tombstone names."""

    def live(self, key: str) -> Collection[Element]:
        """The elements of a key that no tombstone names."""

    def apply(self, changes: Changes, durable: bool) -> None:
        """Remember a merge in one transaction; `durable` ones survive a power cut once this returns."""
