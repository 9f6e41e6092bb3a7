"""The filter grammar: `ocr price<0.5 seller:12D3 !beta`.

A filter is words and terms separated by spaces; a listing must meet all of them, letter case does not matter.

    word                      is in the name, the description or the seller
    "two words"               the same, with a space inside
    !word                     is in none of them; `!` turns any other term around too
    price<0.5  price>=1       also <=, >, =, !=
    seller:12D3               the seller's id contains it, or begins and ends with what stands around an ellipsis "…";
                              seller:you are your own
    proto:x402                one of the protocols contains it
    state:new                 verified, unsigned, mine, new, stale, muted

Listings of muted sellers meet no filter, unless it says `state:muted`: then only they do. The muted sellers are not
part of a filter; they are passed to `Filter.muting`.

Pure: it depends on the listings and the time it is given alone. With `Filter.narrows` the index finds out whether the
last result is enough."""

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from betar_tui.errors import FilterError
from betar_tui.market.marketplace import Listing, Provenance

NEW_FOR = 5 * 60.0
"""A listing counts as new this long after this peer first saw it, in seconds."""
STALE_AFTER = 2 * 60 * 60.0
"""A listing counts as stale when its seller has not renewed it for this long: two missed refreshes of an hour."""
STATES = ("verified", "unsigned", "mine", "new", "stale", "muted")
QUALIFIERS = ("seller", "proto", "state")

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_EXAMPLES = {"price<": "0.5", "seller:": "12D3", "proto:": "x402", "state:": "new"}
_TOKEN = re.compile(r'(?P<start>\S*?)"(?P<quoted>[^"]*)(?P<end>"?)|(?P<plain>\S+)')
_PRICE = re.compile(r"price\s*(?P<op><=|>=|!=|==|<|>|=|:)(?P<value>.*)\Z", re.IGNORECASE)
_FIELD = re.compile(r"(?P<field>[a-z_]+):(?P<value>.*)\Z", re.IGNORECASE)


def search_text(listing: Listing) -> str:
    """The text that words are looked for in. Cache it: lower-casing is most of a search's cost."""
    return f"{listing.name}\n{listing.description}\n{listing.seller_id}".lower()


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `kind` is word, price, seller, proto, state or sellers; `op` is set for prices only, `sellers` for
    the kind of that name: the listing is from one of them."""

    kind: str
    value: str
    negated: bool = False
    op: str = ""
    number: float = 0.0
    sellers: frozenset[str] = frozenset()

    @property
    def timed(self) -> bool:
        """Whether a listing may meet it now and not later."""
        return self.kind == "state" and self.value in ("new", "stale")

    def holds(self, listing: Listing, text: str, now: float, first_seen: float) -> bool:
        """Whether the listing, whose search text is `text`, meets this term."""
        return self._holds_plain(listing, text, now, first_seen) is not self.negated

    def _holds_plain(self, listing: Listing, text: str, now: float, first_seen: float) -> bool:
        if self.kind == "word":
            return self.value in text
        if self.kind == "price":
            return _COMPARE[self.op](listing.price, self.number)
        if self.kind == "seller":
            return _is_seller(self.value, listing.seller_id)
        if self.kind == "proto":
            return _speaks(self.value, listing.protocols)
        if self.kind == "sellers":
            return listing.seller_id in self.sellers
        return _in_state(self.value, listing, now, first_seen)

    def implies(self, other: "Term") -> bool:
        """Whether every listing that meets this term surely meets `other`."""
        if self == other:
            return True
        if self.negated or other.negated or self.kind != other.kind:
            # A listing that meets "!cat" meets "!catalogue", never the other way round.
            return self.negated and other.negated and self.kind == other.kind == "word" and self.value in other.value
        return self.kind in ("word", "proto") and other.value in self.value


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter; the empty one matches everything."""

    text: str = ""
    terms: tuple[Term, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether the result changes as time passes."""
        return any(term.timed for term in self.terms)

    @property
    def asks_for_muted(self) -> bool:
        """Whether the set of muted sellers decides the result, even an empty one."""
        return any(_is_for_muted(term) for term in self.terms)

    def muting(self, muted: frozenset[str]) -> "Filter":
        """This filter where these sellers are muted: without them, or with them alone where it asks for them."""
        asked = [term for term in self.terms if _is_for_muted(term)]
        terms = [Term("sellers", "", term.negated, sellers=muted) if term in asked else term for term in self.terms]
        if muted and not asked:
            terms.append(Term("sellers", "", negated=True, sellers=muted))
        return Filter(self.text, tuple(terms))

    def matches_text(self, listing: Listing, text: str, now: float, first_seen: float | None = None) -> bool:
        """Whether a listing with this search text meets every term; it first appeared at `first_seen`, else `seen_at`."""
        seen = listing.seen_at if first_seen is None else first_seen
        return all(term.holds(listing, text, now, seen) for term in self.terms)

    def narrows(self, other: "Filter") -> bool:
        """Whether all that this filter shows is in `other`'s result, so that it is enough to search there."""
        return not other.timed and all(any(mine.implies(term) for mine in self.terms) for term in other.terms)


class _Memo(dict[Any, bool]):
    """The verdict of a check on each value, asked for once: few sellers have many listings."""

    def __init__(self, check: Callable[[Any], bool]) -> None:
        super().__init__()
        self._check = check

    def __missing__(self, value: Any) -> bool:
        verdict = self[value] = self._check(value)
        return verdict


def evaluate(term: Term, listings: Sequence[Listing | None], seen: Sequence[float], now: float) -> list[bool]:
    """Whether each of many listings meets a term that is not a word, its negation left aside. One loop for each kind:
    it is the cost of a filter in a large market. Slots without a listing may be either."""
    if term.kind == "price":
        compare, number = _COMPARE[term.op], term.number
        return [each is not None and compare(each.price, number) for each in listings]
    if term.kind == "seller":
        verdicts = _Memo(lambda seller: _is_seller(term.value, seller))
        return [each is not None and verdicts[each.seller_id] for each in listings]
    if term.kind == "proto":
        verdicts = _Memo(lambda protocols: _speaks(term.value, protocols))
        return [each is not None and verdicts[each.protocols] for each in listings]
    if term.kind == "sellers":
        return [each is not None and each.seller_id in term.sellers for each in listings]
    if term.value == "mine":
        return [each is not None and each.mine for each in listings]
    if term.value == "muted":
        return [False] * len(listings)
    if term.value == "new":
        return [now - first < NEW_FOR for first in seen]
    if term.value == "stale":
        return [each is not None and now - each.timestamp > STALE_AFTER for each in listings]
    wanted = Provenance(term.value)
    return [each is not None and each.provenance is wanted for each in listings]


def parse(text: str) -> Filter:
    """Parse a filter. Raises FilterError with the position of the mistake."""
    terms: list[Term] = []
    for match in _TOKEN.finditer(text):
        if match["plain"] is not None:
            term = _parse_term(match["plain"], match.start())
        else:
            if not match["end"]:
                position = match.start() + len(match["start"])
                raise FilterError('a quotation mark is missing: end with "', position)
            term = _parse_term(match["start"] + match["quoted"], match.start(), quoted=match["start"] in ("", "!"))
        if term is not None:
            terms.append(term)
    return Filter(text.strip(), tuple(terms))


def unfinished(text: str) -> tuple[str, str]:
    """Where the last word may be the beginning of a field, the text without it and that field's example; else "", "".

    Typing `ocr price<0.5` passes through `ocr pri`, which is hardly the word that is looked for."""
    start = len(text.rstrip())
    while start and not text[start - 1].isspace():
        start -= 1
    word = text[start:].removeprefix("!").lower()
    if len(word) < 2 or text[-1:].isspace():
        return "", ""
    found = next((stem + example for stem, example in _EXAMPLES.items() if stem.startswith(word)), "")
    return (text[:start], found) if found else ("", "")


def _parse_term(token: str, position: int, *, quoted: bool = False) -> Term | None:
    negated = token.startswith("!")
    body = token[1:] if negated else token
    position += negated
    if negated and not body:
        raise FilterError("! needs a word after it: !beta", position - 1)
    if not body:
        return None
    if not quoted:
        if price := _PRICE.match(body):
            return _price_term(price, position, negated)
        if field := _FIELD.match(body):
            return _field_term(field, position, negated)
    return Term("word", body.lower(), negated)


def _price_term(match: re.Match[str], position: int, negated: bool) -> Term:
    op = "=" if match["op"] in (":", "==") else match["op"]
    value = match["value"].strip()
    at = position + match.start("value")
    if not value:
        raise FilterError(f"price{match['op']} needs a number: price{match['op']}0.5", at)
    try:
        number = float(value.replace("_", "x"))  # Python would take 1_0 for 10
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FilterError(f"{value[:12]!r} is not a number: price{match['op']}0.5", at)
    return Term("price", "", negated, op, number)


def _field_term(match: re.Match[str], position: int, negated: bool) -> Term | None:
    field, value = match["field"].lower(), match["value"].lower()
    if field not in QUALIFIERS:
        if field in ("http", "https", "did") or value.startswith("/"):
            # Ids and addresses have colons of their own: "did:key:z6Mk" is a word.
            return Term("word", match.group().lower(), negated)
        known = " ".join(f"{name}:" for name in QUALIFIERS)
        raise FilterError(f"no field {field[:12]}: (there are price< {known})", position)
    at = position + match.start("value")
    if not value:
        raise FilterError(f"{field}: needs a value: {field}:{_EXAMPLES[f'{field}:']}", at)
    if (field, value) == ("seller", "you"):  # as the table calls it
        return Term("state", "mine", negated)
    if field == "state" and value not in STATES:
        raise FilterError(f"no state {value[:10]!r}: {' '.join(STATES)}", at)
    return Term(field, value, negated)


def _is_for_muted(term: Term) -> bool:
    return term.kind == "state" and term.value == "muted"


def _is_seller(wanted: str, seller_id: str) -> bool:
    seller = seller_id.lower()
    start, ellipsis, end = wanted.partition("…")
    return seller.startswith(start) and seller.endswith(end) if ellipsis else wanted in seller


def _speaks(wanted: str, protocols: Sequence[str]) -> bool:
    return any(wanted in protocol.lower() for protocol in protocols)


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
