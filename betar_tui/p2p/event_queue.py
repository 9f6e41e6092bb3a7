"""The event stream: whoever reports an event never waits for whoever reads it.

Events wait here until the reader takes them, in three lanes that never displace each other: broadcasts, faults, and the
rest, which is news about peers. When the reader is slow the oldest of a lane gives way to the newest (a later broadcast
names newer heads, a later fault is as good as an earlier one). Of broadcasts those give way first whose author has more
than its share waiting.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import count

import trio

from betar_tui.p2p.types import Misbehaviour, NetworkEvent, ReceivedBroadcast

BROADCASTS = 1024
BROADCAST_BYTES = 8 << 20
"""How many bytes the broadcasts that wait may have together."""
SHARE = 8
"""One author may hold the part of a full lane that one of so many would have."""
FAULTS = 256
LIMIT = 8192


@dataclass(slots=True)
class _Held:
    """What waits of one author."""

    places: deque[int] = field(default_factory=deque)
    bytes: int = 0


class _Lane:
    """Events of one kind by their place in the order of all, each with its author and its size."""

    def __init__(self, limit: int, max_bytes: float = math.inf) -> None:
        self._limit, self._max_bytes = limit, max_bytes
        self._bytes = 0
        self._held: dict[str, _Held] = {}
        self._greedy: dict[str, None] = {}
        self.waiting: OrderedDict[int, tuple[NetworkEvent, str, int]] = OrderedDict()
        self.dropped = 0

    def put(self, place: int, event: NetworkEvent, author: str = "", size: int = 0) -> None:
        self.waiting[place] = event, author, size
        self._bytes += size
        held = self._held.setdefault(author, _Held())
        held.places.append(place)
        held.bytes += size
        self._weigh(author, held)
        while len(self.waiting) > self._limit or self._bytes > self._max_bytes:
            self._remove(self._least(author))
            self.dropped += 1

    def take(self) -> NetworkEvent:
        return self._remove(next(iter(self.waiting)))

    def _least(self, author: str) -> int:
        """The place of what gives way: the oldest of an author that has more than its share, best of this one; or else of
        all."""
        if self._greedy:
            return self._held[author if author in self._greedy else next(iter(self._greedy))].places[0]
        return next(iter(self.waiting))

    def _remove(self, place: int) -> NetworkEvent:
        """Take out what is the oldest of its author."""
        event, author, size = self.waiting.pop(place)
        self._bytes -= size
        held = self._held[author]
        held.places.popleft()
        held.bytes -= size
        self._weigh(author, held)
        return event

    def _weigh(self, author: str, held: _Held) -> None:
        if len(held.places) * SHARE > self._limit or held.bytes * SHARE > self._max_bytes:
            self._greedy[author] = None
        else:
            self._greedy.pop(author, None)
        if not held.places:
            del self._held[author]


class EventQueue:
    """A queue between reporters that may not wait and one reader; `pump` must be running."""

    def __init__(self, broadcasts: int = BROADCASTS, limit: int = LIMIT, faults: int = FAULTS) -> None:
        self._broadcasts = _Lane(broadcasts, BROADCAST_BYTES)
        self._faults = _Lane(faults)
        self._others = _Lane(limit)
        self._places = count()
        self._news = trio.Event()
        self._send, self.receive = trio.open_memory_channel[NetworkEvent](0)

    @property
    def dropped(self) -> int:
        """How many events gave way, faults not counted."""
        return self._broadcasts.dropped + self._others.dropped

    def put(self, event: NetworkEvent, size: int = 0) -> None:
        """Report an event; `size` is the memory that the payload of a broadcast takes, in bytes."""
        place = next(self._places)
        if isinstance(event, ReceivedBroadcast):
            self._broadcasts.put(place, event, event.author, size)
        else:
            (self._faults if isinstance(event, Misbehaviour) else self._others).put(place, event)
        self._news.set()

    async def pump(self) -> None:
        """A service: hands the events over, in order."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            while (event := self._next()) is not None:
                try:
                    await self._send.send(event)
                except trio.BrokenResourceError:  # the reader closed its end: nobody wants to know
                    continue

    def close(self) -> None:
        """No more events: the reader's loop ends."""
        self._send.close()

    def _next(self) -> NetworkEvent | None:
        lanes = [lane for lane in (self._broadcasts, self._faults, self._others) if lane.waiting]
        if not lanes:
            return None
        return min(lanes, key=lambda lane: next(iter(lane.waiting))).take()
