"""The event stream: reporting an event never waits for the reader.

Events are queued in four lanes that never displace each other: broadcasts of authors in good standing, those of others,
misbehaviours, and the rest, which is news about peers. When the reader is slow the newest event of a lane displaces the
oldest (a later broadcast names newer heads, a later misbehaviour is as good as an earlier one). Of broadcasts, those of
an author with more than its share go first; but throw-away authors each have a small one, so while broadcasts wait of
authors in good standing, only one in `STANDING_IN_A_ROW` + 1 is of another: a new author is heard even if known ones
never pause."""

import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.p2p.types import Misbehaviour, NetworkEvent, ReceivedBroadcast

MAX_BROADCASTS, MAX_BROADCAST_BYTES = 1024, 8 << 20
"""Maximum queued broadcasts, and bytes of them: of authors in good standing, and as many of others."""
AUTHORS_PER_LANE = 8
"""Number of authors that share a full lane: events of an author with more than its share are dropped first."""
MAX_MISBEHAVIOURS, MAX_OTHERS = 256, 8192
"""Maximum queued reports of misbehaviour, and other events."""
STANDING_IN_A_ROW = 7
"""Maximum broadcasts of authors in good standing that are read one after the other while one of another author waits."""
EVENTS_PER_TURN = 8
"""Maximum events that are taken between two turns of the event loop."""


@dataclass(slots=True)
class _Queued:
    """The queued events of one author, by number, and their bytes."""

    numbers: deque[int] = field(default_factory=deque)
    bytes: int = 0


class _Lane:
    """Events of one kind by their number in the order of all, each with its author and its size."""

    def __init__(self, limit: int, max_bytes: float = math.inf) -> None:
        self._limit, self._max_bytes = limit, max_bytes
        self._bytes = 0
        self._queued: dict[str, _Queued] = {}
        self._greedy: dict[str, None] = {}
        self.events: OrderedDict[int, tuple[NetworkEvent, str, int]] = OrderedDict()
        self.dropped = 0

    def put(self, number: int, event: NetworkEvent, author: str = "", size: int = 0) -> None:
        self.events[number] = event, author, size
        self._bytes += size
        queued = self._queued.setdefault(author, _Queued())
        queued.numbers.append(number)
        queued.bytes += size
        self._classify(author, queued)
        while len(self.events) > self._limit or self._bytes > self._max_bytes:
            self._remove(self._next_to_drop(author))
            self.dropped += 1

    def take(self) -> NetworkEvent:
        return self._remove(next(iter(self.events)))

    def _next_to_drop(self, author: str) -> int:
        """The number of the oldest event of a greedy author, preferably this one; or else the oldest of all."""
        if self._greedy:
            return self._queued[author if author in self._greedy else next(iter(self._greedy))].numbers[0]
        return next(iter(self.events))

    def _remove(self, number: int) -> NetworkEvent:
        """Remove the oldest event of its author."""
        event, author, size = self.events.pop(number)
        self._bytes -= size
        queued = self._queued[author]
        queued.numbers.popleft()
        queued.bytes -= size
        self._classify(author, queued)
        return event

    def _classify(self, author: str, queued: _Queued) -> None:
        many = len(queued.numbers) * AUTHORS_PER_LANE > self._limit
        if many or queued.bytes * AUTHORS_PER_LANE > self._max_bytes:
            self._greedy[author] = None
        else:
            self._greedy.pop(author, None)
        if not queued.numbers:
            del self._queued[author]


class EventReader(Protocol):
    """The reader's end of the queue."""

    def __aiter__(self) -> AsyncIterator[NetworkEvent]:
        """The events, until the queue is closed."""

    async def receive(self) -> NetworkEvent:
        """The next event, in order; waits for one. Raises EndOfChannel once the queue is closed."""


class EventQueue:
    """A queue between reporters that must not wait and one reader, which takes the events with `async for`."""

    def __init__(
        self, broadcasts: int = MAX_BROADCASTS, others: int = MAX_OTHERS, misbehaviours: int = MAX_MISBEHAVIOURS
    ) -> None:
        self._standing = _Lane(broadcasts, MAX_BROADCAST_BYTES)
        self._broadcasts = _Lane(broadcasts, MAX_BROADCAST_BYTES)
        self._misbehaviours = _Lane(misbehaviours)
        self._others = _Lane(others)
        self._numbers = count()
        self._taken = 0
        self._in_a_row = 0  # broadcasts of authors in good standing
        self._work = Wakeup()
        self._closed = False

    @property
    def dropped(self) -> int:
        """Number of events dropped, without misbehaviours."""
        return self._standing.dropped + self._broadcasts.dropped + self._others.dropped

    def put(self, event: NetworkEvent, size: int = 0, standing: bool = False) -> None:
        """Report an event; `size` is the memory that the payload of a broadcast takes, in bytes, and `standing` whether its
        author is in good standing."""
        number = next(self._numbers)
        if isinstance(event, ReceivedBroadcast):
            (self._standing if standing else self._broadcasts).put(number, event, event.author, size)
        else:
            (self._misbehaviours if isinstance(event, Misbehaviour) else self._others).put(number, event)
        self._work.set()

    def __aiter__(self) -> AsyncIterator[NetworkEvent]:
        return self

    async def __anext__(self) -> NetworkEvent:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    async def receive(self) -> NetworkEvent:
        """The next event, in order; waits for one. Raises EndOfChannel once the queue is closed."""
        self._taken += 1
        if not self._taken % EVENTS_PER_TURN:
            await trio.lowlevel.checkpoint()
        while not self._closed:
            event = self._next()
            if event is not None:
                return event
            await self._work.wait()
        raise trio.EndOfChannel

    def close(self) -> None:
        """No more events: the reader's loop ends."""
        self._closed = True
        self._work.set()

    def _next(self) -> NetworkEvent | None:
        others_turn = self._in_a_row >= STANDING_IN_A_ROW and self._broadcasts.events
        broadcasts = self._standing if self._standing.events and not others_turn else self._broadcasts
        lanes = [lane for lane in (broadcasts, self._misbehaviours, self._others) if lane.events]
        if not lanes:
            return None
        lane = lanes[0] if len(lanes) == 1 else min(lanes, key=lambda lane: next(iter(lane.events)))
        if lane is broadcasts:
            self._in_a_row = self._in_a_row + 1 if lane is self._standing else 0
        return lane.take()
