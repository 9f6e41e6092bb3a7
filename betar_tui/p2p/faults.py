"""Who misbehaved, how often, and when it is enough.

Everything that counts a peer's broken rules goes through `FaultBook.charge`; nothing else decides that a peer is put
out. The clock is injected, so the rule can be tested without waiting: more than `budget` faults within `window`
seconds bar the peer for `bar` seconds. Pure: the caller closes the connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

MAX_REMEMBERED = 4096


class FaultBook:
    """Counts of faults per peer with a sliding window."""

    def __init__(self, budget: int, window: float, bar: float, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._window = window
        self._bar = bar
        self._clock = clock
        self._recent: dict[str, deque[float]] = {}
        self._totals: dict[str, int] = {}
        self._barred: dict[str, float] = {}

    def charge(self, peer: str) -> bool:
        """Count one fault against `peer`. True when this one went beyond the budget and the peer is now barred."""
        now = self._clock()
        self._forget_some()
        self._totals[peer] = self._totals.get(peer, 0) + 1
        recent = self._recent.setdefault(peer, deque(maxlen=self._budget + 1))
        recent.append(now)
        while recent and recent[0] < now - self._window:
            recent.popleft()
        if len(recent) <= self._budget or self.barred(peer):
            return False
        self._barred[peer] = now + self._bar
        recent.clear()
        return True

    def barred(self, peer: str) -> bool:
        """Whether `peer` is put out for now."""
        until = self._barred.get(peer)
        if until is None:
            return False
        if until > self._clock():
            return True
        del self._barred[peer]
        return False

    def pardon(self, peer: str) -> None:
        """Let a barred peer in again, as when a person asks to connect to it."""
        self._barred.pop(peer, None)
        self._recent.pop(peer, None)

    def totals(self) -> Mapping[str, int]:
        """Faults per peer since the start (of the most recently faulty peers)."""
        return dict(self._totals)

    def _forget_some(self) -> None:
        # Peer ids are free to make: remembering them without bound would be an attack.
        while len(self._totals) > MAX_REMEMBERED:
            oldest = next(iter(self._totals))
            del self._totals[oldest]
            self._recent.pop(oldest, None)
            self._barred.pop(oldest, None)
