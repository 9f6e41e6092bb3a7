"""Addresses of the peers to dial, and the pauses after failures. Pure; `dialer.py` does the dialling.

The peers are the bootstrap peers, known peers, and peers that the user connected to. After a failure a peer is not
dialled for a pause that doubles up to a limit, with jitter so that peers that lost the same neighbour do not all return
in the same moment; a success resets it."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from betar_tui.p2p.addresses import MAX_ADDRS_PER_PEER, dial_order, is_peer_id, with_peer

MAX_PEERS = 1024
"""Maximum peers with an entry."""
JITTER = 0.3
"""Fraction of a pause by which it varies either way."""


@dataclass(slots=True)
class _Entry:
    addrs: tuple[str, ...]
    found: str
    failures: int = 0
    due: float = 0.0


class AddressBook:
    """Addresses by peer id, and when each peer may be dialled next."""

    def __init__(
        self, own: str, pause_min: float, pause_max: float, jitter: Callable[[], float] = random.random
    ) -> None:
        self._own = own
        self._pause_min = pause_min
        self._pause_max = pause_max
        self._jitter = jitter
        self._entries: dict[str, _Entry] = {}

    def add(self, peer: str, addrs: Iterable[str], found: str = "") -> bool:
        """Remember addresses, the newest first, except this peer's own. Returns whether the peer has an entry now.

        `found` says how the peer was found, see `PeerInfo`; the first one that is given counts."""
        new = with_peer(addrs, peer)
        entry = self._entries.get(peer)
        if peer == self._own or (
            entry is None and (not new or len(self._entries) >= MAX_PEERS or not is_peer_id(peer))
        ):
            return False
        old = entry.addrs if entry is not None else ()
        merged = dial_order(new + old)[:MAX_ADDRS_PER_PEER]
        if entry is None:
            self._entries[peer] = _Entry(merged, found)
        else:
            entry.addrs = merged
            entry.found = entry.found or found
        return True

    def replace(self, peer: str, addrs: Iterable[str]) -> None:
        """Replace the addresses by those that the peer itself announced and the one that has just worked."""
        entry = self._entries.get(peer)
        new = with_peer(addrs, peer)
        if entry is not None and new:
            entry.addrs = dial_order(new)

    def remove(self, peer: str) -> None:
        """Do not dial the peer any more."""
        self._entries.pop(peer, None)

    def addrs(self, peer: str) -> tuple[str, ...]:
        """Known addresses in the order to try."""
        entry = self._entries.get(peer)
        return () if entry is None else entry.addrs

    def found(self, peer: str) -> str:
        """How the peer was found; "" for one without an entry."""
        entry = self._entries.get(peer)
        return "" if entry is None else entry.found

    def due(self, now: float, busy: Callable[[str], bool]) -> tuple[str, ...]:
        """Peers that should be dialled now, without those that are `busy`: connected, banned or being dialled."""
        return tuple(peer for peer, entry in self._entries.items() if entry.due <= now and not busy(peer))

    def next_due(self, busy: Callable[[str], bool]) -> float:
        """When the next peer becomes due; infinity when none will."""
        return min((entry.due for peer, entry in self._entries.items() if not busy(peer)), default=float("inf"))

    def unconnected(self, connected: Callable[[str], bool]) -> dict[str, tuple[int, float]]:
        """The peers that are not connected, by how they were found: their number, and when the first of them is due."""
        counted: dict[str, tuple[int, float]] = {}
        for peer, entry in self._entries.items():
            if not connected(peer):
                number, due = counted.get(entry.found, (0, entry.due))
                counted[entry.found] = (number + 1, min(due, entry.due))
        return counted

    def failed(self, peer: str, now: float) -> None:
        """A dial failed."""
        entry = self._entries.get(peer)
        if entry is not None:
            pause = min(self._pause_max, self._pause_min * 2.0 ** min(entry.failures, 30))
            entry.failures += 1
            entry.due = now + pause * (1 - JITTER + 2 * JITTER * self._jitter())

    def succeeded(self, peer: str) -> None:
        """The peer is connected."""
        entry = self._entries.get(peer)
        if entry is not None:
            entry.failures = 0
            entry.due = 0.0

    def lost(self, peer: str, now: float) -> None:
        """The connection ended: dial again soon, not at once (it may have been closed on purpose)."""
        entry = self._entries.get(peer)
        if entry is not None:
            entry.due = now + self._pause_min * self._jitter()
