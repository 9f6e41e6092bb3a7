"""When to announce again an own head that a peer on the topic says it lacks. Pure.

Gossip loses messages: a Go peer drops broadcasts while it walks a DAG, and a connection may die under one. A peer that
was asked and has not got a head is told of it again at growing pauses, and then with the periodic announcements only:
what it lacks for good, or says that it lacks, must not make us broadcast for ever."""

import random
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

REANNOUNCE_AFTER = 3.0
"""Seconds from the moment at which a peer could have fetched a head until it is announced again; they double after each
time. Also the minimum seconds between two such broadcasts, whoever lacks whatever."""
MAX_TIMES = 4
"""Maximum times that a head is announced again for a peer."""
MAX_LACKED = 64
"""Maximum heads that are remembered as lacked."""


@dataclass(slots=True)
class _Lacked:
    pause: float
    at: float  # when it is to be announced
    times: int = 0
    said: bool = True  # whether the peer has said so since it was announced last

    def may_be_announced(self, now: float) -> bool:
        """Whether more than half of the pause is over: an announcement for something else, or of another peer, then
        stands for this one."""
        return now >= self.at - self.pause / 2

    def announced(self, now: float, jitter: float) -> None:
        self.times += 1
        self.said = False
        self.pause = REANNOUNCE_AFTER * 2.0**self.times * jitter
        self.at = now + self.pause if self.times < MAX_TIMES else float("inf")


class Reannouncing:
    """Which heads to announce again, and when. Times are in seconds of any clock that does not go back. `jitter` returns
    the factor of the next pause: of several peers that know the same, the first one speaks for all."""

    def __init__(self, jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2)) -> None:
        self._jitter = jitter
        self._lacked: dict[bytes, dict[str, _Lacked]] = {}
        self._not_before = float("-inf")

    def lacks(self, peer: str, head: bytes, since: float) -> None:
        """A peer says that it lacks an own head, which it could have fetched since then."""
        if head not in self._lacked and len(self._lacked) >= MAX_LACKED:
            return
        peers = self._lacked.setdefault(head, {})
        if peer in peers:
            peers[peer].said = True
        else:
            pause = REANNOUNCE_AFTER * self._jitter()
            peers[peer] = _Lacked(pause, since + pause)

    def holds(self, peer: str, cids: Iterable[bytes]) -> None:
        """A peer was seen to hold these blocks."""
        for cid in cids:
            if (peers := self._lacked.get(cid)) and peers.pop(peer, None) and not peers:
                del self._lacked[cid]

    def left(self, peer: str) -> None:
        """A peer is not on the topic any more."""
        self.holds(peer, tuple(self._lacked))

    def announced(self, heads: Iterable[bytes], now: float) -> None:
        """These were announced, by us or by another peer."""
        for head in heads:
            for lacked in self._lacked.get(head, {}).values():
                if lacked.may_be_announced(now):
                    lacked.announced(now, self._jitter())

    def take(self, now: float, heads: Container[bytes]) -> list[bytes]:
        """Those of our heads to announce now, in one broadcast; they count as announced."""
        self._lacked = {head: peers for head, peers in self._lacked.items() if head in heads}
        if now < self.next_due():
            return []
        due = [head for head in self._lacked if any(each.may_be_announced(now) for each in self._saying(head))]
        self._not_before = now + REANNOUNCE_AFTER
        self.announced(due, now)
        return due

    def next_due(self) -> float:
        """When `take` returns something next if nothing happens; infinity when never."""
        due = min((each.at for head in self._lacked for each in self._saying(head)), default=float("inf"))
        return max(due, self._not_before)

    def _saying(self, head: bytes) -> list[_Lacked]:
        return [each for each in self._lacked[head].values() if each.said]
