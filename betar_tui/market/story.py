"""What became of a listing, told in words: who put which version, and how the map differs from what is shown. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice

from betar_tui.errors import ListingError
from betar_tui.ipld import cid as cids
from betar_tui.market.kinds import Difference, Provenance
from betar_tui.market.listing import decode
from betar_tui.market.marketplace import Listing, Version
from betar_tui.market.names import name_space
from betar_tui.market.withdrawal import withdrawn_at
from betar_tui.plurals import plural
from betar_tui.replica.facts import Element, Winner
from betar_tui.replica.replica import CEILING

MAX_JUDGED = 200
"""Maximum versions whose signatures are checked for a story: the newest."""


class Voice(StrEnum):
    """Who put a version."""

    SELLER = "signed by its seller"
    NOBODY = "unsigned"
    ANOTHER = "wrongly signed, or by another"
    JUNK = "not a listing"
    WITHDRAWN = "withdrawn by its seller"
    UNTOLD = ""


def voice_of(key: str, element: Element) -> Voice:
    """Who put a version of a key."""
    try:
        listing = decode(key, Winner(element.height, element.value, element.cid), 0.0, "")
    except ListingError:
        return Voice.JUNK
    return {
        Provenance.VERIFIED: Voice.SELLER,
        Provenance.UNSIGNED: Voice.NOBODY,
        Provenance.INVALID: Voice.ANOTHER,
    }[listing.provenance]


def voices(key: str, elements: Sequence[Element]) -> list[Voice]:
    """Who put each version, as far as that is looked at."""
    judged = [voice_of(key, each) for each in elements[:MAX_JUDGED]]
    return [*judged, *[Voice.UNTOLD] * (len(elements) - len(judged))]


def story(listing: Listing, voices: Sequence[Voice], withdrawn: int | None) -> tuple[str, ...]:
    """The sentences for a listing, most of them for what is out of the ordinary. `voices` are those of its versions,
    `withdrawn` is the timestamp of the newest verified withdrawal, in Unix seconds."""
    told = []
    if listing.difference is not Difference.NONE:
        told.append(str(listing.difference))
    if withdrawn is not None:
        told.append(f"withdrawn by its seller on {day(withdrawn)}, and offered again since")
    if not listing.seller_is_peer:
        told.append("what it names as its seller is no peer id, and could be anybody")
    if not name_space(listing.id):
        told.append("its id is in no peer's name space: nobody can sign for it")
    counts: Counter[Voice] = Counter(voice for voice in voices if voice is not Voice.UNTOLD)
    parts = [f"{n} {voice}" for voice in Voice if (n := counts[voice])]
    if untold := len(voices) - counts.total():
        parts.append(f"{untold} older")
    told.append(f"{plural(len(voices), 'version')}: {', '.join(parts)}")
    return tuple(told)


def told_history(
    key: str, elements: Sequence[Element], voices: Sequence[Voice], withdrawals: Sequence[Element]
) -> tuple[Version, ...]:
    """The versions of a listing and its removals, which have no value, the newest first.

    `withdrawals` are the values under `key`, the listing's of those: each verified one came in the delta that removed what
    was there. Of removals without one, as by a Go betar, only the removed versions tell, and not how many there were: one
    stands for all that no withdrawal explains, with the CID "" and the height 0."""
    removals = _removals(key, withdrawals)
    told: list[Version] = []
    explained = False
    for element, voice in zip(elements, voices, strict=True):
        while removals and removals[0].height > element.height:
            told.append(_removal(removals.pop(0)))
            explained = True
        # What has an absurd height is removed by the next update of anybody, as a part of it.
        if element.dead and not explained and element.height < CEILING:
            told.append(Version("", 0, None, str(Voice.NOBODY)))
            explained = True
        value = element.value.decode(errors="replace")
        told.append(Version(cids.to_str(element.cid), element.height, value, str(voice)))
    return (*told, *map(_removal, removals))


def _removals(key: str, withdrawals: Sequence[Element]) -> list[Element]:
    """The verified withdrawals, highest first. Anybody may put one again in a higher delta, which withdraws nothing: the
    lowest counts."""
    lowest: dict[bytes, Element] = {}
    for each in sorted(withdrawals, key=lambda each: each.height):
        lowest.setdefault(each.value, each)
    judged = islice(lowest.values(), MAX_JUDGED)
    return [each for each in judged if withdrawn_at(key, each.value) is not None][::-1]


def _removal(withdrawal: Element) -> Version:
    return Version(cids.to_str(withdrawal.cid), withdrawal.height, None, str(Voice.WITHDRAWN))


def day(timestamp: int) -> str:
    """A time in Unix seconds as people write it; what no calendar has stays a number."""
    try:
        return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"second {timestamp}"
