"""What else of a listing is searched, beside its name, description and seller: one fact a line. Pure.

    proto /x402/libp2p/1.0.0      each protocol
    tag nlp                       each element of the metadata's list `tags`
    meta.tier gold                each scalar of the metadata, by its path
    token 42                      the token's id
    id 42                         each part of its id, between slashes, that is not in its name or its seller's id

All in lower case. A line is "\\n", the fact's name, `SEPARATOR` and its value; a last "\\n" ends them, so that a whole fact
is found as a part of the text."""

from collections.abc import Iterator, Mapping
from itertools import islice

from betar_tui.market.marketplace import Listing

SEPARATOR = "\x1f"
"""Stands between the name of a fact and its value."""
MAX_FACTS = 64
"""Maximum facts of a listing."""
MAX_FACT = 128
"""Maximum characters of a fact's value; of its name as many count."""


BLANKED = f"\n\0{SEPARATOR}"
"""The characters that are blanks in a fact."""

_BLANKS = str.maketrans(dict.fromkeys(BLANKED, " "))


def facts_text(listing: Listing, document: Mapping[str, object] | None = None) -> str:
    """The facts of a listing, "" for none. `document` is its metadata file, where it has one and that is here."""
    metadata = listing.metadata if isinstance(listing.metadata, Mapping) else document
    lines = [f"\nid{SEPARATOR}{part.translate(_BLANKS)}" for part in _parts_of_id(listing)]
    lines += [f"\n{fact_of(name, value)}" for name, value in islice(_facts(listing, metadata), MAX_FACTS)]
    return f"{''.join(lines)}\n" if lines else ""


def fact_of(name: str, value: str) -> str:
    """The line of a fact, without its line ends: nothing in it can be taken for another line."""
    return f"{_line(name)}{SEPARATOR}{_line(value)}"


def scalar_text(value: object) -> str | None:
    """A scalar of the metadata as it is searched, None for what is not one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # 5.0 is what 5 becomes on its way through other programs
    return str(value) if isinstance(value, str | int | float) else None


def _line(text: str) -> str:
    # A NUL would end the text in some functions of SQLite.
    return text[:MAX_FACT].lower().translate(_BLANKS)


def _parts_of_id(listing: Listing) -> list[str]:
    """The parts of an id that its search text does not have. Most ids are the seller's with the name after it."""
    texts = listing.seller_id.lower(), listing.name.lower()
    return [part for part in listing.id.lower().split("/") if not any(part in text for text in texts)]


def _facts(listing: Listing, metadata: Mapping[str, object] | None) -> Iterator[tuple[str, str]]:
    if listing.token_id:
        yield "token", listing.token_id
    for protocol in listing.protocols:
        yield "proto", protocol
    if metadata is None:
        return
    tags = metadata.get("tags")
    for tag in tags if isinstance(tags, list | tuple) else ():
        if (text := scalar_text(tag)) is not None:
            yield "tag", text
    yield from _scalars("meta", metadata)


def _scalars(path: str, value: object) -> Iterator[tuple[str, str]]:
    """The scalars in a value by their paths. An element of a list has the path of the list."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _scalars(f"{path}.{name}", each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _scalars(path, each)
    elif (text := scalar_text(value)) is not None:
        yield path, text
