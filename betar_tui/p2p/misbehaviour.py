"""Who misbehaved, how often, and when it is enough.

`MisbehaviourLedger.penalize` counts every broken rule, and nothing else bans a peer: more than `budget` within `window`
seconds ban it for `ban_time` seconds. `MisbehaviourReports` limits what is reported, since a peer can break rules thousands
of times a second. Pure: the clock is injected, and the caller closes the connections.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

MAX_REMEMBERED = 4096
FOLD = 1.0  # seconds


class MisbehaviourLedger:
    """Counts of faults per peer with a sliding window."""

    def __init__(self, budget: int, window: float, ban_time: float, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._window = window
        self._bar = ban_time
        self._clock = clock
        self._recent: dict[str, deque[float]] = {}
        self._totals: dict[str, int] = {}
        self._banned: dict[str, float] = {}

    def penalize(self, peer: str) -> bool:
        """Count one fault against `peer`. True when this one went beyond the budget and the peer is now banned."""
        now = self._clock()
        self._forget_some()
        self._totals[peer] = self._totals.get(peer, 0) + 1
        recent = self._recent.setdefault(peer, deque(maxlen=self._budget + 1))
        recent.append(now)
        while recent and recent[0] < now - self._window:
            recent.popleft()
        if len(recent) <= self._budget or self.banned(peer):
            return False
        self._banned[peer] = now + self._bar
        recent.clear()
        return True

    def banned(self, peer: str) -> bool:
        """Whether `peer` is put out for now."""
        until = self._banned.get(peer)
        if until is None:
            return False
        if until > self._clock():
            return True
        del self._banned[peer]
        return False

    def unban(self, peer: str) -> None:
        """Let a banned peer in again, as when a person asks to connect to it."""
        self._banned.pop(peer, None)
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
            self._banned.pop(oldest, None)


class MisbehaviourReports:
    """Folds the faults of one peer within `fold` seconds into two: the first at once, the others with the last of
    them."""

    def __init__(self, clock: Callable[[], float], fold: float = FOLD) -> None:
        self._clock = clock
        self._fold = fold
        self._held: dict[str, tuple[float, int, str]] = {}  # peer -> (until when, how many, the last)

    def note(self, peer: str, what: str) -> bool:
        """A fault happened. Whether to tell it now; else `due` gives it later."""
        held = self._held.get(peer)
        if held is not None:
            self._held[peer] = held[0], held[1] + 1, what
        elif len(self._held) < MAX_REMEMBERED:
            self._held[peer] = self._clock() + self._fold, 0, ""
            return True
        return False

    def due(self) -> list[tuple[str, str]]:
        """What to tell now: (peer, its last fault and how many others)."""
        now = self._clock()
        told = []
        for peer, (until, count, what) in list(self._held.items()):
            if until > now:
                break
            del self._held[peer]
            if count:
                told.append((peer, f"{what} (and {count - 1} more)" if count > 1 else what))
                self._held[peer] = now + self._fold, 0, ""
        return told
