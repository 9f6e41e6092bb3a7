"""Whom to dial and when: addresses of peers, and the pauses after failures. Pure; `dialer.py` does the dialling.

An entry is either lasting (bootstrap peers, known peers, peers a person connected to) or not kept at all. After a
failure a peer is left alone for a pause that doubles up to a limit, with jitter so that peers that lost the same
neighbour do not all return in the same moment; a success resets it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from betar_tui.p2p.addresses import MAX_ADDRS_PER_PEER, dial_order, is_peer_id, with_peer

MAX_PEERS = 1024
JITTER = 0.3


@dataclass(slots=True)
class _Entry:
    addrs: tuple[str, ...]
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
        self._pages: dict[str, _Entry] = {}

    def add(self, peer: str, addrs: Iterable[str]) -> bool:
        """Remember addresses, the newest first; our own are ignored. Whether the peer is in the book now."""
        new = with_peer(addrs, peer)
        page = self._pages.get(peer)
        if peer == self._own or (page is None and (not new or len(self._pages) >= MAX_PEERS or not is_peer_id(peer))):
            return False
        old = page.addrs if page is not None else ()
        merged = dial_order(new + old)[:MAX_ADDRS_PER_PEER]
        if page is None:
            self._pages[peer] = _Entry(merged)
        else:
            page.addrs = merged
        return True

    def replace(self, peer: str, addrs: Iterable[str]) -> None:
        """The peer itself said where it listens: what was known before is out of date, except what just worked."""
        page = self._pages.get(peer)
        new = with_peer(addrs, peer)
        if page is not None and new:
            page.addrs = dial_order(new)

    def remove(self, peer: str) -> None:
        """Dial the peer no more."""
        self._pages.pop(peer, None)

    def addrs(self, peer: str) -> tuple[str, ...]:
        """Known addresses in the order to try."""
        page = self._pages.get(peer)
        return () if page is None else page.addrs

    def peers(self) -> tuple[str, ...]:
        """Everybody in the book."""
        return tuple(self._pages)

    def due(self, now: float, busy: Callable[[str], bool]) -> tuple[str, ...]:
        """Peers that should be dialled now; `busy` says who is connected, banned or being dialled."""
        return tuple(peer for peer, page in self._pages.items() if page.due <= now and not busy(peer))

    def next_due(self, busy: Callable[[str], bool]) -> float:
        """When somebody becomes due; infinity when nobody will."""
        return min((page.due for peer, page in self._pages.items() if not busy(peer)), default=float("inf"))

    def failed(self, peer: str, now: float) -> None:
        """A dial failed."""
        page = self._pages.get(peer)
        if page is not None:
            pause = min(self._pause_max, self._pause_min * 2.0 ** min(page.failures, 30))
            page.failures += 1
            page.due = now + pause * (1 - JITTER + 2 * JITTER * self._jitter())

    def succeeded(self, peer: str) -> None:
        """The peer is connected."""
        page = self._pages.get(peer)
        if page is not None:
            page.failures = 0
            page.due = 0.0

    def lost(self, peer: str, now: float) -> None:
        """The connection ended: dial again soon, not at once (it may have been closed on purpose)."""
        page = self._pages.get(peer)
        if page is not None:
            page.due = now + self._pause_min * self._jitter()
