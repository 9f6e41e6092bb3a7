"""Which rows to look at for a filter that few rows meet: those that the search index or a range of another index gives.

Rows whose texts are not in the search index as they are now (table `unindexed`) are looked at beside those it gives."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from betar_tui.catalogue.conditions import (
    LOOKED_UP,
    MIN_PHRASE,
    Sql,
    all_of,
    any_of,
    column_of,
    is_exact_in_index,
    of_filter,
    of_terms,
    phrases,
    range_of,
    short_text,
    starting_with,
)
from betar_tui.catalogue.search_index import Phrase, finding_all
from betar_tui.market.filter import Filter
from betar_tui.market.terms import Term

MAX_TERMS = 16
"""Maximum terms that the search index is asked for at once: what meets them is checked for the others."""
MAX_PIECES = 2_000
"""Maximum pieces of three letters that are looked for in place of one or two letters."""
MAX_PIECE_ROWS = 100_000
"""Maximum rows that these may be in, where any number is welcome: a look at all rows is quicker than more, and it can be
ended, unlike the search index while it counts."""
MAX_UNINDEXED = 5_000
"""Maximum rows outside the search index that are looked at: the newest."""
ENOUGH = 1_000
"""A source of at most so many rows is taken without a look at the others."""
MAX_KEPT = 20_001
"""Maximum rows that the search index finds and that are kept until the page is made."""
MANY = 100_000
"""Minimum bound on the rows of a source for which both search indexes are asked together."""
FEW = 5_000
"""Counting goes so far to compare sources where any number of rows is welcome."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A SELECT of the numbers `k` of rows, among which are all that meet a filter; and the condition to check on each.

    `complete` is False where rows may be missing that are not in the search index yet. At least `counted` rows are given."""

    numbers: Sql
    condition: Sql
    complete: bool
    counted: int = 0

    @property
    def rows(self) -> Sql:
        """The rows themselves, as `l`."""
        return Sql(f"({self.numbers.text}) c CROSS JOIN listings l ON l.k = c.k", self.numbers.values)


@dataclass(frozen=True, slots=True)
class _Source:
    """Rows among which are all that meet the terms of an alternative. `exact` are the terms that all of them meet, where it
    is the search index that says so as far as that has them. At least `counted` rows are among them."""

    numbers: Sql
    indexed: bool = False
    exact: tuple[Term, ...] = ()
    counted: int = 0


def gather(db: sqlite3.Connection, wanted: Filter, now: float, most: int | None) -> Gathered | None:
    """What to look at for a filter, at most `most` rows for each of its alternatives; None where that is not possible."""
    found = []
    for terms in wanted.alternatives:
        source = _smallest(db, terms, now, most)
        if source is None:
            return None
        found.append(source)
    numbers, condition = [source.numbers for source in found], of_filter(wanted, LOOKED_UP, now)
    unindexed = _unindexed(db) if any(source.indexed for source in found) else 0
    if len(found) == 1:
        exact, terms = found[0].exact, wanted.alternatives[0]
        rest = of_terms([term for term in terms if term not in exact], LOOKED_UP, now)
        condition = all_of([rest, _where_not_indexed(of_terms(exact, LOOKED_UP, now))]) if unindexed else rest
    if unindexed:
        numbers.append(Sql("SELECT k FROM (SELECT k FROM unindexed ORDER BY k DESC LIMIT ?)", (MAX_UNINDEXED,)))
    counted = found[0].counted if len(found) == 1 else 0
    return Gathered(_union(numbers), condition, unindexed <= MAX_UNINDEXED, counted)


def _smallest(db: sqlite3.Connection, terms: Sequence[Term], now: float, most: int | None) -> _Source | None:
    """The source with the fewest rows; None where each has more than `most`."""
    smallest, bound = None, FEW if most is None else most
    for each in _sources(db, terms, now, most):
        source = _tried(db, each, bound + 1)
        rows = source.counted
        # Among the many, those are best that need no further check.
        better = smallest is None or len(source.exact) > len(smallest.exact)
        if rows <= bound or (most is None and better and (smallest is None or smallest.counted > bound)):
            smallest, bound = source, min(rows, bound)
        if rows <= ENOUGH:
            break
    return smallest


def _tried(db: sqlite3.Connection, source: _Source, bound: int) -> _Source:
    """A source whose rows are counted, up to a bound. What takes the search index a while to find is looked for
    once: the numbers themselves stand for it."""
    if not source.indexed or bound > MAX_KEPT:
        return replace(source, counted=_count(db, source.numbers, bound))
    numbers = [k for (k,) in db.execute(f"{source.numbers.text} LIMIT ?", (*source.numbers.values, bound))]
    if len(numbers) < bound:
        source = replace(source, numbers=Sql("SELECT value AS k FROM json_each(?)", (json.dumps(numbers),)))
    return replace(source, counted=len(numbers))


def _sources(db: sqlite3.Connection, terms: Sequence[Term], now: float, most: int | None) -> Iterator[_Source]:
    asked = _asked(db, terms, most)
    # One by one first: a rare text is found sooner without the common ones beside it.
    for term, each in asked.items():
        yield _indexed({term: each})
    for ranged in _by_column(terms, now).values():
        yield _ranged(ranged, now)
    if len(asked) > 1:
        yield from _joined(asked, most)


def _by_column(terms: Sequence[Term], now: float) -> dict[str, list[Term]]:
    """The terms that are ranges of an index, by its column."""
    ranged: dict[str, list[Term]] = {}
    for term in terms:
        if range_of(term, now) is not None:
            ranged.setdefault(column_of(term), []).append(term)
    return ranged


def _ranged(terms: Sequence[Term], now: float) -> _Source:
    """The rows that meet these terms, all on one column: its index says so exactly."""
    ranges = [bound for term in terms if (bound := range_of(term, now)) is not None]
    condition = all_of([*ranges, *(of_terms([term], LOOKED_UP, now) for term in terms if term.timed)])
    return _Source(Sql(f"SELECT l.k AS k FROM listings l WHERE {condition.text}", condition.values), exact=tuple(terms))


def _joined(asked: Mapping[Term, Sequence[Phrase]], most: int | None) -> Iterator[_Source]:
    """What the search indexes have for several of these terms: those of one index, and then all."""
    by_index: dict[tuple[str, ...], dict[Term, Sequence[Phrase]]] = {}
    for term, wanted in asked.items():
        by_index.setdefault(wanted[0].indexes, {})[term] = wanted
    for same in by_index.values():
        if len(same) > 1:
            yield _indexed(same)
    # That takes a reading of all rows that one of them has: a page may be full before.
    if len(by_index) > 1 and (most is None or most >= MANY):
        yield _indexed(asked)


def _indexed(asked: Mapping[Term, Sequence[Phrase]]) -> _Source:
    """The rows that the search indexes have for all of these terms."""
    exact = tuple(term for term in asked if is_exact_in_index(term))
    return _Source(Sql(*finding_all([each for phrases in asked.values() for each in phrases])), True, exact)


def _asked(db: sqlite3.Connection, terms: Sequence[Term], most: int | None) -> dict[Term, Sequence[Phrase]]:
    """What the search indexes are asked for, by the term that it is for."""
    # The longest are the rarest.
    longest = sorted({term: None for term in terms if phrases(term)}, key=lambda term: len(term.value), reverse=True)
    asked: dict[Term, Sequence[Phrase]] = {term: phrases(term) for term in longest[:MAX_TERMS]}
    if not asked:
        for term in terms:
            if (text := short_text(term)) and (pieces := _pieces(db, text, most)) is not None:
                asked[term] = (starting_with(pieces),)
    return asked


def _pieces(db: sqlite3.Connection, text: str, most: int | None) -> list[str] | None:
    """The pieces of three letters that begin with one or two, as the search index has them; None where more rows have them
    than `most`, or they are too many. Without any, the text itself: nothing has it."""
    found, rows, bound = [], 0, MAX_PIECE_ROWS if most is None else most
    beginning = (text, text + "\U0010ffff" * MIN_PHRASE)
    for piece, count in db.execute("SELECT term, doc FROM search_pieces WHERE term >= ? AND term < ?", beginning):
        found.append(piece)
        rows += count
        if len(found) > MAX_PIECES or rows > bound:
            return None
    return found or [text + "\U0010ffff" * MIN_PHRASE]


def _count(db: sqlite3.Connection, numbers: Sql, bound: int) -> int:
    """Number of rows of a SELECT, counted up to a bound."""
    row = db.execute(f"SELECT count(*) FROM ({numbers.text} LIMIT ?)", (*numbers.values, bound)).fetchone()
    return int(row[0])


def _unindexed(db: sqlite3.Connection) -> int:
    """Number of rows that are not in the search index as they are, counted up to one above MAX_UNINDEXED."""
    return _count(db, Sql("SELECT k FROM unindexed"), MAX_UNINDEXED + 1)


def _where_not_indexed(condition: Sql) -> Sql:
    """The condition, for the rows that are not in the search index as they are."""
    return any_of([Sql("NOT EXISTS (SELECT 1 FROM unindexed u WHERE u.k = l.k)"), condition])


def _union(numbers: Sequence[Sql]) -> Sql:
    text = " UNION ".join(each.text for each in numbers)
    return Sql(text, tuple(value for each in numbers for value in each.values))
