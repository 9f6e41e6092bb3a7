"""The search indexes: one of the words of listings, one of their facts (`market.facts`), over the same rows.

In one index, a piece such as "met" of a word would find the facts of every listing. An index holds pieces of three
letters and no texts: these have to be given again to take them out."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WORDS, FACTS = "listing_search", "fact_search"
INDEXES = {WORDS: "text", FACTS: "facts"}
"""Their tables, with the column of each."""
CREATE = tuple(
    f"CREATE VIRTUAL TABLE {index} USING fts5({column}, content='', tokenize='trigram case_sensitive 1')"
    for index, column in INDEXES.items()
)
HELD = tuple(f"SELECT id FROM {index}_docsize" for index in INDEXES)
"""Selects the numbers of the rows that an index has, for each."""

Select = tuple[str, tuple[str, ...]]
"""A statement and its parameters."""
Row = tuple[int, str, str]
"""A row's number, its search text and its facts."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """What the indexes are asked for: finds the rows for which any of `indexes` has it."""

    expression: str
    indexes: tuple[str, ...]

    @property
    def numbers(self) -> Select:
        """A SELECT of the numbers `k` of the rows."""
        each = " UNION ".join(map(_matching, self.indexes))
        # Both have their rows in order, so that none is read beyond a limit.
        sql = each if len(self.indexes) == 1 else f"SELECT k FROM ({each} ORDER BY k)"
        return sql, (self.expression,) * len(self.indexes)


def finding_all(phrases: Sequence[Phrase]) -> Select:
    """A SELECT of the numbers `k` of the rows that all of these phrases find.

    Where they are of several indexes, all rows that the others find are read before the first is given."""
    # The index of words is read through, and the others are looked up: by "+" they are not asked row by row.
    (first, values), *others = (
        each.numbers for each in sorted(_together(phrases), key=lambda each: each.indexes != (WORDS,))
    )
    if not others:
        return first, values
    where = " AND ".join(f"+k IN ({sql})" for sql, _ in others)
    return f"SELECT k FROM ({first}) WHERE {where}", values + tuple(value for _, more in others for value in more)


def _together(phrases: Sequence[Phrase]) -> Iterator[Phrase]:
    """The same with one phrase for each index, and those for both."""
    for indexes in dict.fromkeys(each.indexes for each in phrases):
        same = [each.expression for each in phrases if each.indexes == indexes]
        if len(indexes) == 1:
            same = [" AND ".join(f"({each})" for each in same)]
        yield from (Phrase(each, indexes) for each in same)


def put_in(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Put the texts of rows in."""
    for index, values in _by_index(rows):
        db.executemany(f"INSERT INTO {index} (rowid, {INDEXES[index]}) VALUES (?, ?)", values)


def take_out(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Take rows out, which have these texts there."""
    for index, values in _by_index(rows):
        db.executemany(f"INSERT INTO {index} ({index}, rowid, {INDEXES[index]}) VALUES ('delete', ?, ?)", values)


def check(db: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError where an index contradicts itself. Reads all of it."""
    for index in INDEXES:
        db.execute(f"INSERT INTO {index} ({index}) VALUES ('integrity-check')")


def _matching(index: str) -> str:
    return f"SELECT rowid AS k FROM {index} WHERE {index} MATCH ?"


def _by_index(rows: Sequence[Row]) -> tuple[tuple[str, list[tuple[int, str]]], ...]:
    return (WORDS, [(k, text) for k, text, _ in rows]), (FACTS, [(k, facts) for k, _, facts in rows])
