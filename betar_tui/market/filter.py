"""The filter grammar: `ocr price<0.5 tag:pdf or seller:you !beta`.

A filter is words and terms separated by spaces; a listing must meet all of them, letter case does not matter.

    word                      is in the name, the description or the seller
    "two words"               the same, with a space inside
    !word                     is in none of them; `!` turns any other term around too
    ocr or seller:you         meets what stands before `or`, or what stands after it; "or" in quotes is a word
    name:ocr                  the name contains it
    description:scan          the description contains it
    price<0.5  price >= 1     also <=, >, =, !=
    seen<2h                   came or changed here less than two hours ago; also <=, >, >=, with s, m, h, d or w;
                              age<2h is the same
    seller:12D3               the seller's id contains it; a short form as 12D3…Evrft8nw is understood;
                              seller:you are your own, seller:me too
    id:swift                  the listing's id contains it
    proto:x402                one of the protocols contains it
    tag:nlp                   is one of the tags in its metadata
    meta.tier:gold            is the value of this key of its metadata, meta.limits.pages:50 of one inside another
    token:42                  the token's id contains it
    state:new                 verified, unsigned, mine, new, stale, muted

`meta.tier:"very good"` and the others take a value with spaces in quotes. Listings of muted sellers meet no filter,
unless it says `state:muted`: then only they do. The muted sellers are not part of a filter; they are passed to
`Filter.muting`.

Pure: it depends on the listings and the time it is given alone."""

import math
import re
from dataclasses import dataclass
from functools import partial

from betar_tui.errors import FilterError
from betar_tui.market.marketplace import Listing
from betar_tui.market.terms import NEW_FOR as NEW_FOR
from betar_tui.market.terms import STALE_AFTER as STALE_AFTER
from betar_tui.market.terms import STATES as STATES
from betar_tui.market.terms import Term as Term
from betar_tui.market.terms import search_text as search_text
from betar_tui.market.text import beginning
from betar_tui.nearest import nearest

_EXAMPLES = {
    "price<": "0.5",
    "seen<": "2h",
    "name:": "ocr",
    "description:": "scan",
    "seller:": "12D3",
    "id:": "swift",
    "proto:": "x402",
    "tag:": "nlp",
    "meta.": "tier:gold",
    "token:": "42",
    "state:": "new",
}
QUALIFIERS = tuple(stem[:-1] for stem in _EXAMPLES if stem.endswith(":"))
MAX_TERMS = 64
"""Maximum terms of a filter: each is a check on every listing."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_TOKEN = re.compile(
    r"(?P<spaced>!?(?:price|seen|age)\s*(?:[<>!=]=|[<>=])\s*[^\s\"<>=!]+(?=\s|\Z))"
    r'|(?P<start>\S*?)"(?P<quoted>[^"]*)(?P<end>"?)|(?P<plain>\S+)',
    re.IGNORECASE,
)
"""A comparison may have spaces around its sign: `price < 0.1`."""
_PRICE = re.compile(r"price\s*(?P<op><=|>=|!=|==|<|>|=|:)(?P<value>.*)\Z", re.IGNORECASE | re.DOTALL)
_SEEN = re.compile(r"(?P<field>seen|age)(?P<op><=|>=|!=|==|<|>|=|:)(?P<value>.*)\Z", re.IGNORECASE | re.DOTALL)
_AGE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]*)?)(?P<unit>[smhdw])\Z", re.IGNORECASE)
_NUMBER_OR_AGE = re.compile(r"[-+]?\.?[0-9][0-9_.,]*(?:e[-+]?[0-9]+)?[smhdw]?\Z", re.IGNORECASE)
_META = re.compile(r"(?P<path>meta\.[^:]+):(?P<value>.*)\Z", re.IGNORECASE | re.DOTALL)
_FIELD = re.compile(r"(?P<field>[a-z_]+):(?P<value>.*)\Z", re.IGNORECASE | re.DOTALL)
_COMPARED = re.compile(
    r"(?P<field>[a-z_][a-z_0-9.]*)(?P<op><=|>=|!=|==|<|>|=)(?P<value>.*)\Z", re.IGNORECASE | re.DOTALL
)
_PATH = "meta."
_AWAITING = re.compile(r"(?<=\S)\s+or\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter: a listing meets it if it meets every term of one of the alternatives. The empty one has one
    without terms, and matches everything."""

    text: str = ""
    alternatives: tuple[tuple[Term, ...], ...] = ((),)

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of all alternatives."""
        return tuple(term for terms in self.alternatives for term in terms)

    @property
    def everything(self) -> bool:
        """Whether every listing meets it."""
        return () in self.alternatives

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
        return Filter(self.text, tuple(_muting(terms, muted) for terms in self.alternatives))

    def matches_text(self, listing: Listing, text: str, now: float, first_seen: float | None = None) -> bool:
        """Whether a listing with this search text meets the filter; it first appeared at `first_seen`, else `seen_at`."""
        seen = listing.seen_at if first_seen is None else first_seen
        return any(all(term.holds(listing, text, now, seen) for term in terms) for terms in self.alternatives)


def parse(text: str) -> Filter:
    """Parse a filter. Raises FilterError with the position of the mistake."""
    alternatives: list[list[Term]] = [[]]
    awaited = partial(FilterError, "or needs a term after it: ocr or price<1")
    position = terms = 0
    for match in _TOKEN.finditer(text):
        plain = match["spaced"] or match["plain"]
        if plain is not None and plain.lower() == "or" and (alternatives[-1] or len(alternatives) > 1):
            if not alternatives[-1]:
                raise awaited(position)
            alternatives.append([])
            position = match.start()
        elif (term := _parse_token(match)) is not None:
            alternatives[-1].append(term)
            terms += 1
            if terms > MAX_TERMS:
                raise FilterError(f"a filter has at most {MAX_TERMS} words and terms", match.start())
    if len(alternatives) > 1 and not alternatives[-1]:
        raise awaited(position)
    return Filter(text.strip(), tuple(tuple(terms) for terms in alternatives))


def unfinished(text: str) -> tuple[str, str]:
    """Where the last word may be the beginning of a field, the text without it and that field's example; else "", "".

    Typing `ocr price<0.5` passes through `ocr pri`, which is hardly the word that is looked for."""
    start = _last_word(text)
    word = text[start:].removeprefix("!").lower()
    if len(word) < 2 or text[-1:].isspace():
        return "", ""
    if begins_path(text):
        word = _PATH
    found = next((stem + example for stem, example in _EXAMPLES.items() if stem.startswith(word)), "")
    return (_without_or(text[:start]), found) if found else ("", "")


def begins_path(text: str) -> bool:
    """Whether the last word is the beginning of `meta.NAME:`, and so not one that is looked for."""
    word = text[_last_word(text) :].removeprefix("!").lower()
    return word.startswith(_PATH) and ":" not in word and not word[-1:].isspace()


def _last_word(text: str) -> int:
    """Where the last word begins."""
    start = len(text.rstrip())
    while start and not text[start - 1].isspace():
        start -= 1
    return start


def _without_or(text: str) -> str:
    """A text without an `or` at its end, which waits for a term."""
    return _AWAITING.sub(" ", text)


def _muting(terms: tuple[Term, ...], muted: frozenset[str]) -> tuple[Term, ...]:
    if any(_is_for_muted(term) for term in terms):
        return tuple(Term("sellers", "", t.negated, sellers=muted) if _is_for_muted(t) else t for t in terms)
    return (*terms, Term("sellers", "", negated=True, sellers=muted)) if muted else terms


def _is_for_muted(term: Term) -> bool:
    return term.kind == "state" and term.value == "muted"


def _parse_token(match: re.Match[str]) -> Term | None:
    if spaced := match["spaced"]:
        return _parse_term("".join(spaced.split()), match.start())
    if match["plain"] is not None:
        return _parse_term(match["plain"], match.start())
    if not match["end"]:
        position = match.start() + len(match["start"])
        raise FilterError('a quotation mark is missing: end with "', position)
    return _parse_term(match["start"] + match["quoted"], match.start(), quoted=match["start"] in ("", "!"))


def _parse_term(token: str, position: int, *, quoted: bool = False) -> Term | None:
    negated = token.startswith("!")
    body = token[1:] if negated else token
    position += negated
    if negated and not body:
        raise FilterError("! needs a word after it: !beta", position - 1)
    if not body:
        return None
    if not quoted:
        for pattern, make in _MAKERS:
            if found := pattern.match(body):
                return make(found, position, negated)
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
        raise FilterError(f"{beginning(value, 12)!r} is not a number, as in price{match['op']}0.5", at)
    return Term("price", "", negated, op, number)


def _seen_term(match: re.Match[str], position: int, negated: bool) -> Term:
    field, op, value = match["field"].lower(), match["op"], match["value"].strip()
    at = position + match.start("value")
    if op not in ("<", "<=", ">", ">="):
        raise FilterError(f"{field} needs < or >: {field}<2h", position + match.start("op"))
    if not value:
        raise FilterError(f"{field}{op} needs an age: {field}{op}2h", at)
    age = _AGE.match(value)
    seconds = float(age["number"]) * _UNITS[age["unit"].lower()] if age else math.nan
    if not math.isfinite(seconds):
        raise FilterError(f"{beginning(value, 12)!r} is not an age, as in {field}{op}30m, 2h, 7d", at)
    return Term("seen", "", negated, op, seconds)


def _meta_term(match: re.Match[str], position: int, negated: bool) -> Term:
    path, value = match["path"].lower(), match["value"].lower()
    if not value:
        raise FilterError(f"{path}: needs a value: meta.tier:gold", position + match.start("value"))
    return Term("meta", value, negated, path=path)


def _field_term(match: re.Match[str], position: int, negated: bool) -> Term:
    field, value = match["field"].lower(), match["value"].lower()
    if field not in QUALIFIERS:
        if field in ("http", "https", "did") or value.startswith("/"):
            # Ids and addresses have colons of their own: "did:key:z6Mk" is a word.
            return Term("word", match.group().lower(), negated)
        raise FilterError(f"no field {beginning(field, 12)}; {_meant(field)}", position)
    at = position + match.start("value")
    if not value:
        raise FilterError(f"{field}: needs a value: {field}:{_EXAMPLES[f'{field}:']}", at)
    if field == "seller" and value in ("you", "me"):  # as the table calls it, and as people call themselves
        return Term("state", "mine", negated)
    if field == "state" and value not in STATES:
        raise FilterError(f"no state {beginning(value, 10)!r}; there are {' '.join(STATES)}", at)
    return Term(field, value, negated)


def _compared_term(match: re.Match[str], position: int, negated: bool) -> Term:
    """What looks like a comparison, of a field that is not compared: else it would be looked for as a word."""
    field, op, value = match["field"].lower(), match["op"], match["value"]
    begun = not value and op in ("<", ">", "<=", ">=")  # the rest of it is being typed
    if (value or begun) and (field in QUALIFIERS or field.startswith(_PATH)):
        raise FilterError(
            f"{field} is not compared, it is looked for: {field}:{beginning(value, 12)}", position + len(field)
        )
    if not begun and not _NUMBER_OR_AGE.match(value):
        return Term("word", match.group().lower(), negated)
    raise FilterError(f"no field {beginning(field, 12)}; {_meant(field, op, value)}", position)


def _meant(field: str, op: str = ":", value: str = "") -> str:
    """The field that was perhaps meant, or all there are."""
    stems = {stem.rstrip(":<."): stem for stem in _EXAMPLES if op == ":" or stem.endswith("<")}
    if near := nearest(field, stems):
        stem = stems[near]
        return f"did you mean {stem[:-1]}{op}{beginning(value, 12)}?" if stem[-1] == "<" else f"did you mean {stem}?"
    return f"there are {' '.join(_EXAMPLES)}"


_MAKERS = (
    (_PRICE, _price_term),
    (_SEEN, _seen_term),
    (_META, _meta_term),
    (_FIELD, _field_term),
    (_COMPARED, _compared_term),
)
"""The patterns of terms that are not words, and what makes a term of a match."""
