"""Counting misbehaviours, banning peers for them, and reporting them.

`MisbehaviourLedger.penalize` counts every broken rule, and nothing else bans a peer: more than `budget` within `window`
seconds ban it for `ban_time` seconds. `MisbehaviourReports` limits the reports, since a peer can break rules thousands
of times a second. Pure: the clock is injected, and the caller closes the connections."""

from collections import deque
from collections.abc import Callable, Mapping

MAX_REMEMBERED = 4096
"""Maximum peers that are remembered for misbehaviour."""
FOLD = 1.0
"""Seconds of one peer's misbehaviours that are reported together."""


class MisbehaviourLedger:
    """Misbehaviours by peer with a sliding window, and the bans that follow."""

    def __init__(self, budget: int, window: float, ban_time: float, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._window = window
        self._ban_time = ban_time
        self._clock = clock
        self._recent: dict[str, deque[float]] = {}
        self._totals: dict[str, int] = {}
        self._banned: dict[str, float] = {}

    def penalize(self, peer: str) -> bool:
        """Count one misbehaviour of `peer`. Returns whether it exceeds the budget, so that the peer is banned now."""
        now = self._clock()
        self._forget_some()
        self._totals[peer] = self._totals.get(peer, 0) + 1
        recent = self._recent.setdefault(peer, deque(maxlen=self._budget + 1))
        recent.append(now)
        while recent and recent[0] < now - self._window:
            recent.popleft()
        if len(recent) <= self._budget or self.banned(peer):
            return False
        self._banned[peer] = now + self._ban_time
        recent.clear()
        return True

    def banned(self, peer: str) -> bool:
        """Whether `peer` is banned at the moment."""
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
        """Number of misbehaviours since the start, by peer; peers of long ago are left out."""
        return dict(self._totals)

    def _forget_some(self) -> None:
        # Peer ids are free to make: remembering them without bound would be an attack.
        while len(self._totals) > MAX_REMEMBERED:
            oldest = next(iter(self._totals))
            del self._totals[oldest]
            self._recent.pop(oldest, None)
            self._banned.pop(oldest, None)


class MisbehaviourReports:
    """Folds one peer's misbehaviours within `fold` seconds: reports the first at once, then the last and a count."""

    def __init__(self, clock: Callable[[], float], fold: float = FOLD) -> None:
        self._clock = clock
        self._fold = fold
        self._folds: dict[str, tuple[float, int, str]] = {}  # peer -> (end of the fold, number folded, last reason)

    def note(self, peer: str, reason: str) -> bool:
        """Note a misbehaviour. Returns whether to report it now; otherwise `due` returns it later."""
        fold = self._folds.get(peer)
        if fold is not None:
            self._folds[peer] = fold[0], fold[1] + 1, reason
        elif len(self._folds) < MAX_REMEMBERED:
            self._folds[peer] = self._clock() + self._fold, 0, ""
            return True
        return False

    @property
    def open(self) -> bool:
    def total(self, peer: str) -> int:
        """Number of misbehaviours of a peer since the start."""
        return self._totals.get(peer, 0)

        """Whether `due` has anything to return, now or later."""
        return bool(self._folds)

    def due(self) -> list[tuple[str, str]]:
        """The reports whose fold is over: (peer, its last misbehaviour and the number of others)."""
        now = self._clock()
        reports = []
        for peer, (until, count, reason) in list(self._folds.items()):
            if until > now:
                break
            del self._folds[peer]
            if count:
                reports.append((peer, f"{reason} (and {count - 1} more)" if count > 1 else reason))
                self._folds[peer] = now + self._fold, 0, ""
        return reports
