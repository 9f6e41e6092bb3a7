"""Lines of the log for people: the time of day, a sign for the level, and the message, folded to the width. Pure.

The date and the logger of a line would fill a narrow screen and are left out. If a message does not fit, its ids are
shortened first. A line in neither of the two log formats, such as a line of a traceback, is shown as a message."""

import json
import math
import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len

from betar_tui.market.names import short_form
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.labelled_text import folded

MAX_MESSAGE = 500
"""Maximum characters of a line that are shown."""
_FORM = re.compile(r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d+ (\w+) [\w.]+: (.*)", re.ASCII)
_PEER_ID = re.compile(r"\b(?:12D3KooW|Qm)[1-9A-HJ-NP-Za-km-z]{40,}\b")
_CID = re.compile(r"\bbaf[yk][a-z2-7]{40,}\b")
_SIGNS = {"warning": ("!", "warn"), "error": ("✗", "bad"), "critical": ("✗", "bad")}
_HEAD_WIDTH = 12
"""Number of cells before a message: a space, the time, a space, the sign and a space."""
_MIN_WIDTH = 20

Spans = list[tuple[str, str]]


def format_lines(lines: Iterable[str], width: int) -> Iterator[Spans]:
    """Format lines of a log file in `width` cells."""
    for line in lines:
        at, level, text, more = _parse(line)
        sign, style = _SIGNS.get(level, (" ", ""))
        yield from format_message(at, sign, style, text, width)
        for further in more:
            yield from format_message("", " ", "", further, width)


def format_message(at: str, sign: str, style: str, text: str, width: int) -> Iterator[Spans]:
    """Format one message in as many lines as needed; `at` is the time of day, or empty."""
    first = (f" {at:<8} ", "dim"), (f"{sign} ", style)
    room = max(_MIN_WIDTH, width - _HEAD_WIDTH)
    text = neutralise(text, MAX_MESSAGE)
    if cell_len(text) > room:
        text = _CID.sub(lambda found: fmt.short_cid(found[0]), _PEER_ID.sub(_short_peer, text))
    for piece in list(folded(text, room)) or [""]:
        yield [*first, (piece, style)]
        first = (" " * 10, "dim"), ("  ", style)


def _short_peer(found: re.Match[str]) -> str:
    """A peer id, shortened; what only looks like one is left as it is."""
    return short_form(found[0]) or found[0]


def _parse(line: str) -> tuple[str, str, str, list[str]]:
    """Split a line into time of day, level, message and lines of a traceback; in another format it is all message."""
    if found := _FORM.fullmatch(line):
        return found[1], found[2].lower(), found[3], []
    if line.startswith("{"):
        try:
            fields = json.loads(line)
            at, level, text = fields["time"], fields["level"], fields["message"]
            if isinstance(at, int | float) and math.isfinite(at):
                return fmt.clock(at), str(level), str(text), str(fields.get("traceback") or "").splitlines()
        except (ValueError, KeyError, OverflowError, OSError, RecursionError):
            pass  # a line of another program
    return "", "", line, []
