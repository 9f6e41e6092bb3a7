"""The event stream: whoever reports an event never waits for whoever reads it.

Events wait here until the reader takes them. When it is slow the oldest broadcast gives way to the newest (a later
one names newer heads) and is counted; news about peers is kept, at most `LIMIT` of everything.
"""

from __future__ import annotations

from collections import deque

import trio

from betar_tui.p2p.types import NetworkEvent, ReceivedBroadcast

BROADCASTS = 1024
LIMIT = 8192


class Outbox:
    """A queue between reporters that may not wait and one reader; `pump` must be running."""

    def __init__(self, broadcasts: int = BROADCASTS, limit: int = LIMIT) -> None:
        self._broadcasts = broadcasts
        self._limit = limit
        self._waiting: deque[NetworkEvent] = deque()
        self._waiting_broadcasts = 0
        self._news = trio.Event()
        self._send, self.receive = trio.open_memory_channel[NetworkEvent](0)
        self.dropped = 0

    def put(self, event: NetworkEvent) -> None:
        """Report an event."""
        if isinstance(event, ReceivedBroadcast):
            if self._waiting_broadcasts >= self._broadcasts:
                self._drop_oldest_broadcast()
            self._waiting_broadcasts += 1
        elif len(self._waiting) >= self._limit:
            gone = self._waiting.popleft()
            self._waiting_broadcasts -= isinstance(gone, ReceivedBroadcast)
            self.dropped += 1
        self._waiting.append(event)
        self._news.set()

    async def pump(self) -> None:
        """A service: hands the events over, in order."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            while self._waiting:
                event = self._waiting.popleft()
                self._waiting_broadcasts -= isinstance(event, ReceivedBroadcast)
                try:
                    await self._send.send(event)
                except trio.BrokenResourceError:  # the reader closed its end: nobody wants to know
                    self._waiting.clear()
                    self._waiting_broadcasts = 0

    def close(self) -> None:
        """No more events: the reader's loop ends."""
        self._send.close()

    def _drop_oldest_broadcast(self) -> None:
        for index, event in enumerate(self._waiting):
            if isinstance(event, ReceivedBroadcast):
                del self._waiting[index]
                self._waiting_broadcasts -= 1
                self.dropped += 1
                return
