"""The ids of messages that were seen lately."""

import time
from collections import OrderedDict
from collections.abc import Callable

SEEN_SECONDS = 120.0
"""Seconds for which the id of a message is remembered."""
MAX_SEEN = 50_000
"""Maximum ids remembered."""


class SeenMessages:
    """Message ids seen lately, forgotten after `ttl` seconds or beyond `limit`.

    py-libp2p 0.8.1: its cache starts a thread for each Pubsub that nothing ever stops, and has no limit."""

    def __init__(self, ttl: float, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl = ttl
        self._limit = limit
        self._clock = clock
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def add(self, key: bytes) -> bool:
        """Remember `key`. Returns whether it is new."""
        new = not self.has(key)
        self._seen[key] = self._clock() + self._ttl
        self._seen.move_to_end(key)
        while len(self._seen) > self._limit:
            self._seen.popitem(last=False)
        return new

    def has(self, key: bytes) -> bool:
        """Whether `key` was seen within the last `ttl` seconds."""
        now = self._clock()
        while self._seen and next(iter(self._seen.values())) < now:
            self._seen.popitem(last=False)
        return key in self._seen

    def __len__(self) -> int:
        return len(self._seen)
