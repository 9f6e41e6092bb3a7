"""Ends statements that run: because nobody waits for them any more, or because they take too long."""

import sqlite3
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

_PARTS = 8
"""Parts of the steps that some work may take, with a question after each."""
EVERY = 200_000
"""Number of steps of a statement between two questions whether to go on: some 20 ms. Asking takes the interpreter's lock."""


def always() -> bool:
    """Lets statements go on to the end."""
    return True


class Interruptible:
    """A connection whose statements end with sqlite3.OperationalError once `go_on` returns False, inside of a block."""

    def __init__(self, db: sqlite3.Connection, go_on: Callable[[], bool] = always) -> None:
        self.db = db
        self._go_on = go_on

    def __enter__(self) -> Self:
        self._watch()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.db.set_progress_handler(None, 0)

    def within(self, steps: int, work: Callable[[], T]) -> T | None:
        """The result of `work`, None where its statements take more than about `steps` steps."""
        asked = count(1)
        # SQLite counts what a statement did when it ran before, so that the first question comes at any time.
        self.db.set_progress_handler(lambda: next(asked) > _PARTS, max(1, steps // _PARTS))
        try:
            return work()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return None
        finally:
            self._watch()

    def _watch(self) -> None:
        if self._go_on is not always:
            self.db.set_progress_handler(lambda: not self._go_on(), EVERY)
        else:
            self.db.set_progress_handler(None, 0)
