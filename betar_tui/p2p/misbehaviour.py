"""Counting misbehaviours, banning peers for them, and reporting them.

`MisbehaviourLedger.penalize` counts every broken rule, and nothing else bans a peer: more than `budget` within `window`
seconds ban it for `ban_time` seconds, longer if it was banned before. `MisbehaviourReports` limits the reports, since a
peer can break rules thousands of times a second. Pure: the clock is injected, and the caller closes the connections."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from betar_tui.p2p.places import origin_of

MAX_REMEMBERED = 4096
"""Maximum peers that are remembered for misbehaviour."""
GROWTH, MAX_BAN = 8, 86_400.0
"""How many times as long each further ban of a peer is, and the maximum in seconds."""
FORGIVEN = 3600.0
"""Seconds without a ban that make up for an earlier one."""
RECURRING = 3
"""Number of bans of peers from one address, or /56 of IPv6, within `FORGIVEN` seconds for which it is barred."""
FOLD = 1.0
"""Seconds of one peer's misbehaviours that are reported together."""


@dataclass(frozen=True, slots=True)
class Ban:
    """A peer that is banned, or was lately. `until` is in Unix seconds, as is `at`, when it was banned last; `times` is how
    often before that, which is forgotten in time; `ip` the public address that it came from, "" if none is known."""

    peer: str
    until: float
    at: float
    times: int = 1
    ip: str = ""


class MisbehaviourLedger:
    """Misbehaviours by peer with a sliding window, and the bans that follow. `clock` is in Unix seconds.

    A peer that is banned again is banned `GROWTH` times as long, up to `MAX_BAN` seconds; each `FORGIVEN` seconds without a
    ban make up for one. An address from which several peers were banned lately is barred with the last of them."""

    def __init__(
        self, budget: int, window: float, ban_time: float, clock: Callable[[], float], bans: Iterable[Ban] = ()
    ) -> None:
        self._budget = budget
        self._window = window
        self._ban_time = ban_time
        self._clock = clock
        self._recent: dict[str, deque[float]] = {}
        self._totals: dict[str, int] = {}
        self._bans: dict[str, Ban] = {ban.peer: ban for ban in bans}

    def penalize(self, peer: str, ip: str = "") -> bool:
        """Count one misbehaviour of `peer`. Returns whether it exceeds the budget, so that the peer is banned now.

        `ip` is the public address that it came from, if any."""
        now = self._clock()
        self._forget_some()
        self._totals[peer] = self._totals.get(peer, 0) + 1
        recent = self._recent.setdefault(peer, deque(maxlen=self._budget + 1))
        recent.append(now)
        while recent and recent[0] < now - self._window:
            recent.popleft()
        if len(recent) <= self._budget or self.banned(peer):
            return False
        self._ban(peer, ip, now)
        recent.clear()
        return True

    def _ban(self, peer: str, ip: str, now: float) -> None:
        before = self._bans.pop(peer, None)
        times = 1 if before is None else 1 + max(0, before.times - int((now - before.until) / FORGIVEN))
        seconds = min(MAX_BAN, self._ban_time * GROWTH ** min(times - 1, 10))
        self._bans[peer] = Ban(peer, now + seconds, now, times, ip)

    def banned(self, peer: str) -> bool:
        """Whether `peer` is banned at the moment."""
        ban = self._bans.get(peer)
        return ban is not None and ban.until > self._clock()

    def barred(self, ip: str) -> bool:
        """Whether nobody may connect from an address: peers that came from it were banned lately, again and again."""
        now, origin = self._clock(), origin_of(ip)
        bans = [ban for ban in self._bans.values() if ip and origin_of(ban.ip) == origin and ban.at > now - FORGIVEN]
        return sum(ban.times for ban in bans) >= RECURRING and any(ban.until > now for ban in bans)

    def unban(self, peer: str) -> None:
        """Let a banned peer in again, as when a person asks to connect to it."""
        self._bans.pop(peer, None)
        self._recent.pop(peer, None)

    def bans(self) -> tuple[Ban, ...]:
        """The bans that matter: those in force, and those that a further one would be longer for."""
        now = self._clock()
        return tuple(ban for ban in self._bans.values() if ban.until > now - ban.times * FORGIVEN)

    def total(self, peer: str) -> int:
        """Number of misbehaviours of a peer since the start."""
        return self._totals.get(peer, 0)

    def totals(self) -> Mapping[str, int]:
        """Number of misbehaviours since the start, by peer; peers of long ago are left out."""
        return dict(self._totals)

    def _forget_some(self) -> None:
        # Peer ids are free to make: remembering them without bound would be an attack.
        while len(self._totals) > MAX_REMEMBERED:
            oldest = next(iter(self._totals))
            del self._totals[oldest]
            self._recent.pop(oldest, None)
        while len(self._bans) > MAX_REMEMBERED:
            del self._bans[next(iter(self._bans))]


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
