"""Small words and numbers for people: ids, prices, ages, sizes. Pure; every text of a peer is neutralised here."""

import time

from betar_tui.market.names import short_form
from betar_tui.market.text import neutralise

SPARKS = "▁▂▃▄▅▆▇█"
SHORT_ID = 13
"""Number of letters of a shortened peer id."""


def short_id(peer_id: str, own: str = "") -> str:
    """A peer id in thirteen characters, or "you". Anything else, which may look like any id, has "✗ " before it."""
    if own and peer_id == own:
        return "you"
    if short := short_form(peer_id):
        return short
    safe, room = neutralise(peer_id, 120), SHORT_ID - len("✗ ")
    return f"✗ {safe if len(safe) <= room else safe[: room - 1] + '…'}" if safe else "✗ none"


def short_cid(cid: str) -> str:
    """A CID in twelve characters, most of them from its end, where CIDs differ."""
    safe = neutralise(cid, 120)
    return safe if len(safe) <= 12 else f"{safe[:4]}…{safe[-7:]}"


def price(value: float) -> str:
    """A price without noise: 0.05, 12, 1,250.5."""
    if value != 0 and (abs(value) < 0.0001 or abs(value) >= 1e9):
        return f"{value:.3g}"
    text = f"{value:,.4f}".rstrip("0").rstrip(".")
    whole, point, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}" if point else text


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


def plural(count: int, one: str, many: str = "") -> str:
    """ "1 peer", "2 peers"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def spark(values: list[int]) -> str:
    """A sparkline; without any value above 0 it is a line of the lowest block."""
    top = max(values, default=0)
    if top == 0:
        return SPARKS[0] * len(values)
    return "".join(SPARKS[min(len(SPARKS) - 1, value * (len(SPARKS) - 1) // top)] for value in values)
