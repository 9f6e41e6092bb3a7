"""Lines of the log for people: the time of day, a sign for how grave, and the message, folded to the width. Pure.

What a line of the file has besides, its date and which module wrote it, takes most of a narrow screen and is left out; a
line that is not in one of our two forms, such as one of a traceback, stays as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator

from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.rows import folded

MOST = 500
"""Letters of a line that are shown."""

_FORM = re.compile(r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d+ (\w+) [\w.]+: (.*)")
_SIGNS = {"warning": ("!", "warn"), "error": ("✗", "bad"), "critical": ("✗", "bad")}
_HEAD = 12
"""Cells before a message: a space, the time, a space, the sign and a space."""
_NARROWEST = 20

Spans = list[tuple[str, str]]


def drawn(lines: Iterable[str], width: int) -> Iterator[Spans]:
    """Lines of a log file in `width` cells."""
    for line in lines:
        at, level, text = _parted(line)
        yield from entry(at, *_SIGNS.get(level, (" ", "")), text, width)


def entry(at: str, sign: str, style: str, text: str, width: int) -> Iterator[Spans]:
    """One message in as many lines as it takes; `at` is the time of day, or nothing."""
    first = (f" {at:<8} ", "dim"), (f"{sign} ", style)
    for piece in list(folded(neutralise(text, MOST), max(_NARROWEST, width - _HEAD))) or [""]:
        yield [*first, (piece, style)]
        first = (" " * 10, "dim"), ("  ", style)


def _parted(line: str) -> tuple[str, str, str]:
    """The time of day, the level in small letters and the message; a line of another form is all message."""
    if found := _FORM.fullmatch(line):
        return found[1], found[2].lower(), found[3]
    if line.startswith("{"):
        try:
            fields = json.loads(line)
            at, level, text = fields["time"], fields["level"], fields["message"]
            if isinstance(at, int | float) and math.isfinite(at):
                return fmt.clock(at), str(level), " ".join((str(text), *str(fields.get("traceback", "")).splitlines()))
        except (ValueError, KeyError, OverflowError, OSError, RecursionError):
            pass  # some other program's line
    return "", "", line
