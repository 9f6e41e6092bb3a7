"""Parts of a value from the network as JSON has them, within bounds. Pure."""

import math
from collections.abc import Mapping

from betar_tui.errors import ListingError

MAX_DEPTH = 32
"""Maximum depth of lists and objects in a value."""


def depth_of(value: object) -> int:
    """The depth of nested lists and objects, counted up to one above MAX_DEPTH."""
    depth = 0
    level = [value]
    while level := [
        inner
        for each in level
        if isinstance(each, dict | list)
        for inner in (each.values() if isinstance(each, dict) else each)
    ]:
        depth += 1
        if depth > MAX_DEPTH:
            break
    return depth


def number_of(fields: Mapping[str, object], name: str) -> float:
    """A finite number among the fields of a value. Raises ListingError."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ListingError(f"{name} is missing or not a number", name)
    try:
        number = float(value)
    except OverflowError as error:
        raise ListingError(f"{name} is out of range", name) from error
    if not math.isfinite(number):
        raise ListingError(f"{name} is not a finite number", name)
    return number


def whole_number_of(fields: Mapping[str, object], name: str) -> int:
    """A whole number of at most 64 bits among the fields of a value. Raises ListingError."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not -(1 << 63) <= value < 1 << 63:
        raise ListingError(f"{name} is not a whole number", name)
    return value
