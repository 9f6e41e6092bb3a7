"""Prices as people write them. Pure."""

_LEAST, _MOST = 1e-12, 1e15
"""Smaller prices, and those from the latter on, have an exponent: they would be long rows of zeros."""


def price_text(price: float) -> str:
    """A price as it was typed: 0.05, 0.00001, 1234567.89."""
    if price and not _LEAST <= abs(price) < _MOST:
        return f"{price:g}"
    from decimal import Decimal  # deferred: few commands show a price

    # 15 digits are those that a number keeps: 0.1 + 0.2 is shown as 0.3.
    text = format(Decimal(f"{price:.15g}"), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
