"""The publish form without its widgets: checks, and the draft or patch that comes out. Pure.

Its fields are those that `market.fields` lets a person enter. `problems` finds mistakes, field by field; only a form
without any makes a draft or a patch."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from betar_tui.market.dialling import dialling_warning
from betar_tui.market.fields import DEFAULT_PROTOCOLS, ENTERED, OWN_KEYS, Field, InvalidValue, Kind, further_metadata
from betar_tui.market.marketplace import Listing, ListingDraft, ListingPatch, Status
from betar_tui.market.text import beginning, letters_of, letters_of_lines
from betar_tui.multiaddrs import without_loopback

FormValues = dict[str, str]
"""The texts of the form's fields by name. Several values stand on lines of their own; metadata as `key = value`."""

FIELD_NAMES = tuple(field.name for field in ENTERED)


_BEFORE = " before"
"""After the name of a field, in a draft: the text that it began with."""


def blank(status: Status | None) -> FormValues:
    """A new form, with this peer's addresses and the protocols that it serves filled in."""
    addrs = without_loopback(status.addrs) if status else ()
    prefilled = {"addrs": "\n".join(addrs), "protocols": "\n".join(DEFAULT_PROTOCOLS)}
    return {**dict.fromkeys(FIELD_NAMES, ""), **prefilled}


def of_listing(listing: Listing) -> FormValues:
    """The form of an own listing that is to be changed."""
    return {field.name: _shown(field, getattr(listing, field.name)) for field in ENTERED}


def kept(values: FormValues, prefilled: FormValues, *, edit: bool) -> FormValues:
    """The draft of what was typed, field by field: the others follow the listing, and this peer's addresses.

    That of an edit also has the text that each changed field began with, by which a change of another device is told."""
    changed = [name for name in FIELD_NAMES if values[name] != prefilled[name]]
    before = {f"{name}{_BEFORE}": prefilled[name] for name in changed} if edit else {}
    return {**{name: values[name] for name in changed}, **before}


def typed(draft: FormValues) -> FormValues:
    """The fields of a draft that were changed, with their new texts."""
    return {name: text for name, text in draft.items() if name in FIELD_NAMES}


def begun_with(draft: FormValues) -> FormValues:
    """The fields of a draft that were changed, with the texts that they began with, where these are known."""
    return {name: draft[f"{name}{_BEFORE}"] for name in typed(draft) if f"{name}{_BEFORE}" in draft}


def problems(values: FormValues) -> dict[str, str]:
    """The problem of each field that has one; empty when the form may be sent."""
    found = {field.name: _problem(field, values.get(field.name, "")) for field in ENTERED}
    return {name: problem for name, problem in found.items() if problem}


def warning(values: FormValues, status: Status | None) -> str:
    """What is known against the addresses, "" for nothing; the form may be sent all the same."""
    field = next(field for field in ENTERED if field.name == "addrs")
    return "" if status is None else dialling_warning([_parsed(field, values) or ()], status)


def draft(values: FormValues, prefilled: FormValues) -> ListingDraft:
    """The listing to publish. Addresses and protocols left as prefilled are left to the peer to fill in."""
    entered = [field for field in ENTERED if values.get(field.name, "") != prefilled.get(field.name, "")]
    return ListingDraft(**{field.name: _parsed(field, values) for field in entered})


def patch(values: FormValues, before: FormValues) -> ListingPatch | None:
    """The change that the edit makes, or None if it changes nothing."""
    changes: dict[str, Any] = {}
    for field in ENTERED:
        old, new = _parsed(field, before), _parsed(field, values)
        if field.kind is Kind.OBJECT:
            # A patch merges metadata: only the keys that differ go into it, and None takes one out.
            changed = {key: value for key, value in new.items() if old.get(key) != value}
            new = {**changed, **dict.fromkeys(key for key in old if key not in new)} or old
        if new not in (old, None):
            changes[field.name] = new
    return ListingPatch(**changes) if changes else None


def _shown(field: Field, value: Any) -> str:
    """The text of a field's value as the form shows it, "" for None.

    Others may have written into an own listing: a field that is left alone is not in the patch and stays as it is."""
    if value is None:
        return ""
    if field.kind in (Kind.NUMBER, Kind.INTEGER):
        return str(value) if field.kind is Kind.INTEGER else f"{value:.12g}"
    if field.kind is Kind.TEXTS:
        return ("\n" if field.lines > 1 else ", ").join(map(letters_of, value))
    if field.kind is Kind.OBJECT:
        items = further_metadata(value).items() if isinstance(value, Mapping) else ()
        texts = [f"{key} = {each}" for key, each in items if isinstance(each, str) and key not in OWN_KEYS]
        return "\n".join(map(letters_of, texts))
    return (letters_of_lines if field.lines > 1 else letters_of)(value)


def _problem(field: Field, text: str) -> str:
    if problem := _TYPED.get(field.kind, _as_typed)(field, text):
        return problem
    value = _PARSERS[field.kind](text)
    if value is None:
        return ""
    try:
        field.validate(value)
    except InvalidValue as error:
        return error.hint
    return field.objection(value)


def _as_typed(field: Field, text: str) -> str:
    return ""


def _number_problem(field: Field, text: str) -> str:
    if not text.strip():
        return field.missing
    try:
        _PARSERS[field.kind](text)
    except ValueError:
        example = "a number, such as 0.05" if field.kind is Kind.NUMBER else "a whole number, such as 5"
        return f"{beginning(text.strip(), 20)!r} is not {example}"
    return ""


def _pairs_problem(field: Field, text: str) -> str:
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        key, equals, _ = line.partition("=")
        key = key.strip()
        if not equals or not key:
            return f"line {number}: write key = value"
        if key in OWN_KEYS:
            return f"line {number}: {key} has a field of its own"
        if key in seen:
            return f"line {number}: {key} is there twice"
        seen.add(key)
    return ""


def _parsed(field: Field, values: FormValues) -> Any:
    return _PARSERS[field.kind](values.get(field.name, ""))


def _optional(parse: Callable[[str], float]) -> Callable[[str], float | None]:
    return lambda text: parse(text) if text.strip() else None


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def pairs(text: str) -> dict[str, object]:
    """The keys and values of the field of metadata, the last of each key."""
    lines = (line.partition("=") for line in text.splitlines() if line.strip())
    return {key.strip(): value.strip() for key, _, value in lines}


def _number(text: str) -> float:
    # Python would take 1_0 for 10, and digits of every script.
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(text)
    return float(text)


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError(text)
    return int(text)


_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
"""A number as people write it; what is not finite is refused with words of its own."""
_WHOLE = re.compile(r"[+-]?[0-9]+")

_PARSERS: Mapping[Kind, Callable[[str], Any]] = {
    Kind.TEXT: str.strip,
    Kind.NUMBER: _optional(_number),
    Kind.INTEGER: _optional(_whole),
    Kind.TEXTS: _lines,
    Kind.OBJECT: pairs,
}

_TYPED: Mapping[Kind, Callable[[Field, str], str]] = {
    Kind.NUMBER: _number_problem,
    Kind.INTEGER: _number_problem,
    Kind.OBJECT: _pairs_problem,
}
"""The problem of a text that cannot be parsed, or ""."""
