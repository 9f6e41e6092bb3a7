"""The JSON of a listing, in both of its dialects (docs/protocol.md#listings), to and from `Listing`.

Decoding is strict about the fields of the table in `fields` and keeps the others. A value that is not a listing raises
`ListingError`, is counted and never shown. The dialect of a value follows from its fields: `sellerId` is Go betar's,
`seller_id` is our documents'."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from betar_tui.errors import ListingError
from betar_tui.ipld import cid as cids
from betar_tui.market.fields import BETAR_GO, DOCUMENTS, IN_METADATA, MAX_VALUE, STAMPS, STORED, Field, Kind
from betar_tui.market.json_values import MAX_DEPTH, depth_of, number_of, whole_number_of
from betar_tui.market.marketplace import Listing, Provenance
from betar_tui.market.provenance import verify
from betar_tui.replica import keys
from betar_tui.replica.facts import Winner

MAX_BRACKETS = 4096
"""Maximum lists and objects in a value."""
SIGNED = b'"signature"'
"""Stands in every value that counts as signed: others need not be parsed to know that nobody has signed them."""


def parse_value(value: bytes) -> dict[str, object]:
    """The JSON object that a value holds. Raises ListingError."""
    if len(value) > MAX_VALUE:
        raise ListingError(f"the value has {len(value)} bytes, more than the {MAX_VALUE} of a listing")
    brackets = value.count(b"[") + value.count(b"{")
    if brackets > MAX_BRACKETS:
        raise ListingError(f"the value has more than {MAX_BRACKETS} lists and objects")
    try:
        parsed = _JSON.decode(value.decode())
        if b"\\u" in value:
            json.dumps(parsed, ensure_ascii=False).encode()  # half characters cannot be shown, stored or sent on
    except (ValueError, RecursionError) as error:
        raise ListingError(f"the value is not JSON: {error}") from error
    if brackets > MAX_DEPTH and depth_of(parsed) > MAX_DEPTH:
        raise ListingError(f"the value is nested more than {MAX_DEPTH} deep")
    if not isinstance(parsed, dict):
        raise ListingError(f"the value is JSON but not an object: {type(parsed).__name__}")
    return parsed


def decode(key: str, winner: Winner, at: float, own_peer_id: str, provenance: Provenance | None = None) -> Listing:
    """The listing under a key. `at` is when the value was applied, in Unix seconds. `provenance` is given where the
    signature was checked before. Raises ListingError."""
    return decode_fields(parse_value(winner.value), key, winner, at, own_peer_id, provenance)


def decode_fields(
    fields: Mapping[str, object],
    key: str,
    winner: Winner,
    at: float,
    own_peer_id: str,
    provenance: Provenance | None = None,
) -> Listing:
    """The same, for a value that is parsed already."""
    dialect = dialect_of(fields)
    values = {name: read(fields) for name, read in _READERS[dialect].items()}
    if keys.of_agent(values["id"]) != key:
        raise ListingError(f"the listing calls itself {values['id']!r}, its key is another's", "id")
    if provenance is None:
        provenance = judge(fields, winner.value, values["id"], values["seller_id"])
    return Listing(
        **values,
        provenance=provenance,
        # Anybody can write our peer id into a listing; only we can sign for it.
        mine=values["seller_id"] == own_peer_id and provenance is Provenance.VERIFIED,
        cid=cids.to_str(winner.cid),
        height=winner.height,
        **in_metadata(values["metadata"]),
        seen_at=at,
        extra={name: value for name, value in fields.items() if name not in _KNOWN[dialect]},
    )


def judge(fields: Mapping[str, object], value: bytes, listing_id: str, seller_id: str) -> Provenance:
    """What the signature in a value proves of all that the value says. `fields` is the value parsed.

    Of a name that an object has twice the last is read and signed: the others would pass for what the seller said."""
    provenance = verify(fields, listing_id, seller_id)
    if provenance is Provenance.VERIFIED and (SIGNED not in value or _repeats_names(fields, value)):
        return Provenance.INVALID
    return provenance


def encode(fields: Mapping[str, object]) -> bytes:
    """The value of a listing's fields, compact. Raises ListingError when it is too large."""
    value = _COMPACT.encode(fields).encode()
    if len(value) > MAX_VALUE:
        raise ListingError(f"the listing has {len(value)} bytes, at most {MAX_VALUE} are allowed; shorten its texts")
    return value


def dialect_of(fields: Mapping[str, object]) -> str:
    """The dialect that a listing's fields are in."""
    go = "sellerId" in fields or ("seller_id" not in fields and isinstance(fields.get("metadata"), str))
    return BETAR_GO if go else DOCUMENTS


def in_metadata(metadata: object) -> dict[str, Any]:
    """The attributes of a `Listing` that are keys of its metadata object; one of another type counts as absent."""
    keys_read = metadata if isinstance(metadata, Mapping) else {}
    values = {}
    for name, read in _METADATA_READERS.items():
        try:
            values[name] = read(keys_read)
        except ListingError:
            values[name] = read({})
    return values


def content_hash(fields: Mapping[str, object]) -> int:
    """A signed 64-bit hash of a value's fields without its stamps: two versions with the same one differ in nothing but the
    timestamp and the signature over it. That is a refresh, not news."""
    lasting = {name: value for name, value in fields.items() if name not in STAMPS}
    return int.from_bytes(hashlib.blake2b(_SORTED.encode(lasting).encode(), digest_size=8).digest(), "big", signed=True)


def _repeats_names(fields: Mapping[str, object], value: bytes) -> bool:
    """Whether an object in the JSON of a value has a name twice."""
    if _WRITTEN.encode(fields).encode() == value:  # as most are written
        return False
    repeated = False

    def look(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal repeated
        made = dict(pairs)
        repeated |= len(made) < len(pairs)
        return made

    json.loads(value, object_pairs_hook=look)
    return repeated


def _reject(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_reject)
_SORTED = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_WRITTEN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _required_text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ListingError(f"{name} is missing or not a text", name)
    return _whole_characters(value, name)


def _optional_text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ListingError(f"{name} is missing or not a text", name)
    return _whole_characters(value, name)


def _whole_characters(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ListingError(f"{name} has half a character in it", name) from error
    return text


def _texts(fields: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = fields.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ListingError(f"{name} is not a list of texts", name)
    return tuple(value)


def _object(fields: Mapping[str, object], name: str) -> dict[str, object] | str | None:
    value = fields.get(name)
    if not isinstance(value, dict | str | None):
        raise ListingError(f"{name} is neither an object nor a CID", name)
    return value


_DECODERS: Mapping[Kind, Callable[[Mapping[str, object], str], Any]] = {
    Kind.TEXT: _optional_text,
    Kind.NUMBER: number_of,
    Kind.INTEGER: whole_number_of,
    Kind.TEXTS: _texts,
    Kind.OBJECT: _object,
}


def _reader(field: Field, dialect: str) -> Callable[[Mapping[str, object]], Any]:
    """Decodes one field out of a value's fields. The reader raises ListingError."""
    name, default = field.wire_name(dialect), field.default
    if field.kind is Kind.TEXT:
        if field.required:
            return lambda fields: _required_text(fields, name)
        return lambda fields: _optional_text(fields, name) or default
    decode_kind = _DECODERS[field.kind]
    if field.kind in (Kind.NUMBER, Kind.INTEGER) and not field.required:
        return lambda fields: decode_kind(fields, name) if name in fields else default
    return lambda fields: decode_kind(fields, name)


_READERS = {dialect: {field.name: _reader(field, dialect) for field in STORED} for dialect in (DOCUMENTS, BETAR_GO)}
"""By dialect, how each attribute of a `Listing` is decoded."""
_KNOWN = {dialect: {field.wire_name(dialect) for field in STORED} | {"signature"} for dialect in _READERS}
"""By dialect, the names that are not extra."""
_METADATA_READERS = {field.name: _reader(field, DOCUMENTS) for field in IN_METADATA}
