"""The cells of a listing in the table. Pure; every text of a peer is neutralised here."""

import re
from collections.abc import Callable
from functools import lru_cache

from betar_tui.market.filter import STALE_AFTER
from betar_tui.market.marketplace import Listing
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui import provenance
from betar_tui.tui.format import fit
from betar_tui.tui.model import FLASH_SECONDS, Mark
from betar_tui.tui.widgets.columns import Column, Layout, visible_columns

MAX_CELL_TEXT = 300
"""Maximum characters of a text that are read for a cell."""


def cells(
    listing: Listing, mark: Mark | None, now: float, own: str, width: int, layout: Layout, mixed: bool = True
) -> list[tuple[str, str]]:
    """The spans of a row: pieces of text with the names of their styles. `mixed` says that signed and unsigned listings
    are among the rows."""
    gone = mark is not None and mark.sign == "×"
    sign = mark.sign if mark else " "
    flash = mark is not None and 0 <= now - mark.at < FLASH_SECONDS
    gap = (" " * layout.gap, "")
    out = [(f"{sign} ", "gone" if gone else "accent" if mark else "")]
    for column, columns in visible_columns(width + 1, layout):
        if column.key == "state":
            text, style = _state(listing, mark, now, mixed)
        else:
            text, style = _cell(column, columns, listing, mark, now, own)
        if gone:
            style = "gone"
        elif flash and mark is not None and (mark.sign == "+" or column.key in mark.columns):
            style += " flash"
        out.append((fit(text, columns, column.right), style))
        out.append(gap)
    return out


def _cell(column: Column, width: int, listing: Listing, mark: Mark | None, now: float, own: str) -> tuple[str, str]:
    key = column.key
    if key == "name":
        return neutralise(listing.name, 200) or "(no name)", "strong"
    if key == "price":
        return fmt.aligned_price(listing.price, mark.arrow if mark else "", width), ""
    if key == "seller":
        return fmt.short_id(listing.seller_id, own), "dim" if listing.seller_is_peer else "bad"
    if key == "seen":
        return fmt.age(max(0.0, now - listing.seen_at)), "dim"
    if key == "timestamp":
        return fmt.age(max(0.0, now - listing.timestamp)), "dim"
    return _TEXTS[key](listing), "dim"


_LINKS = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_MARKS = re.compile(
    r"^ {0,3}(?:#{1,6} +|> ?|[-+*] +)|(?<!\s)[*`]+|[*`]+(?!\s)|(?<!\w)_+(?=[^\W_])|(?<=[^\W_])_+(?!\w)", re.MULTILINE
)
"""Links and marks of Markdown, which a cell does not show."""


@lru_cache(1024)
def _first_words(text: str) -> str:
    # Cached: it takes as long as all other cells of a row.
    return neutralise(" ".join(_MARKS.sub("", _LINKS.sub(r"\1", text)).split()), MAX_CELL_TEXT)


_TEXTS: dict[str, Callable[[Listing], str]] = {
    "protocols": lambda listing: neutralise(" ".join(listing.protocols[:8])[:MAX_CELL_TEXT], MAX_CELL_TEXT),
    "description": lambda listing: _first_words(listing.description[:MAX_CELL_TEXT]),
    "addrs": lambda listing: neutralise(listing.addrs[0], MAX_CELL_TEXT) if listing.addrs else "",
    "token": lambda listing: neutralise(listing.token_id or "", MAX_CELL_TEXT),
    "height": lambda listing: f"{listing.height:,}",
}


_NEWS = {"+": "new", "~": "changed"}


def _state(listing: Listing, mark: Mark | None, now: float, mixed: bool) -> tuple[str, str]:
    if mark and mark.sign == "×":
        return "× delisted", "gone"
    # What holds for nearly every row is a sign; the words are kept for what does not.
    sign, word, style = provenance.state(listing, mixed)
    if word in ("", "mine", "unsigned"):
        if mark and mark.sign in _NEWS:
            word = _NEWS[mark.sign]
        elif now - listing.timestamp > STALE_AFTER:
            word = "stale"
    return f"{sign} {word}".rstrip(), style
