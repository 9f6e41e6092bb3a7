"""A value as it is stored: its JSON, a key on each line, folded so that a key and the beginning of its value stay together.
Pure."""

import json
from collections.abc import Iterator
from functools import lru_cache

from betar_tui.market.text import neutralise_lines
from betar_tui.plurals import plural
from betar_tui.tui.labelled_text import fitting

SHOWN = 20_000
"""Maximum characters of a stored value that are laid out."""
_INDENT = 4
"""Number of cells by which the rest of a folded line is moved in."""


@lru_cache(maxsize=1)
def stored_value(raw: str, width: int) -> tuple[tuple[str, str], ...]:
    """The lines of a value, in `width` cells, as a text with its style; what is too long is counted.

    The last one is kept: a page is drawn again with every change of the market."""
    try:
        text = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = raw
    safe = neutralise_lines(text[:SHOWN])
    lines = [part for line in safe.split("\n") for part in folded_line(line, max(20, width))]
    more = f"\n… {plural(len(text) - SHOWN, 'more character')}" if len(text) > SHOWN else ""
    return ("\n".join(lines), ""), (more, "dim")


def folded_line(line: str, width: int) -> Iterator[str]:
    """A line in lines of at most `width` cells. Unlike a text it is cut anywhere: a break after a key would take it away
    from its value."""
    indent = len(line) - len(line.lstrip(" "))
    margin = " " * min(indent + _INDENT, width // 2)
    lead, at = "", 0
    while (end := fitting(line, at, width - len(lead))) < len(line):
        yield lead + line[at:end]
        lead, at = margin, end
    yield lead + line[at:]
