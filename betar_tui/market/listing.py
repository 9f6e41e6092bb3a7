"""The JSON of a listing, in both of its dialects (PROTOCOL 6), to and from `Listing`.

Reading is strict about the fields it knows and keeps the others; a value that is no listing raises `ListingError`, is
counted and never shown. Which dialect a value is in follows from its fields: `sellerId` is Go betar's, `seller_id` is
ours.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from betar_tui.errors import ListingError
from betar_tui.ipld import cid as cids
from betar_tui.market.marketplace import Listing, Provenance
from betar_tui.market.provenance import verify
from betar_tui.replica import keys
from betar_tui.replica.facts import Winner

MAX_VALUE = 64 << 10
"""The largest value that is read as a listing, in bytes."""

MAX_BRACKETS = 4096
MAX_DEPTH = 32

DOCUMENTS, BETAR_GO = "documents", "betar-go"
BETAR_PROTOCOL = "/betar/marketplace/1.0.0"
DEFAULT_PROTOCOLS = (BETAR_PROTOCOL, "/x402/libp2p/1.0.0")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The names that differ between the dialects."""

    name: str
    seller: str
    token: str


DIALECTS = {
    DOCUMENTS: Dialect(DOCUMENTS, "seller_id", "token_id"),
    BETAR_GO: Dialect(BETAR_GO, "sellerId", "tokenId"),
}
_COMMON = frozenset(("id", "name", "price", "metadata", "addrs", "protocols", "timestamp", "signature"))


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
    if brackets > MAX_DEPTH and _depth(parsed) > MAX_DEPTH:
        raise ListingError(f"the value is nested more than {MAX_DEPTH} deep")
    if not isinstance(parsed, dict):
        raise ListingError(f"the value is JSON but not an object: {type(parsed).__name__}")
    return parsed


def decode(
    key: str,
    winner: Winner,
    at: float,
    own_peer_id: str,
    proven: Provenance | None = None,
) -> Listing:
    """The listing under a key. `at` is when the value was applied, Unix seconds; `proven` is what its signature was
    found to show before, None to look. Raises ListingError."""
    fields = parse_value(winner.value)
    listing_id = _string(fields, "id")
    if keys.of_agent(listing_id) != key:
        raise ListingError(f"the listing calls itself {listing_id!r}, its key is another's", "id")
    dialect = dialect_of(fields)
    seller = _string(fields, dialect.seller, "")
    metadata = fields.get("metadata")
    if not isinstance(metadata, dict | str | None):
        raise ListingError("metadata is neither an object nor a CID", "metadata")
    token = _string(fields, dialect.token, "")
    known = _COMMON | {dialect.seller, dialect.token}
    if proven is None:
        proven = verify(fields, seller)
    return Listing(
        id=listing_id,
        name=_string(fields, "name"),
        price=_price(fields),
        metadata=metadata,
        seller_id=seller,
        addrs=_strings(fields, "addrs"),
        protocols=_strings(fields, "protocols"),
        timestamp=_timestamp(fields),
        token_id=token or None,
        provenance=proven,
        # Anybody can write our peer id into a listing; only we can sign for it.
        mine=seller == own_peer_id and proven is Provenance.VERIFIED,
        cid=cids.to_str(winner.cid),
        height=winner.height,
        description=description_of(metadata),
        seen_at=at,
        extra={name: each for name, each in fields.items() if name not in known},
    )


def encode(fields: Mapping[str, object]) -> bytes:
    """The value of a listing's fields, compact. Raises ListingError when it is too large."""
    value = _COMPACT.encode(fields).encode()
    if len(value) > MAX_VALUE:
        raise ListingError(f"the listing has {len(value)} bytes, at most {MAX_VALUE} are allowed; shorten its texts")
    return value


def dialect_of(fields: Mapping[str, object]) -> Dialect:
    """The dialect that a listing's fields are in."""
    go = "sellerId" in fields or ("seller_id" not in fields and isinstance(fields.get("metadata"), str))
    return DIALECTS[BETAR_GO if go else DOCUMENTS]


def description_of(metadata: object) -> str:
    """The description inside a metadata object, or nothing."""
    text = metadata.get("description") if isinstance(metadata, Mapping) else None
    return text if isinstance(text, str) else ""


def same_but_for_time(a: bytes, b: bytes) -> bool:
    """Whether two values differ in nothing but the timestamp and the signature over it: a refresh, not news."""
    try:
        one, other = parse_value(a), parse_value(b)
    except ListingError:
        return False
    for each in (one, other):
        each.pop("timestamp", None)
        each.pop("signature", None)
    return one == other


def _depth(value: object) -> int:
    """How deep lists and objects are nested."""
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


def _reject(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_reject)
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _string(fields: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = fields.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (default is None and not value):
        raise ListingError(f"{name} is missing or not a text", name)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ListingError(f"{name} has half a character in it", name) from error
    return value


def _strings(fields: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = fields.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ListingError(f"{name} is not a list of texts", name)
    return tuple(value)


def _price(fields: Mapping[str, object]) -> float:
    price = fields.get("price")
    if isinstance(price, bool) or not isinstance(price, int | float):
        raise ListingError("price is missing or not a number", "price")
    try:
        number = float(price)
    except OverflowError as error:
        raise ListingError("price is out of range", "price") from error
    if not math.isfinite(number):
        raise ListingError("price is not a finite number", "price")
    return number


def _timestamp(fields: Mapping[str, object]) -> int:
    value = fields.get("timestamp", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not -(1 << 63) <= value < 1 << 63:
        raise ListingError("timestamp is not a whole number of seconds", "timestamp")
    return value
