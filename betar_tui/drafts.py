"""Listings that people keep in a file, to publish them."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from betar_tui.control.wire import MAX_LINE
from betar_tui.errors import ListingError
from betar_tui.files.plain import read
from betar_tui.files.rules import explain
from betar_tui.market.fields import ENTERED, Field, Kind
from betar_tui.market.marketplace import ListingDraft
from betar_tui.output import LISTING_FIELDS, complain


def drafts_in(path: Path) -> tuple[ListingDraft, ...]:
    """The listings of a JSON file: an object or an array of objects with the names of the fields. Says what it leaves out.

    Raises ListingError."""
    try:
        content = json.loads(read(path, MAX_LINE).decode("utf-8-sig"))
    except OSError as error:
        raise ListingError(explain(error, f"cannot read listings from {path}", "name another file")) from error
    except (ValueError, RecursionError) as error:
        raise ListingError(f"cannot read listings from {path}: {error}") from error
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise ListingError(f"there are no listings in {path}")
    drafts: list[ListingDraft] = []
    names: set[str] = set()
    left_out: list[str] = []
    for i, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ListingError(f"listing {i} in {path} is not an object with a name and a price")
        if unknown := sorted(entry.keys() - {field.name for field in ENTERED} - set(LISTING_FIELDS)):
            left_out.append(f"left out of {entry['name']!r}, being no field of a listing: {', '.join(unknown)}")
        if entry["name"].strip() in names:
            raise ListingError(f"{path} has two listings with the name {entry['name']!r}", "name")
        names.add(entry["name"].strip())
        values = {field.name: _in_file(field, entry, path) for field in ENTERED}
        # null is as good as leaving a field out.
        drafts.append(ListingDraft(**{name: value for name, value in values.items() if value is not None}))
    for each in left_out:
        complain(each)
    return tuple(drafts)


def _in_file(field: Field, entry: Mapping[str, Any], path: Path) -> Any:
    """A field of a listing in a file, None without one. Raises ListingError."""
    value, listing = entry.get(field.name), f"{entry['name']!r} in {path}"
    if value is None:
        if field.required:
            raise ListingError(f"{listing} has no {field.name}", field.name)
        return None
    if field.kind is Kind.NUMBER:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise ListingError(f"the {field.name} of {listing} is not a number, or too large", field.name)
        return value
    if field.kind is Kind.INTEGER:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ListingError(f"the {field.name} of {listing} is not a whole number", field.name)
        return value
    if field.kind is Kind.OBJECT:
        if not isinstance(value, dict):
            raise ListingError(f"the {field.name} of {listing} is not an object", field.name)
        return value
    if field.kind is Kind.TEXTS:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ListingError(f"{field.name} of {entry['name']!r} is not a list of texts", field.name)
        return tuple(value)
    return str(value)


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number of hundreds of digits
        return False
