"""The conditions that a filter is made of. Pure: each depends on the listing, its texts and the time alone.

`catalogue.conditions` says the same in SQL, so a new kind is added in both."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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
_SUBSTRINGS = (*IN_TEXT, "proto", "token", "id")
"""The kinds whose value is looked for as a part of something."""


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

    def implies(self, other: "Term") -> bool:
        """Whether every listing that meets this term surely meets `other`."""
        if self == other:
            return True
        if self.negated or other.negated or self.kind != other.kind:
            # A listing that meets "!cat" meets "!catalogue", never the other way round.
            return self.negated and other.negated and self.kind == other.kind == "word" and self.value in other.value
        return self.kind in _SUBSTRINGS and other.value in self.value


class _Memo(dict[Any, bool]):
    """The verdict of a check on each value, asked for once: few sellers have many listings."""

    def __init__(self, check: Callable[[Any], bool]) -> None:
        super().__init__()
        self._check = check

    def __missing__(self, value: Any) -> bool:
        verdict = self[value] = self._check(value)
        return verdict


def evaluate(term: Term, listings: Sequence[Listing | None], seen: Sequence[float], now: float) -> list[bool]:
    """Whether each of many listings meets a term that is not IN_TEXT, its negation left aside. One loop for each kind:
    it is the cost of a filter in a large market. Slots without a listing may be either."""
    if term.kind == "price":
        compare, number = COMPARE[term.op], term.number
        return [each is not None and compare(each.price, number) for each in listings]
    if term.kind == "seller":
        verdicts = _Memo(lambda seller: is_seller(term.value, seller))
        return [each is not None and verdicts[each.seller_id] for each in listings]
    if term.kind == "proto":
        verdicts = _Memo(lambda protocols: _speaks(term.value, protocols))
        return [each is not None and verdicts[_protocols(each)] for each in listings]
    if term.kind == "sellers":
        return [each is not None and each.seller_id in term.sellers for each in listings]
    if term.kind == "state":
        return _evaluate_state(term.value, listings, seen, now)
    plain = Term(term.kind, term.value, op=term.op, number=term.number, path=term.path)
    return [each is not None and plain.holds(each, "", now, 0.0) for each in listings]


def _evaluate_state(state: str, listings: Sequence[Listing | None], seen: Sequence[float], now: float) -> list[bool]:
    if state == "mine":
        return [each is not None and each.mine for each in listings]
    if state == "muted":
        return [False] * len(listings)
    if state == "new":
        return [now - first < NEW_FOR for first in seen]
    if state == "stale":
        return [each is not None and now - each.timestamp > STALE_AFTER for each in listings]
    wanted = Provenance(state)
    return [each is not None and each.provenance is wanted for each in listings]


def is_seller(wanted: str, seller_id: str) -> bool:
    """Whether a seller's id contains this, or begins and ends with what stands around an ellipsis in it."""
    seller = seller_id.lower()
    start, ellipsis, end = wanted.partition("…")
    return seller.startswith(start) and seller.endswith(end) if ellipsis else wanted in seller


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
