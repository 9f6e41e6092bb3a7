"""How much of a backlog is worked off. Any thread may call."""

import threading

from betar_tui.market.marketplace import Indexing

MIN_SHOWN = 100
"""Minimum listings whose indexing is shown as progress: in a live market a few always wait."""


class Progress:
    """Counts listings that wait for their rows, and rows that wait for the search index.

    Counts too many rather than too few, since a listing may be queued twice: the methods `…_found_empty` say when nothing
    is left. Take `mark` before the look, so that a listing that comes meanwhile is not counted as done."""

    def __init__(self, rows: int, texts: int) -> None:
        self._mutex = threading.Lock()
        self._rows, self._texts = rows, texts
        self._total = rows + texts
        self.mark = 0

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
            self.mark += 1

    def made_rows(self, done: int, texts: int) -> None:
        """`done` rows were made, which left `texts` more to index."""
        with self._mutex:
            self._rows = max(self._rows - done, 1 if self._rows else 0)
            self._texts += texts
            self.mark += 1

    def made_texts(self, done: int) -> None:
        """`done` texts more are in the index."""
        with self._mutex:
            self._texts = max(self._texts - done, 1 if self._texts else 0)

    def rows_found_empty(self, mark: int) -> None:
        """No listing waited for its row at a look since `mark`."""
        with self._mutex:
            if mark == self.mark:
                self._rows = 0
                self._settle()

    def texts_found_empty(self, mark: int) -> None:
        """No row waited for the index at a look since `mark`."""
        with self._mutex:
            if mark == self.mark:
                self._texts = 0
                self._settle()

    def now(self) -> Indexing | None:
        """The progress, None where there is little to do. A listing with its row that waits for the index is half done."""
        with self._mutex:
            left = self._rows + self._texts
            total = max(self._total, left)
            done = total - self._rows - (self._texts + 1) // 2
            return Indexing(done, total) if left and total >= MIN_SHOWN else None

    def _settle(self) -> None:
        if not self._rows and not self._texts:
            self._total = 0
