"""Filters in SQL: each term as an exact condition on a row, and as a source of the rows that may meet it. Pure.

A condition says exactly what `market.terms` says of the same listing. `l` is its row in `listings`; how its texts are
reached is passed to it. A source is a narrower set of rows: phrases of the search index, or a range of an index."""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from betar_tui.catalogue.search_index import FACTS, WORDS, Phrase
from betar_tui.market.facts import BLANKED
from betar_tui.market.filter import Filter
from betar_tui.market.terms import IN_TEXT, NEW_FOR, STALE_AFTER, Term, has_fact, is_described, is_seller

MIN_PHRASE = 3
"""Characters that a text must have to be looked for in the search index, which has pieces of three."""
SELECTIVE = 12
"""Number of letters of an id that are looked for in the search index: more make the search longer and the rows no fewer."""
_SLACK = 2
"""How much wider a range of times is than what is asked for, in its unit: conditions are exact, ranges need not be."""
_STATES = {"mine": "= 0", "verified": "< 2", "unsigned": "= 2"}


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and the values of its parameters, in order."""

    text: str
    values: tuple[Any, ...] = ()


ALWAYS, _NEVER = Sql("1"), Sql("0")


@dataclass(frozen=True, slots=True)
class Texts:
    """How a statement reaches a row's search text and its facts."""

    text: str
    facts: str


JOINED = Texts("t.text", "t.facts")
"""For a statement that joins `listing_texts` as t."""
LOOKED_UP = Texts(
    "(SELECT text FROM listing_texts WHERE k = l.k)",
    "(SELECT facts FROM listing_texts WHERE k = l.k)",
)
"""For a statement that needs the texts of few of its rows."""


def add_functions(db: sqlite3.Connection) -> None:
    """Add to a connection the functions that the conditions use, and the table of what the search index has. Once, before
    any statement runs."""
    functions: tuple[tuple[str, int, Callable[..., Any]], ...] = (
        ("lower_text", 1, str.lower),
        ("is_seller", 2, is_seller),
        ("is_described", 2, is_described),
        ("has_fact", 3, has_fact),
    )
    for name, arguments, function in functions:
        db.create_function(name, arguments, function, deterministic=True)
    db.execute(f"CREATE VIRTUAL TABLE temp.search_pieces USING fts5vocab(main, {WORDS}, row)")


def all_of(conditions: Iterable[Sql]) -> Sql:
    """The conjunction."""
    return _joined(" AND ", [each for each in conditions if each != ALWAYS], ALWAYS)


def any_of(conditions: Iterable[Sql]) -> Sql:
    """The disjunction."""
    return _joined(" OR ", list(conditions), _NEVER)


def negation(condition: Sql) -> Sql:
    """The opposite."""
    return Sql(f"NOT ({condition.text})", condition.values)


def of_filter(wanted: Filter, texts: Texts, now: float) -> Sql:
    """That a row meets a filter."""
    if wanted.everything:
        return ALWAYS
    return any_of(of_terms(terms, texts, now) for terms in wanted.alternatives)


def of_terms(terms: Sequence[Term], texts: Texts, now: float) -> Sql:
    """That a row meets all of these terms. Cheap ones come first."""
    return all_of(of_term(term, texts, now) for term in sorted(terms, key=needs_texts))


def of_term(term: Term, texts: Texts, now: float) -> Sql:
    """That a row meets a term."""
    plain = _NEVER if _is_unheard_of(term) else _of_plain_term(term, texts, now)
    return negation(plain) if term.negated else plain


def one_of(sellers: Collection[str]) -> Sql:
    """The right side of IN for these sellers."""
    # json_each ends a text at a NUL: "one\0" would be "one".
    cut = sorted(seller for seller in sellers if "\0" in seller)
    each = "SELECT value FROM json_each(?)" + (f" UNION ALL VALUES {', '.join(['(?)'] * len(cut))}" if cut else "")
    return Sql(f"({each})", (json.dumps(sorted(set(sellers).difference(cut))), *cut))


def left_out(wanted: Filter) -> Sql | None:
    """The sellers that a filter leaves out where it does nothing else, as the right side of IN. An index of another column
    does not say who the seller is: it is quicker to look up their rows than the seller of each row."""
    terms = wanted.alternatives[0]
    only = len(wanted.alternatives) == 1 == len(terms) and terms[0].kind == "sellers" and terms[0].negated
    return one_of(terms[0].sellers) if only else None


def needs_texts(term: Term) -> bool:
    """Whether the condition looks at the texts of a row."""
    return term.kind in ("word", "name", "description", "proto", "token", "tag", "meta")


def _is_unheard_of(term: Term) -> bool:
    """Whether no text can have this: half a character, or a NUL."""
    try:
        (term.value + term.path).encode()
    except UnicodeEncodeError:
        return True
    return "\0" in term.value and term.kind not in ("id", "seller", "tag", "meta")


def _of_plain_term(term: Term, texts: Texts, now: float) -> Sql:
    # "+" keeps a condition from being taken for the range of an index: which one is read is decided in `query`.
    value = term.value
    if term.kind == "price":
        return Sql(f"+l.price {term.op} ?", (term.number,))
    if term.kind == "seen":
        return Sql(f"? - l.seen / 1000.0 {term.op} ?", (now, term.number))
    if term.kind == "state":
        return _of_state(value, now)
    if term.kind == "sellers":
        sellers = one_of(term.sellers)
        return Sql(f"l.seller IN {sellers.text}", sellers.values)
    if term.kind == "seller":
        return Sql("is_seller(?, l.seller)", (value,))
    if term.kind == "id":
        # SQLite lowers ASCII alone, but five times as fast as a call of Python.
        plain = "length(l.id) = length(CAST(l.id AS BLOB))"
        return Sql(f"instr(CASE WHEN {plain} THEN lower(l.id) ELSE lower_text(l.id) END, ?) > 0", (value,))
    return _of_texts(term, texts)


def _of_state(state: str, now: float) -> Sql:
    if state == "new":
        return Sql("? - l.first_seen / 1000.0 < ?", (now, NEW_FOR))
    if state == "stale":
        return Sql("? - l.timestamp > ?", (now, STALE_AFTER))
    return Sql(f"+l.state {_STATES[state]}") if state in _STATES else _NEVER


def _of_texts(term: Term, texts: Texts) -> Sql:
    value = term.value
    if term.kind in ("tag", "meta"):
        return Sql(f"instr({texts.facts}, ?) > 0", (term.fact,))
    if term.kind in ("proto", "token"):
        # What Python has to say is asked of the few rows that have the text anywhere.
        asked = f"CASE WHEN instr({texts.facts}, ?) THEN has_fact({texts.facts}, ?, ?) ELSE 0 END"
        return Sql(asked, (value, term.kind, value))
    if term.kind == "description":
        asked = f"CASE WHEN instr({texts.text}, ?) THEN is_described({texts.text}, ?) ELSE 0 END"
        return Sql(asked, (value, value))
    if term.kind == "name":
        # Found first before the first line ends, or not in that line.
        first = f"instr({texts.text}, ?) BETWEEN 1 AND instr({texts.text}, char(10)) - ?"
        return Sql(first, (value, len(value)))
    return Sql(f"instr({texts.text}, ?) > 0", (value,))


# Sources


def phrases(term: Term) -> tuple[Phrase, ...]:
    """What the search indexes find for every listing which meets a term, perhaps with others."""
    if term.negated or _is_unheard_of(term):
        return ()
    if term.kind in IN_TEXT:
        return _phrase(term.value, WORDS)
    if term.kind == "seller":
        parts = term.value.split("…", 1)
        return tuple(phrase for part in parts for phrase in _phrase(part[-SELECTIVE:], WORDS))
    if term.kind in ("tag", "meta"):
        return _phrase(term.fact, FACTS)
    if term.kind == "id":
        # Each part of an id is in one of the two, see `market.facts`. One is asked for: the longest is the rarest.
        parts = sorted(term.value.split("/"), key=len, reverse=True)
        return next((found for part in parts if (found := _id_phrase(part))), ())
    return _phrase(term.value, FACTS) if term.kind in ("proto", "token") else ()


def short_text(term: Term) -> str:
    """The one or two letters that the search text of every listing has which meets the term; "" for another term."""
    short = term.kind in IN_TEXT and not term.negated and len(term.value) < MIN_PHRASE and not _is_unheard_of(term)
    return term.value if short else ""


def starting_with(pieces: Iterable[str]) -> Phrase:
    """A search text has one of these pieces."""
    return Phrase(" OR ".join(map(_quoted, pieces)), (WORDS,))


def is_exact_in_index(term: Term) -> bool:
    """Whether the search index finds nothing else than what meets the term, with its phrases or as a short text."""
    return term.kind in ("word", "tag", "meta")


def range_of(term: Term, now: float) -> Sql | None:
    """A condition on one indexed column that every listing which meets a term meets; None without one."""
    if term.negated:
        return None
    if term.kind == "price" and term.op != "!=":
        return Sql(f"l.price {term.op} ?", (term.number,))
    if term.kind == "seen":
        # As old as that: seen before then.
        at = (now - term.number) * 1000
        young = term.op in ("<", "<=")
        return Sql("l.seen >= ?", (at - _SLACK,)) if young else Sql("l.seen <= ?", (at + _SLACK,))
    if term.kind == "state" and term.value == "new":
        return Sql("l.first_seen >= ?", ((now - NEW_FOR) * 1000 - _SLACK,))
    if term.kind == "state" and term.value == "stale":
        return Sql("l.timestamp <= ?", (now - STALE_AFTER + _SLACK,))
    if term.kind == "state" and term.value in _STATES:
        return Sql(f"l.state {_STATES[term.value]}")
    return _of_plain_term(term, JOINED, now) if term.kind == "sellers" else None


def column_of(term: Term) -> str:
    """The column that `range_of` a term is on; those of `market.sorting` have the same name there."""
    if term.kind == "state":
        return {"new": "first_seen", "stale": "timestamp"}.get(term.value, "state")
    return "seller" if term.kind == "sellers" else term.kind


def _phrase(value: str, *indexes: str) -> tuple[Phrase, ...]:
    # A NUL would end the expression.
    return () if len(value) < MIN_PHRASE or "\0" in value else (Phrase(_quoted(value), indexes),)


def _id_phrase(part: str) -> tuple[Phrase, ...]:
    """The same for a part of an id, whose end says most. Facts have blanks for some of its characters."""
    return () if any(each in part for each in BLANKED) else _phrase(part[-SELECTIVE:], WORDS, FACTS)


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _joined(word: str, conditions: Sequence[Sql], neutral: Sql) -> Sql:
    if not conditions:
        return neutral
    if len(conditions) == 1:
        return conditions[0]
    text = word.join(f"({each.text})" for each in conditions)
    return Sql(text, tuple(value for each in conditions for value in each.values))
