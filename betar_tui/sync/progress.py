"""How a sync goes on, in numbers. Pure: the clock is handed in."""

import math
from collections import deque
from collections.abc import Callable

from betar_tui.values import SyncProgress

WINDOW = 3.0
"""Over how many seconds a rate is taken."""
STALLED = 30.0
"""A sync of which nothing has come for so many seconds is none: anybody can name blocks that nobody has."""


class ProgressMeter:
    """Counts merged deltas from the first missing block to the last. `clock` tells seconds and does not go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._fetched = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._last = -math.inf

    def merged(self, count: int, missing: int) -> int:
        """So many deltas that were missing were merged, and so many blocks are known to be missing after that. Returns how
        many there were in all where this was the end of a sync, else 0."""
        if missing:
            if count:
                if self._is_stalled():
                    self._fetched = 0
                self._last = self._clock()
                self._fetched += count
                self._recent.append((self._last, count))
                self._forget()  # nobody may ever ask
            return 0
        fetched, self._fetched = self._fetched, 0
        self._recent.clear()
        return fetched and fetched + count

    def now(self, missing: int, source: str) -> SyncProgress | None:
        """The progress, None when nothing is missing or nothing comes."""
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
