"""The publish form without its widgets: fields, checks, and what comes out. Pure.

Values are the texts in the fields. `problems` says what is wrong, field by field; only a form without problems makes a
draft or a patch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from betar_tui.market.marketplace import Listing, ListingDraft, ListingPatch, Status
from betar_tui.market.text import neutralise, neutralise_lines

NAME_LIMIT = 128
DESCRIPTION_LIMIT = 32_000
DEFAULT_PROTOCOLS = ("/betar/marketplace/1.0.0", "/x402/libp2p/1.0.0")


@dataclass(frozen=True, slots=True)
class FormValues:
    """The texts of the form's fields. Several values stand on lines of their own; metadata as `key = value`."""

    name: str = ""
    price: str = ""
    description: str = ""
    metadata: str = ""
    addrs: str = ""
    protocols: str = ""
    token_id: str = ""


FIELD_NAMES = tuple(field.name for field in fields(FormValues))


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """How a field is shown: its label, whether it has several lines, and what to write in it."""

    name: str
    label: str
    hint: str
    lines: int = 1


FIELD_SPECS: tuple[FieldSpec, ...] = (
    FieldSpec("name", "Name", "short and unique among yours, such as swift-ocr-12"),
    FieldSpec("price", "Price", "a number, 0 or more, such as 0.02"),
    FieldSpec("description", "Description", "what it does; Markdown is shown", 4),
    FieldSpec("metadata", "Metadata", "key = value, one a line", 3),
    FieldSpec("addrs", "Addresses", "multiaddrs, one a line", 3),
    FieldSpec("protocols", "Protocols", "such as /x402/libp2p/1.0.0, one a line", 2),
    FieldSpec("token_id", "Token id", "optional"),
)


def blank(status: Status | None) -> FormValues:
    """A new form, with this peer's addresses and the usual protocols filled in."""
    addrs = "\n".join(_public(status.addrs)) if status else ""
    return FormValues(addrs=addrs, protocols="\n".join(DEFAULT_PROTOCOLS))


def of_listing(listing: Listing) -> FormValues:
    """The form of an own listing that is to be changed."""
    extra = dict(listing.metadata) if isinstance(listing.metadata, Mapping) else {}
    extra.pop("description", None)
    # Others may have written into a listing of ours. A field that is left alone is not in the patch and stays as it is.
    return FormValues(
        name=neutralise(listing.name),
        price=f"{listing.price:.12g}",
        description=neutralise_lines(listing.description),
        metadata="\n".join(neutralise(f"{key} = {value}") for key, value in extra.items() if isinstance(value, str)),
        addrs="\n".join(map(neutralise, listing.addrs)),
        protocols="\n".join(map(neutralise, listing.protocols)),
        token_id=neutralise(listing.token_id or ""),
    )


def problems(values: FormValues) -> dict[str, str]:
    """What is wrong, by field; empty when the form may be sent."""
    checks = {
        "name": _check_name,
        "price": _check_price,
        "description": _check_description,
        "metadata": _check_metadata,
        "addrs": _check_addrs,
        "protocols": _check_protocols,
        "token_id": _check_token,
    }
    texts = asdict(values)
    found = {name: check(texts[name]) for name, check in checks.items()}
    return {name: problem for name, problem in found.items() if problem}


def draft(values: FormValues, prefilled: FormValues) -> ListingDraft:
    """The listing to publish. Addresses and protocols left as prefilled are left to the peer to fill in."""
    return ListingDraft(
        name=values.name.strip(),
        price=float(values.price),
        description=values.description.strip(),
        metadata=_pairs(values.metadata),
        addrs=() if values.addrs == prefilled.addrs else _lines(values.addrs),
        protocols=() if values.protocols == prefilled.protocols else _lines(values.protocols),
        token_id=values.token_id.strip() or None,
    )


def patch(values: FormValues, before: FormValues) -> ListingPatch | None:
    """What the edit changes, or None if it changes nothing."""
    result = ListingPatch()
    if values.name.strip() != before.name:
        result = replace(result, name=values.name.strip())
    if float(values.price) != float(before.price):
        result = replace(result, price=float(values.price))
    if values.description.strip() != before.description.strip():
        result = replace(result, description=values.description.strip())
    old, new = _pairs(before.metadata), _pairs(values.metadata)
    if changed := {key: value for key, value in new.items() if old.get(key) != value}:
        result = replace(result, metadata=changed)
    if _lines(values.addrs) != _lines(before.addrs):
        result = replace(result, addrs=_lines(values.addrs))
    if _lines(values.protocols) != _lines(before.protocols):
        result = replace(result, protocols=_lines(values.protocols))
    if values.token_id.strip() != before.token_id:
        result = replace(result, token_id=values.token_id.strip())
    return None if result == ListingPatch() else result


def removed_keys(values: FormValues, before: FormValues) -> list[str]:
    """Metadata keys that the edit took out; a patch merges, so they cannot be removed."""
    return [key for key in _pairs(before.metadata) if key not in _pairs(values.metadata)]


def _check_name(text: str) -> str:
    name = text.strip()
    if not name:
        return "a listing needs a name"
    if len(name) > NAME_LIMIT:
        return f"{len(name)} letters: {NAME_LIMIT} are allowed"
    if "/" in name:
        return "without “/”: it separates seller and name in the id"
    return "" if neutralise(name) == name else "without control or invisible characters"


def _check_price(text: str) -> str:
    if not text.strip():
        return "a listing needs a price; 0 is free"
    try:
        number = float(text)
    except ValueError:
        return f"{text.strip()[:20]!r} is not a number: write it like 0.05"
    if not math.isfinite(number):
        return "the price must be finite"
    return "the price cannot be negative" if number < 0 else ""


def _check_description(text: str) -> str:
    return f"{len(text):,} letters: {DESCRIPTION_LIMIT:,} are allowed" if len(text) > DESCRIPTION_LIMIT else ""


def _check_metadata(text: str) -> str:
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        key, equals, _ = line.partition("=")
        key = key.strip()
        if not equals or not key:
            return f"line {number}: write key = value"
        if key == "description":
            return f"line {number}: the description has its own field"
        if key in seen:
            return f"line {number}: {key} is there twice"
        seen.add(key)
    return ""


def _check_addrs(text: str) -> str:
    for line in _lines(text):
        if not line.startswith("/") or len(line.split("/")) < 3 or " " in line:
            return f"{line[:40]!r} is not a multiaddr: /ip4/203.0.113.7/tcp/4001"
    return ""


def _check_protocols(text: str) -> str:
    for line in _lines(text):
        if not line.startswith("/") or " " in line:
            return f"{line[:40]!r} is not a protocol: /x402/libp2p/1.0.0"
    return ""


def _check_token(text: str) -> str:
    return "one word, without spaces" if len(text.split()) > 1 else ""


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _pairs(text: str) -> dict[str, object]:
    pairs = (line.partition("=") for line in text.splitlines() if line.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _public(addrs: tuple[str, ...]) -> tuple[str, ...]:
    away = tuple(addr for addr in addrs if not addr.startswith(("/ip4/127.", "/ip6/::1/")))
    return away or addrs
