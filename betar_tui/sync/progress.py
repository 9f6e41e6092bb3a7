"""Measures the progress of a sync. Pure: the clock is passed in."""

import math
from collections import deque
from collections.abc import Callable

from betar_tui.values import SyncProgress

WINDOW = 3.0
"""Seconds over which a rate is measured."""
STALLED = 30.0
"""Seconds without a delta after which a sync is not shown any more: anybody can announce blocks that nobody has."""


class ProgressMeter:
    """Counts merged deltas from the first missing block to the last. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._fetched = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._last = -math.inf

    def merged(self, count: int, missing: int) -> int:
        """Note that `count` missing deltas were merged, after which `missing` blocks are known to be missing.

        Returns the number of deltas of the whole sync when this was its end, else 0."""
        if missing:
            if count:
                if self._is_stalled():
                    self._fetched = 0
                self._last = self._clock()
                self._fetched += count
                self._recent.append((self._last, count))
                self._forget()  # `now` may never be called
            return 0
        fetched, self._fetched = self._fetched, 0
        self._recent.clear()
        return fetched and fetched + count

    def now(self, missing: int, source: str) -> SyncProgress | None:
        """The progress, None when nothing is missing or the sync has stalled."""
        if missing == 0 or self._is_stalled():
            return None
        self._forget()
        rate = sum(count for _, count in self._recent) / WINDOW
        return SyncProgress(self._fetched, missing, rate, source)

    def _is_stalled(self) -> bool:
        return self._clock() - self._last > STALLED

    def _forget(self) -> None:
        since = self._clock() - WINDOW
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
