"""Lines of the log for people: the time of day, a sign for how grave, and the message, folded to the width. Pure.

What a line of the file has besides, its date and which module wrote it, takes most of a narrow screen and is left out;
where a message does not fit, ids in it are shortened first. A line that is not in one of our two forms, such as one of a
traceback, is all message.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len

from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.labelled_text import folded

MAX_MESSAGE = 500
"""Letters of a line that are shown."""

_FORM = re.compile(r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d+ (\w+) [\w.]+: (.*)", re.ASCII)
_PEER_ID = re.compile(r"\b(?:12D3KooW|Qm)[1-9A-HJ-NP-Za-km-z]{40,}\b")
_CID = re.compile(r"\bbaf[yk][a-z2-7]{40,}\b")
_SIGNS = {"warning": ("!", "warn"), "error": ("✗", "bad"), "critical": ("✗", "bad")}
_HEAD_WIDTH = 12
"""Cells before a message: a space, the time, a space, the sign and a space."""
_MIN_WIDTH = 20

Spans = list[tuple[str, str]]


def format_lines(lines: Iterable[str], width: int) -> Iterator[Spans]:
    """Lines of a log file in `width` cells."""
    for line in lines:
        at, level, text, more = _parse(line)
        sign, style = _SIGNS.get(level, (" ", ""))
        yield from format_message(at, sign, style, text, width)
        for further in more:
            yield from format_message("", " ", "", further, width)


def format_message(at: str, sign: str, style: str, text: str, width: int) -> Iterator[Spans]:
    """One message in as many lines as it takes; `at` is the time of day, or nothing."""
    first = (f" {at:<8} ", "dim"), (f"{sign} ", style)
    room = max(_MIN_WIDTH, width - _HEAD_WIDTH)
    text = neutralise(text, MAX_MESSAGE)
    if cell_len(text) > room:
        text = _CID.sub(lambda found: fmt.short_cid(found[0]), _PEER_ID.sub(lambda found: fmt.short_id(found[0]), text))
    for piece in list(folded(text, room)) or [""]:
        yield [*first, (piece, style)]
        first = (" " * 10, "dim"), ("  ", style)


def _parse(line: str) -> tuple[str, str, str, list[str]]:
    """The time of day, the level in small letters, the message, and the lines of a traceback; a line of another form is all
    message."""
    if found := _FORM.fullmatch(line):
        return found[1], found[2].lower(), found[3], []
    if line.startswith("{"):
        try:
            fields = json.loads(line)
            at, level, text = fields["time"], fields["level"], fields["message"]
            if isinstance(at, int | float) and math.isfinite(at):
                return fmt.clock(at), str(level), str(text), str(fields.get("traceback") or "").splitlines()
        except (ValueError, KeyError, OverflowError, OSError, RecursionError):
            pass  # some other program's line
    return "", "", line, []
