"""The columns of the listings table and their layout in a given width. Pure.

The name stays at the left; the others follow in the order in which they were chosen. If they do not all fit, the table
scrolls by whole columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

from betar_tui.tui.format import fit

GUTTER = 3
"""Number of cells before the first column: cursor, sign and a space."""

MIN_NAME, USUAL_NAME, MAX_SCROLLED_NAME, MAX_NAME = 14, 20, 24, 40
MIN_VISIBLE = 4
"""Minimum cells of a column that is cut at the right edge; with fewer it is left out."""
MIN_TEXT = 16
"""Minimum cells of a text that is cut there: a word of it says nothing."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. A column that `grows` has at least `width` cells; `meaning` is its description in the settings; the title
    has `indent` cells before it, so that it stands above what is there."""

    key: str
    title: str
    width: int
    meaning: str
    right: bool = False
    grows: bool = False
    indent: int = 0


COLUMNS: dict[str, Column] = {
    column.key: column
    for column in (
        Column("name", "NAME", MIN_NAME, "always there", grows=True),
        Column("price", "PRICE", 11, "what a use costs, in USDC", indent=3),
        Column("seller", "SELLER", 13, "the seller's peer id"),
        Column("seen", "SEEN", 5, "since when it was last heard of here", right=True),
        Column("state", "STATE", 11, "✓ signed, · unsigned; what else is true of it, in a word"),
        Column("protocols", "PROTOCOLS", 26, "what the agent speaks"),
        Column("description", "DESCRIPTION", 22, "what the agent does: the first words", grows=True),
        Column("addrs", "ADDRESS", 30, "the first multiaddr"),
        Column("token", "TOKEN", 10, "the token id"),
        Column("height", "HEIGHT", 7, "of its delta", right=True),
        Column("timestamp", "UPDATED", 7, "since when its seller last renewed it", right=True),
    )
}
DEFAULT_COLUMNS = ("name", "price", "seller", "seen", "state", "description")
GAPS = {"compact": 2, "comfortable": 4}
"""Number of cells between two columns, by density."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table, the cells between them, and the number of columns scrolled away after the name."""

    chosen: tuple[str, ...] = DEFAULT_COLUMNS
    gap: int = GAPS["compact"]
    skip: int = 0


SizedColumn = tuple[Column, int]


@lru_cache(64)
def visible_columns(width: int, layout: Layout) -> Sequence[SizedColumn]:
    """The columns that fit in `width` cells, with their widths; the last one may be cut."""
    chosen = [COLUMNS[key] for key in layout.chosen]
    rest = width - GUTTER - _total_width(chosen, layout.gap)
    if rest >= 0:
        # Most names have room in USUAL_NAME cells; of more, a third goes to the name and the rest to the other texts.
        texts = sum(column.grows for column in chosen[1:])
        name = min(MAX_NAME - MIN_NAME, rest, max(USUAL_NAME - MIN_NAME, rest // 3 if texts else rest))
        share, odd = divmod(rest - name, texts) if texts else (0, 0)
        more = [name, *(share + (position < odd) for position in range(texts))]
        return tuple((column, column.width + (more.pop(0) if column.grows else 0)) for column in chosen)
    if not layout.skip and (cut := _without_texts(width, layout, chosen)):
        return cut
    placed = [(chosen[0], max(MIN_VISIBLE, min(max(MIN_NAME, width // 3), MAX_SCROLLED_NAME, width - GUTTER)))]
    left = width - GUTTER - placed[0][1]
    for column in chosen[1 + layout.skip :]:
        left -= layout.gap
        if left < (MIN_TEXT if column.grows else MIN_VISIBLE):
            break
        placed.append((column, min(column.width, left)))
        left -= column.width
    return tuple(placed)


def _without_texts(width: int, layout: Layout, chosen: Sequence[Column]) -> Sequence[SizedColumn]:
    """All columns but the texts at the end, the first of which is cut or left out; nothing if these do not fit either."""
    last = max(position for position, column in enumerate(chosen) if not position or not column.grows)
    kept = chosen[: last + 1]
    rest = width - GUTTER - _total_width(kept, layout.gap)
    if last + 1 == len(chosen) or rest < 0:
        return ()
    name = min(rest, MAX_SCROLLED_NAME - MIN_NAME)
    placed = [(column, column.width + (0 if position else name)) for position, column in enumerate(kept)]
    left = rest - name - layout.gap
    return (*placed, (chosen[last + 1], left)) if left >= MIN_TEXT else tuple(placed)


def max_skip(width: int, layout: Layout) -> int:
    """Maximum number of columns to scroll away: with it the last column is fully visible."""
    others = len(layout.chosen) - 1
    for skip in range(others):
        placed = visible_columns(width, Layout(layout.chosen, layout.gap, skip))
        last, cells = placed[-1]
        if last.key == layout.chosen[-1] and cells >= last.width:
            return skip
    return max(0, others - 1)


def _total_width(columns: Sequence[Column], gap: int) -> int:
    return sum(column.width for column in columns) + gap * (len(columns) - 1)


def column_at(width: int, x: int, layout: Layout) -> str:
    """The key of the column at a cell of the header, or nothing."""
    start = GUTTER
    for column, cells in visible_columns(width, layout):
        # The gap after a column belongs to it, so that a header is easier to hit.
        if start <= x < start + cells + layout.gap:
            return column.key
        start += cells + layout.gap
    return ""


def scroll_at(width: int, x: int, layout: Layout) -> int:
    """-1 or 1 if this cell of the header is the arrow to columns at the left or right; else 0."""
    if layout.skip and (start := GUTTER + visible_columns(width, layout)[0][1]) <= x < start + layout.gap:
        return -1
    return 1 if width - 2 <= x and layout.skip < max_skip(width, layout) else 0


def header(width: int, sort: str, descending: bool, layout: Layout) -> list[tuple[str, bool]]:
    """The titles, cut to fit, each with whether the table is sorted by it; ‹ and › mark columns out of sight."""
    result = [(" " * GUTTER, False)]
    for position, (column, cells) in enumerate(visible_columns(width, layout)):
        sorted_here = column.key == sort
        arrow = ("▼" if descending else "▲") if sorted_here else ""
        title = f"{'':{column.indent}}{column.title}{arrow}"
        gap = ("‹" if layout.skip and not position else " ").ljust(layout.gap)
        result.append((fit(title, cells, column.right) + gap, sorted_here))
    if layout.skip < max_skip(width, layout):
        line = "".join(text for text, _ in result)
        result = _cut(result, width - 2) if cell_len(line) >= width - 1 else result
        cells = sum(cell_len(text) for text, _ in result)
        result.append((" " * (width - 1 - cells) + "›", False))
    return result


def _cut(pieces: list[tuple[str, bool]], width: int) -> list[tuple[str, bool]]:
    result = []
    for text, here in pieces:
        kept = set_cell_size(text, min(width, cell_len(text)))
        result.append((kept, here))
        width -= cell_len(kept)
    return result
