"""How far long work is, in one line on stderr."""

import io
import os
import sys

import pytest

from betar_tui.progress_line import AFTER, EVERY, progress_line


class Screen(io.StringIO):
    """What a terminal, or a file, gets."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class Clock:
    """A clock that is put forward."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_is_over_at_once_shows_nothing(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=True))
    with progress_line(clock) as tell:
        clock.now += AFTER - 0.01
        tell("1 of 9")
    assert screen.getvalue() == ""


def test_long_work_is_shown_now_and_then_and_taken_away(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=True))
    with progress_line(clock) as tell:
        clock.now += AFTER
        tell("100 of 900")
        tell("101 of 900")
        clock.now += EVERY
        tell("9 of 900")
    assert screen.getvalue() == "\r100 of 900\r9 of 900  \r        \r"


def test_a_line_is_taken_away_after_an_error(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=True))
    with pytest.raises(KeyboardInterrupt), progress_line(clock) as tell:
        clock.now += AFTER
        tell("x" * 200)
        raise KeyboardInterrupt
    assert screen.getvalue() == f"\r{'x' * 79}\r{' ' * 79}\r"


@pytest.mark.parametrize("columns", [1, 20, 60, 200])
def test_a_line_is_never_wrapped(monkeypatch, clock, columns):
    monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=True))
    monkeypatch.setattr(screen, "fileno", lambda: 2, raising=False)
    monkeypatch.setattr(os, "get_terminal_size", lambda number: os.terminal_size((columns, 24)))
    with progress_line(clock) as tell:
        clock.now += AFTER
        tell("…" * 300)
    assert [len(each) for each in screen.getvalue().split("\r")] == [0, *2 * [max(columns - 1, 1)], 0]


@pytest.mark.parametrize("stderr", [None, Screen(terminal=False)])
def test_nothing_is_shown_where_nobody_looks(monkeypatch, clock, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    with progress_line(clock) as tell:
        clock.now += AFTER
        tell("1 of 9")
    assert stderr is None or stderr.getvalue() == ""
