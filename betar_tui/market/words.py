"""Whose word about a listing counts (docs/protocol.md#provenance). Pure.

Any peer can replace or remove any value of the map. What is shown of an id in a peer's name space is that peer's newest
signed word: a version, or a withdrawal. Only while there is none is it what the map has."""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from typing import NamedTuple

from betar_tui.errors import ListingError
from betar_tui.market.kinds import Difference, Provenance
from betar_tui.market.listing import SIGNED, parse_value
from betar_tui.market.marketplace import Listing
from betar_tui.market.names import name_space
from betar_tui.market.provenance import mark_of
from betar_tui.replica.facts import Winner

_TIMESTAMPS = re.compile(rb'"timestamp"\s*:\s*(-?\d{1,20})')


class Word(NamedTuple):
    """A verified version as it is compared with others: the greater one is the newer.

    `timestamp` is the seller's, in Unix seconds. Of two with the same one the `mark` decides, which is a part of the
    signature: nobody but the seller can make another with a greater mark."""

    timestamp: int
    mark: int


class Spoken(NamedTuple):
    """A verified version: its word, its fields, the value and what that is decoded to."""

    word: Word
    fields: Mapping[str, object]
    winner: Winner
    listing: Listing


class Source(Enum):
    """Which version of a listing is shown: the newest signed one, what the map has, or none."""

    SIGNED = auto()
    MAP = auto()
    NOTHING = auto()


class Decision(NamedTuple):
    """What is shown of a listing, and how that differs from what the map has."""

    source: Source
    difference: Difference


def decide(signed: int | None, withdrawn: int | None, in_map: bool, same: bool) -> Decision:
    """What is shown of an id. `signed` and `withdrawn` are the timestamps of the newest verified version and withdrawal,
    None without one; `in_map` is whether the map has a value, `same` whether that is what was signed."""
    if withdrawn is not None and (signed is None or signed <= withdrawn):
        return Decision(Source.NOTHING, Difference.WITHDRAWN)
    if signed is None:
        return Decision(Source.MAP if in_map else Source.NOTHING, Difference.NONE)
    if not in_map:
        return Decision(Source.SIGNED, Difference.REMOVED)
    return Decision(Source.SIGNED, Difference.NONE if same else Difference.REPLACED)


def newest(
    versions: Iterable[Winner],
    read: Callable[[Mapping[str, object], Winner], Listing],
    least: Word | None = None,
    place: Callable[[], tuple[int, bytes]] = lambda: (0, b""),
) -> Spoken | None:
    """The newest verified one of some versions of a key, None if none is newer than the one that is known.

    That one's word is `least`, and `place` tells the height and CID of its block: where one word stands in several blocks
    the highest is taken. `read` decodes a version and checks its signature, or raises ListingError; it is asked only for
    those that claim to be newer."""
    found: Spoken | None = None
    known: tuple[int, bytes] | None = None
    # The newest is mostly the highest: most of the others need not even be parsed then.
    for winner in sorted(versions, key=_place, reverse=True):
        if SIGNED not in winner.value or (least is not None and _latest(winner.value) < least.timestamp):
            continue
        claimed = _claimed(winner.value)
        if claimed is None or (least is not None and claimed[0] < least):
            continue
        word, fields = claimed
        if word == least:
            if found is not None:
                continue
            known = place() if known is None else known  # which reads the block: once, however many copies there are
            if _place(winner) <= known:
                continue
        try:
            listing = read(fields, winner)
        except ListingError:
            continue
        if listing.provenance is Provenance.VERIFIED:
            found, least = Spoken(word, fields, winner, listing), word
    return found


def _place(winner: Winner) -> tuple[int, bytes]:
    return winner.height, winner.cid


def _latest(value: bytes) -> int:
    """A number that is not below the timestamp of a value, which is 0 where it has none."""
    if b"\\u" in value:  # the name may be in disguise
        return 1 << 63
    return max([0, *map(int, _TIMESTAMPS.findall(value))])


def _claimed(value: bytes) -> tuple[Word, Mapping[str, object]] | None:
    try:
        fields = parse_value(value)
    except ListingError:
        return None
    listing_id, timestamp, mark = fields.get("id"), fields.get("timestamp", 0), mark_of(fields.get("signature"))
    if not isinstance(listing_id, str) or not name_space(listing_id):
        return None
    if type(timestamp) is not int or not -(1 << 63) <= timestamp < 1 << 63 or mark is None:
        return None
    return Word(timestamp, mark), fields
