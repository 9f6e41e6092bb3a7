"""Events from one peer to all its watchers.

A watcher that does not keep up never delays the peer: events that do not fit its buffer are left out, and a `Missed`
with their number comes before the next event that does fit."""

import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import trio

from betar_tui.market.marketplace import Event, Missed

BUFFER = 4096
"""Maximum events that wait for one watcher."""


class EventHub:
    """Hands each event to every watcher."""

    def __init__(self, buffer: int = BUFFER) -> None:
        self._buffer = buffer
        self._watchers: dict[trio.MemorySendChannel[Event], int] = {}

    def emit(self, events: Iterable[Event]) -> None:
        """Send events to all watchers. Never blocks, never raises."""
        for event in events:
            for channel in list(self._watchers):
                self._deliver(channel, event)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """The events from now on."""
        send, receive = trio.open_memory_channel[Event](self._buffer)
        self._watchers[send] = 0
        try:
            async with send, receive:
                yield receive
        finally:
            self._watchers.pop(send, None)

    def _deliver(self, channel: trio.MemorySendChannel[Event], event: Event) -> None:
        missed = self._watchers[channel]
        try:
            if missed and self._free(channel) >= 2:
                channel.send_nowait(Missed(missed))
                missed = 0
            if missed:
                raise trio.WouldBlock
            channel.send_nowait(event)
        except trio.WouldBlock:
            missed += 1
        except trio.BrokenResourceError:
            self._watchers.pop(channel, None)
            return
        self._watchers[channel] = missed

    @staticmethod
    def _free(channel: trio.MemorySendChannel[Event]) -> float:
        statistics = channel.statistics()
        return (
            math.inf
            if statistics.tasks_waiting_receive
            else statistics.max_buffer_size - statistics.current_buffer_used
        )
