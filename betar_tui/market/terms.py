"""The conditions that a filter is made of. Pure: each depends on the listing, its texts and the time alone.

`catalogue.conditions` says the same in SQL, so a new kind is added in both."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from betar_tui.market.facts import MAX_FACTS, SEPARATOR, fact_of, facts_text
from betar_tui.market.marketplace import Listing, Provenance

NEW_FOR = 5 * 60.0
"""A listing counts as new this long after this peer first saw it, in seconds."""
STALE_AFTER = 2 * 60 * 60.0
"""A listing counts as stale when its seller has not renewed it for this long: two missed refreshes of an hour."""
STATES = ("verified", "unsigned", "mine", "new", "stale", "muted")

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
IN_TEXT = ("word", "name", "description")
"""The kinds that need nothing of a listing but its search text."""


def search_text(listing: Listing) -> str:
    """The text that words are looked for in. Cache it: lower-casing is most of a search's cost.

    It has no NUL, which would end it in some functions of SQLite. With two line ends at its end, each of its letters
    begins a piece of three, as the search index has them: that is how one or two letters are found there."""
    return f"{listing.name}\n{listing.description}\n{listing.seller_id}\n\n".lower().replace("\0", " ")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `kind` is word, name, description, price, seen, seller, id, proto, token, tag, meta, state or
    sellers. `op` and `number` are set for prices and for seen, which is an age in seconds; `path` for meta, with its
    "meta." in front; `sellers` for the kind of that name: the listing is from one of them."""

    kind: str
    value: str
    negated: bool = False
    op: str = ""
    number: float = 0.0
    sellers: frozenset[str] = frozenset()
    path: str = ""

    @property
    def timed(self) -> bool:
        """Whether a listing may meet it now and not later."""
        return self.kind == "seen" or (self.kind == "state" and self.value in ("new", "stale"))

    @property
    def fact(self) -> str:
        """The line that is in the facts of the listings that meet it; for the kinds tag and meta."""
        return f"\n{fact_of(self.path or self.kind, self.value)}\n"

    def holds(self, listing: Listing, text: str, now: float, first_seen: float) -> bool:
        """Whether the listing, whose search text is `text`, meets this term."""
        return self._holds_plain(listing, text, now, first_seen) is not self.negated

    def in_text(self, text: str) -> bool:
        """Whether the term without its negation is met by a search text; for the kinds IN_TEXT."""
        if self.kind == "name":
            return self.value in text.partition("\n")[0]
        return is_described(text, self.value) if self.kind == "description" else self.value in text

    def _holds_plain(self, listing: Listing, text: str, now: float, first_seen: float) -> bool:
        if self.kind in IN_TEXT:
            return self.in_text(text)
        if self.kind == "price":
            return COMPARE[self.op](listing.price, self.number)
        if self.kind == "seen":
            return COMPARE[self.op](now - listing.seen_at, self.number)
        if self.kind == "state":
            return _in_state(self.value, listing, now, first_seen)
        return self._holds_of_identity(listing)

    def _holds_of_identity(self, listing: Listing) -> bool:
        if self.kind == "seller":
            return is_seller(self.value, listing.seller_id)
        if self.kind == "sellers":
            return listing.seller_id in self.sellers
        if self.kind == "id":
            return self.value in listing.id.lower()
        if self.kind == "proto":
            return _speaks(self.value, _protocols(listing))
        facts = facts_text(listing)
        return has_fact(facts, self.kind, self.value) if self.kind == "token" else self.fact in facts


def is_seller(wanted: str, seller_id: str) -> bool:
    """Whether a seller's id contains this; with an ellipsis, as in a short form, whether it begins with what stands before
    that and contains what stands behind."""
    seller = seller_id.lower()
    start, ellipsis, rest = wanted.partition("…")
    return seller.startswith(start) and rest in seller[len(start) :] if ellipsis else wanted in seller


def is_described(text: str, wanted: str) -> bool:
    """Whether a search text has this between its first line, the name, and its last, the seller."""
    return wanted in text.partition("\n")[2].removesuffix("\n\n").rpartition("\n")[0]


def has_fact(facts: str, name: str, wanted: str) -> bool:
    """Whether the value of one of the facts of this name contains this."""
    start = f"{name}{SEPARATOR}"
    return any(line.startswith(start) and wanted in line[len(start) :] for line in facts.split("\n"))


def _protocols(listing: Listing) -> tuple[str, ...]:
    """The protocols of a listing that are among its facts: its token comes first."""
    return listing.protocols[: MAX_FACTS - bool(listing.token_id)]


def _speaks(wanted: str, protocols: Sequence[str]) -> bool:
    return any(wanted in fact_of("", protocol)[len(SEPARATOR) :] for protocol in protocols)


def _in_state(state: str, listing: Listing, now: float, first_seen: float) -> bool:
    if state == "verified":
        return listing.provenance is Provenance.VERIFIED
    if state == "unsigned":
        return listing.provenance is Provenance.UNSIGNED
    if state == "mine":
        return listing.mine
    if state == "new":
        return now - first_seen < NEW_FOR
    if state == "muted":
        return False
    return now - listing.timestamp > STALE_AFTER
