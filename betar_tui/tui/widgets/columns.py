"""The columns of the listings table and what a listing shows in them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from betar_tui.market.filter import STALE_AFTER
from betar_tui.market.marketplace import Listing, Provenance
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.model import FLASH_FOR, Mark

GUTTER = 3
"""Cursor, sign and a space before the first column."""

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `width` 0 takes the room that is left; columns with the highest `drop` go first when it is narrow."""

    key: str
    title: str
    width: int
    right: bool = False
    drop: int = 0


COLUMNS = (
    Column("name", "NAME", 0),
    Column("price", "PRICE", 9, right=True),
    Column("seller", "SELLER", 10, drop=2),
    Column("seen", "SEEN", 5, right=True, drop=1),
    Column("state", "STATE", 19),
)
MIN_NAME = 14

Placed = tuple[Column, int]


def place(width: int) -> list[Placed]:
    """The columns that fit into `width`, with their widths."""
    columns = list(COLUMNS)
    while True:
        rest = width - GUTTER - sum(column.width for column in columns) - GAP * (len(columns) - 1)
        droppable = [column for column in columns if column.drop]
        if rest >= MIN_NAME or not droppable:
            return [(column, column.width or max(4, rest)) for column in columns]
        columns.remove(max(droppable, key=lambda column: column.drop))


def column_at(width: int, x: int) -> str:
    """The key of the column at a cell of the header, or nothing."""
    start = GUTTER
    for column, columns in place(width):
        # The gap after a column belongs to it: a header is easier to hit.
        if start <= x < start + columns + GAP:
            return column.key
        start += columns + GAP
    return ""


def fit(text: str, width: int, right: bool = False) -> str:
    """`text` in exactly `width` cells, cut with an ellipsis."""
    cells = cell_len(text)
    if cells > width:
        return set_cell_size(set_cell_size(text, width - 1) + "…", width)
    return " " * (width - cells) + text if right else text + " " * (width - cells)


def header(width: int, sort: str, descending: bool) -> list[tuple[str, bool]]:
    """The titles, cut to fit, each with whether it is the sorted one."""
    result = [(" " * GUTTER, False)]
    for column, columns in place(width):
        sorted_here = column.key == sort
        title = column.title + ("▼" if descending else "▲") if sorted_here else column.title
        result.append((fit(title, columns, column.right) + " " * GAP, sorted_here))
    return result


def cells(listing: Listing, mark: Mark | None, now: float, own: str, width: int) -> list[tuple[str, str]]:
    """A row: pieces of text with the names of their styles."""
    gone = mark is not None and mark.sign == "×"
    sign = mark.sign if mark else " "
    flash = mark is not None and now - mark.at < FLASH_FOR
    out = [(f"{sign} ", "gone" if gone else "accent" if mark else "")]
    for column, columns in place(width + 1):
        text, style = _cell(column.key, listing, mark, now, own)
        if gone:
            style = "gone"
        elif flash and mark is not None and (mark.sign == "+" or column.key in mark.columns):
            style += " flash"
        out.append((fit(text, columns, column.right), style))
        out.append((" " * GAP, ""))
    return out


def _cell(key: str, listing: Listing, mark: Mark | None, now: float, own: str) -> tuple[str, str]:
    if key == "name":
        return neutralise(listing.name, 200) or "(no name)", "strong"
    if key == "price":
        return fmt.price(listing.price) + (mark.arrow if mark else ""), ""
    if key == "seller":
        return fmt.short_id(listing.seller_id, own), "dim"
    if key == "seen":
        return fmt.age(max(0.0, now - listing.seen_at)), "dim"
    return _state(listing, mark, now)


def _state(listing: Listing, mark: Mark | None, now: float) -> tuple[str, str]:
    if mark and mark.sign == "×":
        return "× delisted", "gone"
    words = []
    if listing.provenance is Provenance.VERIFIED:
        sign, style = "✓", "good"
        words.append("mine" if listing.mine else "verified")
    elif listing.provenance is Provenance.UNSIGNED:
        sign, style = "·", "dim"
        words.append("mine" if listing.mine else "unsigned")
    else:
        sign, style = "✗", "bad"
        words.append("bad signature")
    if mark and mark.sign == "+":
        words.append("new")
    elif mark and mark.sign == "~":
        words.append("changed")
    elif now - listing.timestamp > STALE_AFTER:
        words.append("stale")
    return f"{sign} {', '.join(words)}", style
