"""Listings that people enter: as options, or in a file with many of them."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from betar_tui.choices import STDIO
from betar_tui.complaints import complain
from betar_tui.control.wire import MAX_LINE
from betar_tui.errors import ListingError, UnreadableError, UsageError
from betar_tui.files.plain import read
from betar_tui.files.rules import explain
from betar_tui.market.fields import ENTERED, IN_METADATA, Field, InvalidValue, Kind
from betar_tui.market.marketplace import ListingDraft
from betar_tui.market.names import name_space
from betar_tui.market.prices import other_currency
from betar_tui.market.text import beginning
from betar_tui.output import LISTING_FIELDS

Offered = Callable[[str, str], object]
"""Is told the names of listings in a file, each with the seller that the file says it is of."""


def drafts_of(arguments: argparse.Namespace, offered: Offered = lambda name, seller: None) -> tuple[ListingDraft, ...]:
    """The listings that the arguments of `publish` name. Raises UsageError, ListingError, UnreadableError."""
    if arguments.file:
        if given := [
            field.option.flag for field in ENTERED if field.option and getattr(arguments, field.name, None) is not None
        ]:
            raise UsageError(f"--file brings its own names and prices; leave out {', '.join(given)}")
        return drafts_in(arguments.file, offered)
    if arguments.name is None or arguments.price is None:
        raise UsageError("a listing needs --name and --price, or --file with both")
    return (ListingDraft(**entered(arguments)),)


def entered(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a listing that were given as options. Raises UsageError."""
    given = {field: value for field in ENTERED if (value := getattr(arguments, field.name)) is not None}
    readers: Mapping[Kind, Callable[[list[str]], Any]] = {Kind.TEXTS: tuple, Kind.OBJECT: _metadata}
    return {
        field.name: readers[field.kind](value) if field.kind in readers else value for field, value in given.items()
    }


_LISTS = frozenset(field.name for field in IN_METADATA if field.kind is Kind.TEXTS)


def _metadata(pairs: list[str]) -> dict[str, object]:
    result: dict[str, object] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise UsageError(f"--meta {pair!r} is not of the form NAME=VALUE")
        result[name] = [value] if name in _LISTS else value
    return result


def drafts_in(path: Path, offered: Offered = lambda name, seller: None) -> tuple[ListingDraft, ...]:
    """The listings of a JSON file, "-" for stdin: an object or an array of objects with the names of the fields. Says what
    it leaves out.

    Raises UnreadableError, and ListingError, which names the first wrong listing and its field."""
    source = "stdin" if str(path) == STDIO else str(path)
    content = _content(path, source)
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise ListingError(f"there are no listings in {source}")
    drafts: list[ListingDraft] = []
    places: dict[str, int] = {}
    left_out: list[str] = []
    for i, entry in enumerate(entries, 1):
        number = f"listing {i}" if isinstance(content, list) else "the listing"
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ListingError(f"{number} in {source} is not an object with a name and a price")
        name = entry["name"].strip()
        if unknown := sorted(entry.keys() - {field.name for field in ENTERED} - set(LISTING_FIELDS)):
            left_out.append(
                f"left out of {entry['name']!r}, being no field of a listing: {', '.join(unknown)}; metadata takes any key"
            )
        if first := places.get(name):
            raise ListingError(
                f"{source} has two listings with the name {name!r}, number {first} and number {i}; rename one", "name"
            )
        places[name] = i
        if seller := _seller(entry):
            offered(name, seller)
        values = {field.name: _in_file(field, entry, f"{number}, {name[:60]!r} in {source}") for field in ENTERED}
        # null is as good as leaving a field out.
        drafts.append(ListingDraft(**{name: value for name, value in values.items() if value is not None}))
    for each in left_out:
        complain(each)
    return tuple(drafts)


def remarks(drafts: Iterable[ListingDraft], sellers: Mapping[str, str], own_id: str) -> Iterator[str]:
    """What a seller should know of listings before they are published: whose they are by the file that they come from, and
    that their metadata names another currency."""
    for draft in drafts:
        name, seller = draft.name.strip(), sellers.get(draft.name.strip(), own_id)
        if seller != own_id:
            where = ", with the addresses that it names" if draft.addrs else ""
            yield f"{name!r} is offered by {seller}; this publishes it as yours{where}"
        if currency := other_currency(draft.metadata):
            yield f"{name!r}: {currency}"


def _seller(entry: Mapping[str, Any]) -> str:
    """Who offers a listing that was printed as JSON, in either dialect; "" where that is not said."""
    told = entry.get("seller_id") or entry.get("sellerId")
    listing_id = entry.get("id")
    if isinstance(told, str):
        return told
    return name_space(listing_id) if isinstance(listing_id, str) else ""


def _content(path: Path, source: str) -> Any:
    """What a JSON file has in it. Raises UnreadableError."""
    if str(path) == STDIO and sys.stdin is None:
        raise UnreadableError("stdin is closed; name a file with --file")
    if str(path) == STDIO and sys.stdin.isatty():
        complain("type listings in JSON, and Ctrl+D at the end")
    try:
        raw = read(Path("/dev/stdin") if str(path) == STDIO else path, MAX_LINE)
        return json.loads(raw.decode("utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else json.detect_encoding(raw)))
    except OSError as error:
        raise UnreadableError(explain(error, f"cannot read listings from {source}", "name another file")) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UnreadableError(
            f"cannot read listings from {source}: it is not UTF-8 text, in line {line}; save it as UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise UnreadableError(f"cannot read listings from {source}: it is not JSON: {error}; correct it") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"cannot read listings from {source}: {error}") from error


def _in_file(field: Field, entry: Mapping[str, Any], listing: str) -> Any:
    """A field of a listing in a file, None without one. `listing` says in a message which it is. Raises ListingError."""
    value = entry.get(field.name)
    if value is None:
        if field.required:
            raise ListingError(f"{listing}, has no {field.name}", field.name)
        return None
    if (wrong := _mistyped(field.kind, value)) is not None:
        raise ListingError(f"{listing}: its {field.name} {wrong}", field.name)
    value = tuple(value) if field.kind is Kind.TEXTS else str(value) if field.kind is Kind.TEXT else value
    try:
        field.validate(value)
    except InvalidValue as error:
        raise ListingError(f"{listing}: {error}", field.name) from error
    return value


def _mistyped(kind: Kind, value: object) -> str | None:
    """Why a value does not have a type, None if it does."""
    if kind is Kind.NUMBER and (isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value)):
        if isinstance(value, str):
            return f"is a text, {beginning(value, 20)!r}; write a number without quotation marks"
        return "is not a number, or too large"
    if kind is Kind.INTEGER and (isinstance(value, bool) or not isinstance(value, int)):
        return "is not a whole number"
    if kind is Kind.OBJECT and not isinstance(value, dict):
        return "is not an object"
    if kind is Kind.TEXTS and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        return "is not a list of texts"
    if kind is Kind.TEXT and isinstance(value, dict | list | bool):
        return "is not a text"
    return None


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number of hundreds of digits
        return False
