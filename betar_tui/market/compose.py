"""Own listings: from the fields that a person enters to the JSON that is stored, in either dialect, signed.

An own listing is remembered as its *document*: its fields in our documents' dialect without timestamp and signature.
`render` makes the value from it, at every publish, refresh, repair and switch of dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from betar_tui.errors import ListingError
from betar_tui.ipld import cid as cids
from betar_tui.ipld import unixfs
from betar_tui.market.fields import (
    BETAR_GO,
    DEFAULT_PROTOCOLS,
    ENTERED,
    IN_METADATA,
    MAX_DOCUMENT,
    STORED,
    X402_PROTOCOL,
    Field,
    InvalidValue,
    Kind,
)
from betar_tui.market.listing import encode
from betar_tui.market.marketplace import ListingDraft, ListingPatch
from betar_tui.market.provenance import Signer

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A value to put, and the (CID, block) of the metadata file it points at, if any."""

    value: bytes
    file: tuple[bytes, bytes] | None = None


def new_document(draft: ListingDraft, seller_id: str, default_addrs: tuple[str, ...]) -> Document:
    """The document of a new own listing. Raises ListingError naming the field."""
    # The peer's own addresses are filled in whenever the value is made, because they change.
    addrs = () if draft.addrs == default_addrs else draft.addrs
    draft = replace(draft, addrs=addrs, protocols=draft.protocols or DEFAULT_PROTOCOLS)
    document: Document = {"seller_id": seller_id}
    for field in ENTERED:
        value = getattr(draft, field.name)
        several = field.kind in (Kind.TEXTS, Kind.OBJECT)
        if not field.in_metadata and (field.required or several or value not in ("", None)):
            document[field.name] = _valid(field, value)
    document["id"] = f"{seller_id}/{document['name']}"
    given = {field: getattr(draft, field.name) for field in IN_METADATA}
    present = {each.name: value for each, value in given.items() if value is not None or each.kind is Kind.TEXT}
    document["metadata"] = {**present, **draft.metadata}
    return _checked({field.name: document[field.name] for field in STORED if field.name in document})


def patched(document: Mapping[str, object], patch: ListingPatch) -> Document:
    """The document with a patch applied; unknown fields stay. Raises ListingError naming the field."""
    changed = dict(document)
    told = patch.metadata or {}
    metadata = {**_object(changed.get("metadata")), **told}
    for field in ENTERED:
        value = getattr(patch, field.name)
        if value is not None:
            (metadata if field.in_metadata else changed)[field.name] = _valid(field, value)
    for name in [name for name, value in told.items() if value is None]:
        metadata.pop(name, None)
    changed["metadata"] = metadata
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
    """Go betar's names, its metadata file, and no empty lists or texts."""
    metadata = _object(fields["metadata"])
    protocols = fields["protocols"]
    content = {
        "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1",
        "name": fields["name"],
        "description": metadata.get("description", ""),
        "image": "",
        "services": [],
        "x402Support": isinstance(protocols, list | tuple) and X402_PROTOCOL in protocols,
        "active": True,
        **metadata,
    }
    file = unixfs.encode_file(encode(content))
    known = {field.name: field.wire_name(BETAR_GO) for field in STORED}
    renamed: Document = {wire_name: fields.get(name, "") for name, wire_name in known.items()}
    renamed["metadata"] = cids.to_str(file[0])
    renamed.update((name, value) for name, value in fields.items() if name not in known and name not in renamed)
    return {name: value for name, value in renamed.items() if value not in ("", [])}, file


def _checked(document: Document) -> Document:
    metadata = _object(document["metadata"])
    document["metadata"] = metadata = {**metadata}
    for field in IN_METADATA:
        if field.name in metadata:
            metadata[field.name] = _valid(field, metadata[field.name])
            if metadata[field.name] == []:
                del metadata[field.name]
    try:
        if len(encode(document)) > MAX_DOCUMENT:
            raise ListingError(f"the listing has more than {MAX_DOCUMENT} bytes; shorten its texts")
    except ListingError as error:
        raise ListingError(str(error), "metadata") from error
    except (TypeError, ValueError) as error:
        raise ListingError(f"the metadata has a value that JSON has no form for: {error}", "metadata") from error
    return document


def _valid(field: Field, value: Any) -> Any:
    """The value as it is written. Raises ListingError."""
    try:
        return field.validate(value)
    except InvalidValue as error:
        raise ListingError(str(error), field.name) from error


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
