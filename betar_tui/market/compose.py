"""Own listings: from what a person enters to the JSON that is stored, in either dialect, signed.

An own listing is remembered as its *document*: the fields in our documents' dialect without timestamp and signature.
`render` makes the value from it, at every publish, refresh, repair and switch of dialect.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from betar_tui.errors import ListingError
from betar_tui.ipld import cid as cids
from betar_tui.ipld import unixfs
from betar_tui.market.listing import BETAR_GO, DEFAULT_PROTOCOLS, encode
from betar_tui.market.marketplace import ListingDraft, ListingPatch
from betar_tui.market.provenance import Signer

MAX_NAME = 128
MAX_DESCRIPTION = 16 << 10
MAX_DOCUMENT = 48 << 10
"""Leaves room for addresses, signature and the fields of Go betar's metadata file, in bytes."""

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A value to put, and the (CID, block) of the metadata file it points at, if any."""

    value: bytes
    file: tuple[bytes, bytes] | None = None


def new_document(draft: ListingDraft, seller_id: str, default_addrs: tuple[str, ...]) -> Document:
    """The document of a new listing of ours. Raises ListingError naming the field."""
    name = _name(draft.name)
    metadata: dict[str, object] = {"description": draft.description, **draft.metadata}
    document: Document = {
        "id": f"{seller_id}/{name}",
        "name": name,
        "price": _price(draft.price),
        "metadata": metadata,
        "seller_id": seller_id,
        # The peer's own addresses are filled in whenever the value is made: they change.
        "addrs": [] if draft.addrs == default_addrs else _paths(draft.addrs, "addrs"),
        "protocols": _paths(draft.protocols or DEFAULT_PROTOCOLS, "protocols"),
    }
    if draft.token_id:
        document["token_id"] = draft.token_id
    return _checked(document)


def patched(document: Mapping[str, object], patch: ListingPatch) -> Document:
    """The document with a patch applied; unknown fields stay. Raises ListingError naming the field."""
    changed = dict(document)
    if patch.name is not None:
        changed["name"] = _name(patch.name)
    if patch.price is not None:
        changed["price"] = _price(patch.price)
    if patch.addrs is not None:
        changed["addrs"] = _paths(patch.addrs, "addrs")
    if patch.protocols is not None:
        changed["protocols"] = _paths(patch.protocols, "protocols")
    if patch.token_id is not None:
        changed["token_id"] = patch.token_id
    metadata = changed.get("metadata")
    merged = {**(metadata if isinstance(metadata, Mapping) else {}), **(patch.metadata or {})}
    if patch.description is not None:
        merged["description"] = patch.description
    changed["metadata"] = merged
    return _checked(changed)


def render(
    document: Mapping[str, object], dialect: str, signer: Signer, timestamp: int, default_addrs: tuple[str, ...] = ()
) -> Rendered:
    """The signed value of a document in a dialect. `timestamp` is in Unix seconds; a document without addresses gets
    `default_addrs`. Raises ListingError."""
    fields = {**document, "addrs": document["addrs"] or list(default_addrs), "timestamp": timestamp}
    file = None
    if dialect == BETAR_GO:
        fields, file = _in_betar_go(fields)
    try:
        fields["signature"] = signer.sign(fields)
    except ValueError as error:
        raise ListingError(f"the listing has a value that cannot be signed: {error}", "metadata") from error
    return Rendered(encode(fields), file)


def _in_betar_go(fields: Mapping[str, object]) -> tuple[Document, tuple[bytes, bytes]]:
    """Go betar's names, its metadata file, and no empty lists or token."""
    metadata = fields["metadata"]
    assert isinstance(metadata, Mapping)
    content = {
        "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
        "name": fields["name"],
        "description": metadata.get("description", ""),
        "image": "",
        "services": [],
        "x402Support": "/x402/libp2p/1.0.0" in _as_list(fields["protocols"]),
        "active": True,
        **metadata,
    }
    file = unixfs.encode_file(encode(content))
    renamed: Document = {
        "id": fields["id"],
        "name": fields["name"],
        "price": fields["price"],
        "metadata": cids.to_str(file[0]),
        "sellerId": fields["seller_id"],
        "addrs": fields["addrs"],
        "protocols": fields["protocols"],
        "timestamp": fields["timestamp"],
        "tokenId": fields.get("token_id", ""),
    }
    renamed.update((name, value) for name, value in fields.items() if name not in (*renamed, "seller_id", "token_id"))
    return {name: value for name, value in renamed.items() if value not in ("", [])}, file


def _checked(document: Document) -> Document:
    description = _as_map(document["metadata"]).get("description", "")
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION:
        raise ListingError(f"the description must be a text of at most {MAX_DESCRIPTION} characters", "description")
    if not isinstance(document.get("token_id", ""), str):
        raise ListingError("the token id must be a text", "token_id")
    try:
        if len(encode(document)) > MAX_DOCUMENT:
            raise ListingError(f"the listing has more than {MAX_DOCUMENT} bytes; shorten its texts")
    except ListingError as error:
        raise ListingError(str(error), "metadata") from error
    except (TypeError, ValueError) as error:
        raise ListingError(f"the metadata has a value that JSON has no form for: {error}", "metadata") from error
    return document


def _name(name: str) -> str:
    stripped = name.strip()
    if not stripped:
        raise ListingError("a listing needs a name; people search for it", "name")
    if len(stripped) > MAX_NAME:
        raise ListingError(f"the name has {len(stripped)} characters, at most {MAX_NAME} are allowed", "name")
    if "/" in stripped or not stripped.isprintable():
        raise ListingError("the name may not contain slashes or control characters", "name")
    return stripped


def _price(price: float) -> float:
    try:
        if not isinstance(price, bool) and math.isfinite(price) and price >= 0:
            return price
    except (OverflowError, TypeError):
        pass
    raise ListingError("the price must be a number that is not negative, such as 0.05", "price")


def _paths(values: tuple[str, ...], field: str) -> list[str]:
    for value in values:
        if not value.startswith("/") or not value.isprintable() or " " in value:
            raise ListingError(f"{value!r} is not a {'multiaddr' if field == 'addrs' else 'protocol id'}", field)
    return list(dict.fromkeys(values))


def _as_list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _as_map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
