"""How fast a server answers: each peer has an allowance, whatever number of streams it uses and however often it connects,
and all peers share one, since peer ids are free to make. Pure: the caller passes the time."""

from dataclasses import dataclass

RATE, BURST = 10.0, 100.0
"""Requests of a peer that are answered per second, and at once after a pause; more of them wait."""
COMMON_RATE, COMMON_BURST = 50.0, 200.0
"""The same for all peers together: an answer takes one to three milliseconds."""
MAX_WAIT = 5.0
"""Seconds that a request waits at most, about as long as an asker does; one that would wait longer is refused."""
MAX_PEERS = 2048
"""Maximum peers whose allowance is remembered: more than can use some of it before the first has all of it again."""


@dataclass(slots=True)
class _Bucket:
    rate: float
    burst: float
    left: float
    since: float

    def wait(self, now: float) -> float:
        """Seconds until one more request may be answered."""
        self.left = min(self.burst, self.left + self.rate * (now - self.since))
        self.since = now
        return max(0.0, (1 - self.left) / self.rate)


class Allowances:
    """One bucket of requests for each peer that has asked lately, and one for all."""

    def __init__(self) -> None:
        self._common = _Bucket(COMMON_RATE, COMMON_BURST, COMMON_BURST, 0.0)
        self._peers: dict[str, _Bucket] = {}  # the one that asked longest ago first

    def take(self, peer: str, now: float) -> float | None:
        """Count a request. Returns the seconds to wait before it is answered, or None, uncounted, where it is refused."""
        bucket = self._peers.get(peer) or _Bucket(RATE, BURST, BURST, now)
        wait = max(bucket.wait(now), self._common.wait(now))
        if wait > MAX_WAIT:
            return None
        bucket.left -= 1
        self._common.left -= 1
        self._peers.pop(peer, None)
        self._peers[peer] = bucket
        if len(self._peers) > MAX_PEERS:
            del self._peers[next(iter(self._peers))]
        return wait
