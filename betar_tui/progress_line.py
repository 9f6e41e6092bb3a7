"""How far long work is, in one line on stderr that is taken away at its end. Imports little: short commands use it."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from betar_tui.stdout import legible

AFTER, EVERY = 1.0, 0.25
"""Seconds of work after which the line appears, and seconds between two of its states."""

Tell = Callable[[str], object]
"""Takes how far the work is, in words."""


@contextmanager
def progress_line(clock: Callable[[], float] = time.monotonic) -> Iterator[Tell]:
    """Show what is told meanwhile, if stderr is a terminal. `clock` is in seconds."""
    line = _Line(clock)
    try:
        yield line.tell
    finally:
        line.take_away()


class _Line:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due = clock() + AFTER
        self._columns = 0  # of what is shown

    def tell(self, text: str) -> None:
        if self._clock() < self._due or not _is_terminal():
            return
        self._due = self._clock() + EVERY
        text = legible(text, sys.stderr.encoding)[: _width()]
        self._write(f"\r{text:{self._columns}}")
        self._columns = len(text)

    def take_away(self) -> None:
        if self._columns:
            self._write(f"\r{'':{self._columns}}\r")

    @staticmethod
    def _write(text: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads it
            sys.stderr.write(text)
            sys.stderr.flush()


def _width() -> int:
    """The columns that a line may take now: one that is wrapped could not be taken away."""
    try:
        return max(os.get_terminal_size(sys.stderr.fileno()).columns - 1, 1)
    except (OSError, ValueError):  # not known
        return 79


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # stderr is missing or closed
        return False
