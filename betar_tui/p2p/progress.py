"""How a sync goes on, in numbers. Pure: the clock is handed in."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

WINDOW = 3.0
"""Over how many seconds a rate is taken."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A sync under way: deltas merged since it began, blocks known to be missing, deltas a second, and the peer that
    sends them ("" when they come from several)."""

    fetched: int
    missing: int
    rate: float
    source: str


class ProgressMeter:
    """Counts merged deltas from the first missing block to the last. `clock` tells seconds and does not go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._fetched = 0
        self._recent: deque[tuple[float, int]] = deque()

    def merged(self, count: int, missing: int) -> int:
        """So many deltas were merged, and so many blocks are known to be missing after that. Returns how many there were in
        all where this was the end of a sync, else 0."""
        if missing:
            self._fetched += count
            self._recent.append((self._clock(), count))
            self._forget()  # nobody may ever ask
            return 0
        fetched, self._fetched = self._fetched, 0
        self._recent.clear()
        return fetched and fetched + count

    def now(self, missing: int, source: str) -> Progress | None:
        """The progress, None when nothing is missing."""
        if missing == 0:
            return None
        self._forget()
        rate = sum(count for _, count in self._recent) / WINDOW
        return Progress(self._fetched, missing, rate, source)

    def _forget(self) -> None:
        since = self._clock() - WINDOW
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
