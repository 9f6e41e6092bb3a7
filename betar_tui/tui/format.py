"""Small words and numbers for people: ids, prices, ages, sizes. Pure; every text of a peer is neutralised here."""

import time
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

from betar_tui.market.names import short_form
from betar_tui.market.prices import price_text
from betar_tui.market.text import neutralise
from betar_tui.plurals import plural as plural

SPARKS = "▁▂▃▄▅▆▇█"
SHORT_ID = 13
"""Number of letters of a shortened peer id."""


def short_id(peer_id: str, own: str = "") -> str:
    """A peer id in thirteen characters, or "you". Anything else, which may look like these, is in quotes behind a "✗"."""
    if own and peer_id == own:
        return "you"
    if short := short_form(peer_id):
        return short
    safe, room = neutralise(peer_id, 120), SHORT_ID - len('✗ ""')
    return f'✗ "{safe if len(safe) <= room else safe[: room - 1] + "…"}"' if safe else "✗ no seller"


DECIMALS = 4
"""Number of decimals that a column of prices has room for."""


def fit(text: str, width: int, right: bool = False) -> str:
    """`text` in exactly `width` cells, cut with an ellipsis."""
    cells = cell_len(text)
    if cells > width:
        return set_cell_size(set_cell_size(text, width - 1) + "…", width)
    return " " * (width - cells) + text if right else text + " " * (width - cells)


def short_listing(listing_id: str) -> tuple[str, str]:
    """The name and the seller in an id of the form <peer id>/<name>; of any other id, the id and nothing.

    The name comes first where both are shown: cut at the right, an id would lose it."""
    seller, slash, name = listing_id.partition("/")
    if not slash or not short_form(seller):
        return neutralise(listing_id, 60), ""
    return neutralise(name, 60), short_form(seller)


def short_cid(cid: str) -> str:
    """A CID in twelve characters, most of them from its end, where CIDs differ."""
    safe = neutralise(cid, 120)
    return safe if len(safe) <= 12 else f"{safe[:4]}…{safe[-7:]}"


@lru_cache(1024)
def price(value: float) -> str:
    """A price as it was typed, with commas between the thousands: 0.5, 12, 1,250.5, 0.00001."""
    whole, point, decimals = price_text(abs(value)).partition(".")
    return ("-" if value < 0 else "") + (f"{int(whole):,}" if whole.isdigit() else whole) + point + decimals


def aligned_price(value: float, mark: str, width: int) -> str:
    """A price in `width` cells, its point in the same place as that of other prices, and `mark` after it.

    Where it does not fit that way it is moved to the left; decimals that have no room are cut with "…"."""
    whole, point, decimals = price(value).partition(".")
    if "e" in whole or len(whole) + len(mark) > width:
        return fit(f"{value:.4g}{mark}", width, right=True)
    # Room for the decimals, the point and the mark is kept at the right.
    line = f"{whole.rjust(width - DECIMALS - 2)}{point}{decimals}"
    most = width - len(mark)
    line = line[max(0, min(len(line) - most, len(line) - len(line.lstrip()))) :]
    return fit((line if len(line) <= most else f"{line[: most - 1]}…") + mark, width)


def age(seconds: float) -> str:
    """An age in at most four characters: now, 4s, 12m, 3h, 8d, 2y."""
    if seconds < 1:
        return "now"
    for unit, size in (("s", 60), ("m", 60), ("h", 24), ("d", 365)):
        if seconds < size:
            return f"{int(seconds)}{unit}"
        seconds /= size
    return f"{int(seconds)}y"


def ago(seconds: float) -> str:
    """An age in words: "just now", "4s ago"."""
    return "just now" if seconds < 1 else f"{age(seconds)} ago"


def clock(at: float) -> str:
    """The local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def size(count: int) -> str:
    """A number of bytes in three digits."""
    amount = float(count)
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def took(seconds: float) -> str:
    """A duration: 0.4 ms, 12 ms, 1.2 s."""
    ms = seconds * 1000
    if ms >= 1000:
        return f"{seconds:.1f} s"
    return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def spark(values: list[int]) -> str:
    """A sparkline; without any value above 0 it is a line of the lowest block."""
    top = max(values, default=0)
    if top == 0:
        return SPARKS[0] * len(values)
    return "".join(SPARKS[min(len(SPARKS) - 1, value * (len(SPARKS) - 1) // top)] for value in values)
