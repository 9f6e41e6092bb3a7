"""Which of our heads each peer on the topic was seen to hold, and since when one has not taken what it lacks. Pure.

A peer is seen to hold a block when it announces it as a head (the signed author of the broadcast, not the neighbour that
forwarded it), is sent it, sends it, or answers that it has it. Whoever holds a head is taken to hold what is below. A
peer that was seen to hold all our heads is level. What it lacks is asked about after a moment, in which it can fetch,
and again at growing pauses; a peer of this project that got a block inline tells us only then that it has it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest

from betar_tui.replica import DagNode

MAX_HEADS = 64
"""Maximum own heads, the highest ones, that are looked at."""
MAX_HEIGHTS = 8192
"""Maximum blocks whose height is remembered."""
MAX_HELD = 256
"""Maximum blocks remembered that a peer was seen to hold: those of our heads that are looked at, and the last others."""
ASK_AFTER, LONGEST_ASK_PAUSE = 0.8, 30.0
"""Seconds from the moment at which a peer lacks a head until it is asked, and the longest pause until it is asked again."""
PATIENCE = 5.0
"""Seconds without a sign from a peer that lacks a head, after which it counts as waiting."""


@dataclass(slots=True)
class _Level:
    held: dict[bytes, None] = field(default_factory=dict)
    height: int = 0  # the greatest of a block that it was seen to hold, among those that have left `held`
    lacking_since: float | None = None
    sign: float = float("-inf")  # when it was last seen to hold something new
    asked: int = 0
    ask_at: float = float("inf")


@dataclass(frozen=True, slots=True)
class Question:
    """A peer to ask whether it holds these heads."""

    peer: str
    heads: tuple[bytes, ...]
    unanswered: bool
    """Whether it was asked before, and has not given a sign since."""


class Levels:
    """The level of each tracked peer. Times are in seconds of any clock that does not go back."""

    def __init__(self, heads: Mapping[bytes, int]) -> None:
        self._heights: dict[bytes, int] = {}
        self._peers: dict[str, _Level] = {}
        self._since: dict[bytes, float] = {}  # when each head, among the highest, was first looked at
        self.heads_are(heads)

    def heads_are(self, heads: Mapping[bytes, int]) -> None:
        """Our heads with their heights, as they are now."""
        self._heads = heads
        self._top: dict[bytes, int] | None = None

    def applied(self, nodes: Sequence[DagNode]) -> None:
        """These were merged or written."""
        for node in nodes[-MAX_HEIGHTS:]:
            self._heights[node.cid] = node.delta.priority
        while len(self._heights) > MAX_HEIGHTS:
            del self._heights[next(iter(self._heights))]

    def joined(self, peer: str) -> None:
        """Track a peer on the topic."""
        self._peers.setdefault(peer, _Level())

    def left(self, peer: str) -> None:
        """Track a peer no longer."""
        self._peers.pop(peer, None)

    def holds(self, peer: str, cids: Iterable[bytes], now: float) -> bool:
        """A peer was seen to hold these blocks. Returns whether one of them was new, which may bring the next question
        forward."""
        level = self._peers.get(peer)
        if level is None:
            return False
        held, new = level.held, False
        for cid in cids:
            if cid not in held:
                new, held[cid] = True, None
                if len(held) > MAX_HELD:
                    ours = self._top_heads()
                    oldest = next(each for each in held if each not in ours)
                    del held[oldest]
                    level.height = max(level.height, self._height(oldest))
        if new:
            level.sign, level.asked, level.ask_at = now, 0, min(level.ask_at, now + ASK_AFTER)
            if not self._lacking(level):
                level.lacking_since, level.ask_at = None, float("inf")
        return new

    def lacked_for(self, peer: str, cid: bytes, now: float) -> float:
        """For how many seconds a peer could have fetched a block and was not seen to hold it; 0 if it is not one of our
        heads, or the peer was seen to hold it."""
        level, since = self._peers.get(peer), self._since.get(cid)
        if level is None or level.lacking_since is None or since is None or cid in level.held or cid not in self._heads:
            return 0.0
        return now - max(level.lacking_since, since)

    def behind(self, peer: str) -> int | None:
        """By how many heights a peer was seen to be below our newest head; 0 when it was seen to hold all our heads, None
        when nothing is known. One that lacks a lower head only is behind by one."""
        level = self._peers.get(peer)
        if level is None or not self._heads:
            return None
        lacking = self._lacking(level)
        if not lacking:
            return 0
        height = max(level.height, max(map(self._height, level.held), default=0))
        return max(1, self._top_heads()[lacking[0]] - height) if height else None

    def waiting_since(self, peer: str, now: float) -> float | None:
        """Since when a peer that lacks a head has given no sign; None for a level one, and for the first seconds."""
        level = self._peers.get(peer)
        if level is None or level.lacking_since is None or not self._lacking(level):
            return None
        since = max(level.lacking_since, level.sign)
        return since if now - since >= PATIENCE else None

    def questions(self, now: float) -> list[Question]:
        """The peers to ask now; they count as asked."""
        result = []
        self._since = {cid: self._since.get(cid, now) for cid in self._top_heads()}
        for peer, level in self._peers.items():
            lacking = self._lacking(level)
            if not lacking:
                level.lacking_since, level.asked, level.ask_at = None, 0, float("inf")
                continue
            if level.lacking_since is None:
                level.lacking_since, level.ask_at = now, now + ASK_AFTER
            if level.ask_at <= now:
                result.append(Question(peer, tuple(lacking), level.asked > 0))
                level.asked += 1
                level.ask_at = now + min(2.0 ** (level.asked - 1), LONGEST_ASK_PAUSE)
        return result

    def next_question(self) -> float:
        """When `questions` must be called next if nothing happens; infinity when never."""
        return min((level.ask_at for level in self._peers.values()), default=float("inf"))

    def _top_heads(self) -> dict[bytes, int]:
        if self._top is None:
            self._top = dict(nlargest(MAX_HEADS, self._heads.items(), key=lambda head: head[1]))
        return self._top

    def _lacking(self, level: _Level) -> list[bytes]:
        """Our heads that a peer was not seen to hold, the highest first."""
        return [cid for cid in self._top_heads() if cid not in level.held]

    def _height(self, cid: bytes) -> int:
        return self._heights.get(cid) or self._heads.get(cid, 0)
