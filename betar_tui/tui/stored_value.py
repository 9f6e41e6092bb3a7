"""A value as it is stored: its JSON, a key on each line, folded so that a key and the beginning of its value stay together.
Pure."""

import json
from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size

from betar_tui.market.text import neutralise_lines

SHOWN = 20_000
"""Maximum characters of a stored value that are laid out."""
_INDENT = 4
"""Number of cells by which the rest of a folded line is moved in."""


def stored_value(raw: str, width: int) -> list[tuple[str, str]]:
    """The lines of a value, in `width` cells, as a text with its style; what is too long is counted."""
    try:
        text = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = raw
    safe = neutralise_lines(text[:SHOWN])
    lines = [part for line in safe.split("\n") for part in folded_line(line, max(20, width))]
    more = f"\n… {len(text) - SHOWN:,} more letters" if len(text) > SHOWN else ""
    return [("\n".join(lines), ""), (more, "dim")]


def folded_line(line: str, width: int) -> Iterator[str]:
    """A line in lines of at most `width` cells. Unlike a text it is cut anywhere: a break after a key would take it away
    from its value."""
    indent = len(line) - len(line.lstrip(" "))
    margin = " " * min(indent + _INDENT, width // 2)
    while cell_len(line) > width:
        part = set_cell_size(line, width)
        # A letter of two cells that has room for one only is replaced with a space there.
        taken = len(part) if line.startswith(part) else len(part) - 1
        yield line[:taken]
        line = margin + line[taken:]
    yield line
