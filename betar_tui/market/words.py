"""Whose word about a listing counts (docs/protocol.md#provenance). Pure.

Any peer can replace or remove any value of the map. What is shown of an id in a peer's name space is that peer's newest
signed word: a version, or a withdrawal. Only while there is none is it what the map has."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from typing import NamedTuple

from betar_tui.errors import ListingError
from betar_tui.market.kinds import Difference, Provenance
from betar_tui.market.listing import SIGNED, parse_value
from betar_tui.market.marketplace import Listing
from betar_tui.market.names import name_space
from betar_tui.market.provenance import mark_of
from betar_tui.replica import keys
from betar_tui.replica.facts import Winner


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
    key: str,
    versions: Iterable[Winner],
    read: Callable[[Mapping[str, object], Winner], Listing],
    least: Word | None = None,
    place: Callable[[], tuple[int, bytes]] = lambda: (0, b""),
) -> Spoken | None:
    """The newest verified one of some versions of a key, None if none is newer than the one that is known.

    That one's word is `least`, and `place` tells the height and CID of its block: where one word stands in several blocks
    the highest is taken. `read` decodes a version and checks its signature, or raises ListingError; it is asked only for
    those that claim to be newer, the newest first."""
    owner = name_space(keys.agent_id(key) or "")
    claims = [_Claim(*claimed, each) for each in versions if owner and (claimed := _claimed(each.value)) is not None]
    if least is not None:
        claims = [each for each in claims if each.word > least or (each.word == least and each.place > place())]
    claims.sort(key=lambda claim: (claim.word, claim.place), reverse=True)
    for word, fields, winner in claims:
        try:
            listing = read(fields, winner)
        except ListingError:
            continue
        if listing.provenance is Provenance.VERIFIED:
            return Spoken(word, fields, winner, listing)
    return None


class _Claim(NamedTuple):
    """What a version claims to be, not yet verified."""

    word: Word
    fields: Mapping[str, object]
    winner: Winner

    @property
    def place(self) -> tuple[int, bytes]:
        return self.winner.height, self.winner.cid


def _claimed(value: bytes) -> tuple[Word, Mapping[str, object]] | None:
    if SIGNED not in value:
        return None
    try:
        fields = parse_value(value)
    except ListingError:
        return None
    timestamp, mark = fields.get("timestamp", 0), mark_of(fields.get("signature"))
    if type(timestamp) is not int or not -(1 << 63) <= timestamp < 1 << 63 or mark is None:
        return None
    return Word(timestamp, mark), fields
