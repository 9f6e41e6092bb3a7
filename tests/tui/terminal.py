"""What a terminal gets from the app, and whether it is safe and in line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

from rich.cells import cell_len
from textual._compositor import LayoutUpdate

from tests.tui.ui import Ui

UNSAFE = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"))

# What Textual itself sends with a frame: colours, and where a line begins.
OURS = re.compile(r"\x1b\[[0-9;]*[mH]")


def unsafe(text: str, allowed: str = "") -> set[str]:
    """The characters of a text that no terminal may get."""
    return {char for char in set(text) if char not in allowed + "\u200c" and unicodedata.category(char) in UNSAFE}


def width(text: str) -> int:
    """The columns a text takes, by the rule that terminals follow (wcwidth), not by Rich's table."""
    return sum(_width(char) for char in text)


@cache
def _width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def columns(line: str) -> list[str]:
    """The character in each column; the second half of a wide one is empty."""
    cells: list[str] = []
    for char in line:
        cells += [char, ""][: _width(char)] if _width(char) else []
    return cells


def frame(ui: Ui, *, typed: bool = False) -> list[str]:
    """The lines of the whole screen, after checking what the terminal would get with them.

    A field of the form has all letters that were `typed`, those too about whose width terminals do not agree."""
    letters = "\u200d" if typed else ""
    update = ui.app.screen._compositor.render_update(full=True)
    assert isinstance(update, LayoutUpdate)
    update.strips = [list(line) for line in update.strips]
    lines = ["".join(segment.text for strip in line for segment in strip) for line in update.strips]
    sent = update.render_segments(ui.app.console)
    assert not unsafe("".join(lines), letters), f"{unsafe(''.join(lines))!r} in a frame"
    assert not unsafe(OURS.sub("", sent), allowed="\n" + letters)
    # What is left without our own sequences is the text and nothing but the text.
    assert OURS.sub("", sent) == "\n".join(lines)
    for line in lines:
        assert (typed or width(line) == cell_len(line)) and cell_len(line) == ui.app.size.width, line
    return lines


def shows(lines: Iterable[str], text: str) -> bool:
    """Whether a text stands on one of the lines."""
    return any(text in line for line in lines)
