"""What a listing is: its fields, and for each its names, limits, default and validator.

The codecs of both dialects (`listing`, `compose`), the publish form, the options of the command line, JSON files of
listings, `list --json` and the marks of changed listings follow from this table. A new field of a known kind is an
entry here and an attribute of `Listing`, `ListingDraft` and `ListingPatch`.

Pure and quick to import: the command line reads it before anything else is loaded."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import Enum, auto
from typing import Any, NamedTuple, TypeGuard

from betar_tui.choices import CURRENCY
from betar_tui.market.text import JOINERS, beginning, letters_of
from betar_tui.multiaddrs import is_path

MAX_NAME = 128
"""Maximum characters of a name."""
MAX_DESCRIPTION = 16 << 10
"""Maximum characters of a description."""
MAX_VALUE = 64 << 10
"""Maximum bytes of a value that is read as a listing."""
MAX_TAG = 128
"""Maximum characters of a tag."""
MAX_DOCUMENT = 48 << 10
"""Maximum bytes of an own listing's document: leaves room for addresses, signature and Go betar's metadata file."""

DOCUMENTS, BETAR_GO = "documents", "betar-go"
"""The two dialects of a listing's JSON (docs/protocol.md#listings)."""

BETAR_PROTOCOL = "/betar/marketplace/1.0.0"
X402_PROTOCOL = "/x402/libp2p/1.0.0"
DEFAULT_PROTOCOLS: tuple[str, ...] = ()
"""Protocols that this peer itself serves, of the two above: none. A listing claims no other unless its seller names it: a
buyer that dials the listed addresses would be told "protocols not supported"."""

STAMPS = ("timestamp", "signature")
"""Fields that every version has anew: a version that differs in them alone is a refresh."""


class InvalidValue(ValueError):
    """A value that a listing may not have. `hint` says so in the few words that fit under a field of the form."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Kind(Enum):
    """The type of a field's value, which decides how it is decoded, typed and compared."""

    TEXT = auto()
    NUMBER = auto()
    INTEGER = auto()
    TEXTS = auto()
    OBJECT = auto()


def _anything(value: Any) -> Any:
    return value


def _no_objection(value: Any) -> str:
    return ""


class Option(NamedTuple):
    """The option of the command line that enters a field."""

    flag: str
    metavar: str
    help: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a listing.

    `name` is its name in the documents' dialect, in `Listing` and its siblings, in JSON files and in `list --json`;
    `betar_go` is the other dialect's where it differs. A `required` field is in every value; a text or number that is
    absent is read as `default`. A field `in_metadata` is a key of the metadata object.

    `validate` returns a value of an own listing as it is written, or raises InvalidValue. `objection` is, in a few
    words, a reason to correct a value that was typed although it could be published, or "".

    Only fields with an `option` are entered by people. `label`, `unit`, `hint` and `lines` are the form's, and `missing` its
    objection to a number that is not entered. `column` is the
    table's column that shows it where that has another name, `detail` its label among the facts of the detail view where
    it has no part of its own."""

    name: str
    kind: Kind = Kind.TEXT
    _: KW_ONLY
    betar_go: str = ""
    required: bool = False
    default: str | float | None = None
    in_metadata: bool = False
    validate: Callable[[Any], Any] = _anything
    objection: Callable[[Any], str] = _no_objection
    label: str = ""
    unit: str = ""
    hint: str = ""
    missing: str = ""
    lines: int = 1
    option: Option | None = None
    column: str = ""
    detail: str = ""

    def wire_name(self, dialect: str) -> str:
        """The name of the field in a dialect."""
        return self.betar_go or self.name if dialect == BETAR_GO else self.name


def _name(name: str) -> str:
    stripped = name.strip()
    if not stripped:
        raise InvalidValue("a listing needs a name; people search for it", "a listing needs a name")
    if (length := len(stripped)) > MAX_NAME:
        message = f"the name has {length} characters, at most {MAX_NAME} are allowed"
        raise InvalidValue(message, f"{length} letters: {MAX_NAME} are allowed")
    message = "the name may not contain slashes or control characters"
    if "/" in stripped:
        raise InvalidValue(message, "without “/”: it separates seller and name in the id")
    # A joiner that joins nothing is as good as invisible: two names would look the same.
    shown = letters_of(stripped)
    joined = all(shown.count(joiner) == stripped.count(joiner) for joiner in JOINERS)
    if not joined or not all(char.isprintable() or char in JOINERS for char in stripped):
        raise InvalidValue(message, "without control or invisible characters")
    return stripped


def _invisible(name: str) -> str:
    return "" if letters_of(name) == name else "without control or invisible characters"


def _price(price: float) -> float:
    message = "the price must be a number that is not negative, such as 0.05"
    try:
        finite = not isinstance(price, bool) and math.isfinite(price)
    except (OverflowError, TypeError):
        finite = False
    if not finite:
        raise InvalidValue(message, "the price must be finite")
    if price < 0:
        raise InvalidValue(message, "the price cannot be negative")
    return price


def _description(text: object) -> str:
    if isinstance(text, str) and len(text) <= MAX_DESCRIPTION:
        return text
    message = f"the description must be a text of at most {MAX_DESCRIPTION} characters"
    raise InvalidValue(message, f"{len(str(text)):,} letters: {MAX_DESCRIPTION:,} are allowed")


def _tags(values: Any) -> Any:
    """Tags, of which several may stand in one text with commas between them. What is no list of texts stays as it is: a file
    of listings may have anything in its metadata."""
    if not are_texts(values):
        return values
    tags = [tag.strip() for value in values for tag in value.split(",")]
    if long := next((tag for tag in tags if len(tag) > MAX_TAG), ""):
        message = f"the tag {beginning(long, 20)!r} has {len(long)} characters, at most {MAX_TAG} are allowed"
        raise InvalidValue(message, f"a tag has {len(long)} letters: {MAX_TAG} are allowed")
    return list(dict.fromkeys(filter(None, tags)))


def are_texts(value: object) -> TypeGuard[Sequence[str]]:
    """Whether a value of JSON is a list of texts."""
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def is_of_kind(value: object, kind: Kind) -> bool:
    """Whether a value of JSON has the type of a field."""
    if kind is Kind.TEXTS:
        return are_texts(value)
    if kind in (Kind.NUMBER, Kind.INTEGER):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str if kind is Kind.TEXT else dict)


def _text(label: str) -> Callable[[Any], str]:
    def validate(value: object) -> str:
        if not isinstance(value, str):
            raise InvalidValue(f"the {label} must be a text", "not a text")
        return value

    return validate


def _paths(what: str, example: str) -> Callable[[Sequence[str]], list[str]]:
    def validate(values: Sequence[str]) -> list[str]:
        for value in values:
            if not is_path(value):
                raise InvalidValue(f"{value!r} is not a {what}", f"{beginning(value, 40)!r} is not a {example}")
        return list(dict.fromkeys(values))

    return validate


_MULTIADDR = "multiaddr, such as /ip4/203.0.113.7/tcp/4001"


def _short_address(addrs: Sequence[str]) -> str:
    return next((f"{beginning(addr, 40)!r} is not a {_MULTIADDR}" for addr in addrs if len(addr.split("/")) < 3), "")


def _one_word(text: str) -> str:
    return "one word, without spaces" if len(text.split()) > 1 else ""


FIELDS: tuple[Field, ...] = (
    Field("id", required=True),
    Field(
        "name",
        required=True,
        validate=_name,
        objection=_invisible,
        label="Name",
        hint="short and unique among yours, such as swift-ocr-12",
        option=Option("--name", "N", "what the agent is called"),
    ),
    Field(
        "price",
        Kind.NUMBER,
        required=True,
        validate=_price,
        label="Price",
        unit=CURRENCY,
        hint=f"{CURRENCY} for each task, such as 0.02; 0 is free",
        missing=f"a listing needs a price in {CURRENCY}; 0 is free",
        option=Option("--price", "P", f"what it costs, in {CURRENCY} for each task, such as 0.05"),
    ),
    Field(
        "description",
        default="",
        in_metadata=True,
        validate=_description,
        label="Description",
        hint="what it does; Markdown is shown",
        lines=4,
        option=Option("--description", "T", "what it does, as Markdown"),
    ),
    Field(
        "tags",
        Kind.TEXTS,
        in_metadata=True,
        validate=_tags,
        label="Tags",
        hint="what tag:nlp finds it by, with commas: nlp, ocr",
        option=Option("--tag", "T", "what tag:T finds it by; repeat, or write several with commas"),
    ),
    Field(
        "metadata",
        Kind.OBJECT,
        label="Metadata",
        hint="key = value, one a line",
        lines=3,
        option=Option("--meta", "K=V", "further metadata; repeat"),
    ),
    Field("seller_id", betar_go="sellerId", default="", column="seller"),
    Field(
        "addrs",
        Kind.TEXTS,
        validate=_paths("multiaddr", _MULTIADDR),
        objection=_short_address,
        label="Addresses",
        hint="multiaddrs, one a line",
        lines=3,
        option=Option("--addr", "MULTIADDR", "where the agent is reached; repeat"),
    ),
    Field(
        "protocols",
        Kind.TEXTS,
        validate=_paths("protocol id", f"protocol, such as {X402_PROTOCOL}"),
        label="Protocols",
        hint=f"those that it serves, such as {X402_PROTOCOL}",
        lines=2,
        option=Option("--protocol", "ID", "a protocol that the agent serves (default none); repeat"),
    ),
    Field("timestamp", Kind.INTEGER, default=0),
    Field(
        "token_id",
        betar_go="tokenId",
        validate=_text("token id"),
        objection=_one_word,
        label="Token id",
        hint="optional",
        option=Option("--token-id", "T", "its token, where it has one"),
        column="token",
        detail="Token",
    ),
)

STORED = tuple(field for field in FIELDS if not field.in_metadata)
"""The fields that a value has at its top level, besides its signature."""
IN_METADATA = tuple(field for field in FIELDS if field.in_metadata)
"""The fields that are keys of the metadata object."""
OWN_KEYS = frozenset(field.name for field in IN_METADATA)
"""Their keys there, which a person cannot enter as metadata."""


def further_metadata(metadata: Mapping[str, object]) -> dict[str, object]:
    """The keys of a metadata object that are not fields of a listing; what has a field's name, but another type, is none."""
    kinds = {field.name: field.kind for field in IN_METADATA}
    return {name: value for name, value in metadata.items() if name not in kinds or not is_of_kind(value, kinds[name])}


ENTERED = tuple(field for field in FIELDS if field.option)
"""The fields that a person enters, in the order of the form."""
