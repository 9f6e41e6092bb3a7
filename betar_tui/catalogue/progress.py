"""How much of a backlog is worked off. Any thread may call."""

import threading

from betar_tui.market.marketplace import Indexing

MIN_SHOWN = 100
"""Minimum listings whose indexing is shown as progress: in a live market a few always wait."""


class Progress:
    """Counts listings that wait for their rows, and rows that wait for the search index. Counts too many until a queue is
    found empty: a listing may be queued twice."""

    def __init__(self, rows: int, texts: int) -> None:
        self._mutex = threading.Lock()
        self._rows, self._texts = rows, texts
        self._total = rows + texts

    @property
    def rows(self) -> int:
        """Number of listings that wait for their rows."""
        return self._rows

    @property
    def texts(self) -> int:
        """Number of rows that wait for the index."""
        return self._texts

    def add(self, rows: int, texts: int) -> None:
        """More has come."""
        with self._mutex:
            self._rows += rows
            self._texts += texts
            self._total += rows + texts

    def made_rows(self, done: int, texts: int) -> None:
        """So many rows were made, of which some are to be indexed. `done` 0 says that none is left."""
        with self._mutex:
            self._rows = max(self._rows - done, 0) if done else 0
            self._texts += texts
            self._settle()

    def made_texts(self, done: int) -> None:
        """So many texts are in the index. `done` 0 says that none is left."""
        with self._mutex:
            self._texts = max(self._texts - done, 0) if done else 0
            self._settle()

    def now(self) -> Indexing | None:
        """The progress, None where there is little to do."""
        with self._mutex:
            left = self._rows + self._texts
            total = max(self._total, left)
            return Indexing(total - left, total) if left and total >= MIN_SHOWN else None

    def _settle(self) -> None:
        if not self._rows and not self._texts:
            self._total = 0
