"""The event stream: whoever reports an event never waits for whoever reads it.

Events wait here until the reader takes them, in three lanes that never displace each other: broadcasts, faults, and the
rest, which is news about peers. When the reader is slow the oldest of a lane gives way to the newest (a later broadcast
names newer heads, a later fault is as good as an earlier one).
"""

from __future__ import annotations

from collections import deque
from itertools import count

import trio

from betar_tui.p2p.types import Fault, NetworkEvent, ReceivedBroadcast

BROADCASTS = 1024
FAULTS = 256
LIMIT = 8192


class _Lane:
    """Events of one kind, each with its place in the order of all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.waiting: deque[tuple[int, NetworkEvent]] = deque()
        self.dropped = 0

    def put(self, place: int, event: NetworkEvent) -> None:
        if len(self.waiting) >= self._limit:
            self.waiting.popleft()
            self.dropped += 1
        self.waiting.append((place, event))


class Outbox:
    """A queue between reporters that may not wait and one reader; `pump` must be running."""

    def __init__(self, broadcasts: int = BROADCASTS, limit: int = LIMIT, faults: int = FAULTS) -> None:
        self._broadcasts = _Lane(broadcasts)
        self._faults = _Lane(faults)
        self._others = _Lane(limit)
        self._places = count()
        self._news = trio.Event()
        self._send, self.receive = trio.open_memory_channel[NetworkEvent](0)

    @property
    def dropped(self) -> int:
        """How many events gave way, faults not counted."""
        return self._broadcasts.dropped + self._others.dropped

    def put(self, event: NetworkEvent) -> None:
        """Report an event."""
        if isinstance(event, ReceivedBroadcast):
            lane = self._broadcasts
        else:
            lane = self._faults if isinstance(event, Fault) else self._others
        lane.put(next(self._places), event)
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
        return min(lanes, key=lambda lane: lane.waiting[0][0]).waiting.popleft()[1]
