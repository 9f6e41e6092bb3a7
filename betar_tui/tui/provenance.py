"""Who speaks for a listing, in signs and words: its seller, its signature, the one that removed or replaced it. Pure.

A colour is never the only sign. Every text of a peer is neutralised here."""

from collections.abc import Sequence

from betar_tui.market.marketplace import Difference, Listing, Provenance
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt

NO_PEER_ID = "no peer id"
MAX_SENTENCES = 12
"""Maximum sentences of a story that are shown."""

PROVENANCE = {
    Provenance.VERIFIED: ("✓ signed by its seller", "$text-success"),
    Provenance.UNSIGNED: ("· unsigned: anybody may have written it", "dim"),
    Provenance.INVALID: ("✗ the signature is not the seller's", "$text-error"),
}
"""Words and style, by what the signature proves."""
DIFFERENCES = {
    Difference.NONE: "",
    Difference.REMOVED: "removed by another",
    Difference.REPLACED: "replaced by another",
    Difference.WITHDRAWN: "withdrawn",
}
"""The words of the command line for how the map differs from what is shown."""
_STATES = {
    Provenance.VERIFIED: ("✓", "", "good"),
    Provenance.UNSIGNED: ("·", "unsigned", "dim"),
    Provenance.INVALID: ("✗", "invalid", "bad"),
}
_IN_A_WORD = {
    Difference.NONE: "",
    Difference.REMOVED: "removed",
    Difference.REPLACED: "replaced",
    Difference.WITHDRAWN: "withdrawn",
}
_UNSIGNED, _WITHDRAWN = "unsigned", "withdrawn by its seller"
_OF_REMOVALS = (_UNSIGNED, _WITHDRAWN)
"""What is said of a removal itself, and not of the version that it removed."""
_VOICES = {"signed by its seller": ("✓", "$text-success"), _UNSIGNED: ("·", "dim"), _WITHDRAWN: ("✓", "$text-success")}
"""Sign and style of the voices of versions; all others speak without a right to."""


def state(listing: Listing, mixed: bool = True) -> tuple[str, str, str]:
    """The state of a listing in a cell: sign, word or none, and the name of the style.

    Where not all rows are `mixed`, signed and unsigned, the sign alone says so."""
    sign, word, style = _STATES[listing.provenance]
    word = word if mixed or listing.provenance is Provenance.INVALID else ""
    if difference := _IN_A_WORD[listing.difference]:
        return "!", difference, "warn"
    return sign, "mine" if listing.mine and listing.provenance is not Provenance.INVALID else word, style


def seller(listing: Listing, width: int = 1000) -> tuple[str, str]:
    """The seller of a listing, with its style: in full if that fits in `width` cells, else shortened."""
    name = neutralise(listing.seller_id, 100)
    if not listing.seller_is_peer:
        return f"✗ {NO_PEER_ID}: {name}" if name else f"✗ {NO_PEER_ID}", "$text-error"
    you = "you, " if listing.mine else ""
    return you + (name if len(you + name) <= width else fmt.short_id(name)), ""


def story(sentences: Sequence[str]) -> list[str]:
    """The sentences of a story, each with a capital letter and a full stop."""
    safe = [neutralise(each, 300) for each in sentences[:MAX_SENTENCES]]
    return [f"{each[:1].upper()}{each[1:]}." for each in safe if each]


def voice(words: str, removed: bool) -> tuple[str, str]:
    """Who put a version, with its sign and style; of a `removed` one whether it was withdrawn, or who had put it. Nothing if
    that is not known."""
    if not words:
        return "", ""
    sign, style = _VOICES.get(words, ("✗", "$text-error"))
    was = "was " if removed and words not in _OF_REMOVALS else ""
    return f"{sign} {was}{neutralise(words, 60)}", style
