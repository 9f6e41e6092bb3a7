"""Events from one peer to all its watchers.

A watcher that does not keep up never delays the peer: events that do not fit its buffer are left out, and a `Missed`
with their number comes before the next event that does fit."""

import math
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import trio

from betar_tui.market.marketplace import Change, Event, Missed

BUFFER = 4096
"""Maximum events that wait for one watcher."""
BUFFER_BYTES = 16 << 20
"""Maximum memory that they take, by estimate: a listing of 64 KiB may have thousands of fields, each an object."""
_EVENT_BYTES, _VALUE_BYTES = 1 << 10, 256
"""About what an event takes, and each value in a listing that it carries."""


class _Watcher:
    """How many events one watcher has missed, and what those take that wait for it, oldest first."""

    def __init__(self) -> None:
        self.missed = 0
        self._weights: deque[int] = deque()
        self._bytes = 0

    def has_room(self, weight: int, waiting: int) -> bool:
        """Whether an event of this weight may join the `waiting` ones; the first one always may."""
        while len(self._weights) > waiting:
            self._bytes -= self._weights.popleft()
        return not self._bytes or self._bytes + weight <= BUFFER_BYTES

    def add(self, weight: int) -> None:
        """An event waits."""
        self._weights.append(weight)
        self._bytes += weight


class EventHub:
    """Hands each event to every watcher."""

    def __init__(self, buffer: int = BUFFER) -> None:
        self._buffer = buffer
        self._watchers: dict[trio.MemorySendChannel[Event], _Watcher] = {}

    def emit(self, events: Iterable[Event]) -> None:
        """Send events to all watchers. Never blocks, never raises."""
        if not self._watchers:
            return
        for event in events:
            weight = _weight(event)
            for channel in list(self._watchers):
                self._deliver(channel, event, weight)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """The events from now on."""
        send, receive = trio.open_memory_channel[Event](self._buffer)
        self._watchers[send] = _Watcher()
        try:
            async with send, receive:
                yield receive
        finally:
            self._watchers.pop(send, None)

    def _deliver(self, channel: trio.MemorySendChannel[Event], event: Event, weight: int) -> None:
        watcher, state = self._watchers[channel], channel.statistics()
        reads = state.tasks_waiting_receive > 0
        free = math.inf if reads else state.max_buffer_size - state.current_buffer_used
        if not watcher.has_room(weight, state.current_buffer_used) or free < (2 if watcher.missed else 1):
            watcher.missed += 1
            return
        events: list[tuple[Event, int]] = [(event, weight)]
        if watcher.missed:
            events.insert(0, (Missed(watcher.missed), 0))
            watcher.missed = 0
        try:
            for each, its_weight in events:
                channel.send_nowait(each)
                if not reads:
                    watcher.add(its_weight)
                reads = False  # it has what it waited for
        except trio.BrokenResourceError:
            self._watchers.pop(channel, None)


def _weight(event: Event) -> int:
    """About how many bytes of memory an event takes."""
    if not isinstance(event, Change) or event.listing is None:
        return _EVENT_BYTES
    listing = event.listing
    values = _values(listing.extra) + _values(listing.metadata) + _values(event.changed)
    described = len(listing.description) + len(str((event.changed or {}).get("description", "")))
    return _EVENT_BYTES + described + _VALUE_BYTES * values


def _values(value: object) -> int:
    """Number of values in a JSON value, those nested in it included."""
    found, left = 0, [value]
    while left:
        each = left.pop()
        found += 1
        if isinstance(each, Mapping):
            left += each.values()
        elif isinstance(each, list | tuple):
            left += each
    return found
