"""Prices as people write them. Pure."""

from collections.abc import Mapping

from betar_tui.choices import CURRENCY
from betar_tui.market.text import neutralise

_LEAST, _MOST = 1e-12, 1e15
"""Smaller prices, and those from the latter on, have an exponent: they would be long rows of zeros."""
_SHOWN = 20
"""Maximum characters of another currency's name."""


def price_text(price: float) -> str:
    """A price as it was typed: 0.05, 0.00001, 1234567.89."""
    if price and not _LEAST <= abs(price) < _MOST:
        return f"{price:g}"
    from decimal import Decimal  # deferred: few commands show a price

    # 15 digits are those that a number keeps: 0.1 + 0.2 is shown as 0.3.
    text = format(Decimal(f"{price:.15g}"), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def other_currency(metadata: object) -> str:
    """A sentence about metadata that names another currency than that of all prices here (docs/protocol.md#listings); ""
    where it names none, or this one."""
    named = metadata.get("currency") if isinstance(metadata, Mapping) else None
    if not isinstance(named, str) or not named.strip() or CURRENCY in named.upper():
        return ""
    return f"its metadata says {neutralise(named.strip(), _SHOWN)}; prices on this market are {CURRENCY}"
