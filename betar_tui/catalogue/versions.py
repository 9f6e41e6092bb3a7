"""Which version of a listing is shown, and where its value is: decided here, for changes and for what is stored.

It is the newest version that the seller has signed, wherever the map of the CRDT has gone since, and nothing once the
seller has withdrawn it (`market.words.decide`, docs/protocol.md#provenance). Without a signed word it is the value that the
CRDT's rules choose."""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from betar_tui.market.kinds import Difference
from betar_tui.market.marketplace import Listing
from betar_tui.market.words import Decision, Source, Spoken, Word, decide, newest
from betar_tui.replica import keys as names
from betar_tui.replica.facts import Winner
from betar_tui.store.history import History, Row
from betar_tui.store.merging import key_numbers
from betar_tui.store.sql import PREFIX, in_list


class Location(NamedTuple):
    """Where a value is: the number of its block, start and length."""

    n: int
    start: int
    length: int


class Basis(NamedTuple):
    """What is known of a key: where the map's value is and where the newest verified version, with the word of that, and the
    timestamp of the newest verified withdrawal; each None where there is none. `since` is the number of the first block to
    look at of a key that is queued."""

    k: int
    key: str
    in_map: Location | None = None
    signed: Location | None = None
    word: Word | None = None
    withdrawn: int | None = None
    since: int | None = None

    @property
    def decision(self) -> Decision:
        """What is shown. Two blocks may hold the same value: `Difference.REPLACED` is then said too much."""
        signed = self.word.timestamp if self.word is not None else None
        return decide(signed, self.withdrawn, self.in_map is not None, self.in_map == self.signed)

    @property
    def shown(self) -> Location | None:
        """Where the version is that is shown, None for none."""
        source = self.decision.source
        return self.signed if source is Source.SIGNED else self.in_map if source is Source.MAP else None

    def withdrawn_by(self, timestamp: int | None) -> "Basis":
        """The same with one more verified withdrawal, if it is one."""
        if timestamp is None or (self.withdrawn is not None and timestamp <= self.withdrawn):
            return self
        return self._replace(withdrawn=timestamp)


class Version(NamedTuple):
    """The version of a key that is shown: the number of its block, its value, when that was applied, Unix ms, how the map
    differs, and whether the seller signed it."""

    k: int
    key: str
    n: int
    winner: Winner
    at: int
    difference: Difference = Difference.NONE
    signed: bool = False


def read_bases(db: sqlite3.Connection, numbers: Collection[int]) -> dict[int, Basis]:
    """What is known of keys, given by their numbers."""
    sql = (
        "SELECT k, key, keys.n, keys.start, keys.length, s.n, s.start, s.length, s.timestamp, s.mark, u.since,"
        " EXISTS (SELECT 1 FROM withdrawals)"
        " FROM keys LEFT JOIN signed s USING (k) LEFT JOIN unprojected u USING (k) WHERE k IN"
    )
    rows = in_list(db, sql, list(numbers))
    # In most markets there are none.
    withdrawn = read_withdrawals(db, [row[1] for row in rows]) if rows and rows[0][-1] else {}
    return {
        k: Basis(
            k,
            key,
            Location(n, start, length) if n is not None else None,
            Location(s, s_start, s_length) if s is not None else None,
            Word(timestamp, mark) if s is not None else None,
            withdrawn.get(key),
            since,
        )
        for k, key, n, start, length, s, s_start, s_length, timestamp, mark, since, _ in rows
    }


def read_withdrawals(db: sqlite3.Connection, keys: Iterable[str]) -> dict[str, int]:
    """The timestamps of the verified withdrawals of listings, by the listings' keys."""
    wanted = {names.of_withdrawal(each): key for key in keys if (each := names.agent_id(key)) is not None}
    numbers = {k: wanted[name] for name, (k, _) in key_numbers(db, wanted).items()}
    found = in_list(db, "SELECT k, timestamp FROM withdrawals WHERE k IN", list(numbers))
    return {numbers[k]: timestamp for k, timestamp in found}


def read_versions(db: sqlite3.Connection, history: History, numbers: Collection[int]) -> Iterator[Version]:
    """The shown versions of keys, given by their numbers; those without one are left out. In any order."""
    yield from versions_of(db, history, read_bases(db, numbers).values())


def versions_of(db: sqlite3.Connection, history: History, bases: Iterable[Basis]) -> Iterator[Version]:
    """The same, of keys of which it is known what there is."""
    shown: dict[tuple[str, int], Basis] = {}
    differing: dict[str, Basis] = {}
    wanted: list[tuple[str, int, int, int]] = []
    for basis in bases:
        location = basis.shown
        if location is None:
            continue
        shown[basis.key, location.n] = basis
        wanted.append((basis.key, *location))
        if basis.in_map is not None and basis.in_map != location:
            differing[basis.key] = basis
            wanted.append((basis.key, *basis.in_map))
    found: dict[str, dict[int, Row]] = {}
    for row in history.values(db, wanted):
        basis = shown.get((row.key, row.n)) or differing[row.key]
        if row.key not in differing:
            yield _version(basis, row, basis.decision.difference)
            continue
        both = found.setdefault(row.key, {})
        both[row.n] = row
        if len(both) == 2:
            yield _compared(basis, both)


def _compared(basis: Basis, rows: Mapping[int, Row]) -> Version:
    """A version of which another block's value is in the map, which may be the same."""
    assert basis.in_map is not None
    assert basis.shown is not None
    row, in_map = rows[basis.shown.n], rows[basis.in_map.n]
    return _version(basis, row, Difference.NONE if row.value == in_map.value else Difference.REPLACED)


def _version(basis: Basis, row: Row, difference: Difference) -> Version:
    winner = Winner(row.height, row.value, PREFIX + row.digest)
    return Version(basis.k, basis.key, row.n, winner, row.at, difference, basis.decision.source is Source.SIGNED)


def version_at_hand(basis: Basis, spoken: Spoken, applied: Mapping[bytes, int]) -> Version:
    """The version of a key whose newest signed word is what the map has, and has just been read."""
    assert basis.signed is not None
    winner = spoken.winner
    return Version(basis.k, basis.key, basis.signed.n, winner, applied[winner.cid], Difference.NONE, True)


def place_of(db: sqlite3.Connection, history: History, basis: Basis) -> tuple[int, bytes]:
    """Height and CID of the block with the newest verified version of a key that has one."""
    assert basis.signed is not None
    (row,) = history.values(db, [(basis.key, *basis.signed)])
    return row.height, PREFIX + row.digest


def judged(
    db: sqlite3.Connection,
    history: History,
    basis: Basis,
    elements: Mapping[Location, Winner],
    read: Callable[[Mapping[str, object], Winner], Listing],
) -> tuple[Basis, Spoken | None]:
    """The basis of a key with further elements, and the newest verified version where that is among them."""
    spoken = newest(elements.values(), read, basis.word, lambda: place_of(db, history, basis))
    if spoken is None:
        return basis, None
    location = next(each for each, winner in elements.items() if winner is spoken.winner)
    return basis._replace(signed=location, word=spoken.word), spoken


def write_signed(db: sqlite3.Connection, bases: Iterable[Basis]) -> None:
    """Keep the newest verified versions of keys that have one, unless a newer one has come since they were read."""
    rows = [(each.k, *each.signed, *each.word) for each in bases if each.signed is not None and each.word is not None]
    sql = (
        "INSERT INTO signed VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (k) DO UPDATE SET n = excluded.n, start = excluded.start,"
        " length = excluded.length, timestamp = excluded.timestamp, mark = excluded.mark"
        " WHERE (excluded.timestamp, excluded.mark) >= (signed.timestamp, signed.mark)"
    )
    if rows:
        db.executemany(sql, rows)


def write_withdrawals(db: sqlite3.Connection, withdrawn: Mapping[int, int]) -> None:
    """Keep the timestamps of verified withdrawals, by the numbers of their keys, where they are newer."""
    if not withdrawn:
        return
    sql = (
        "INSERT INTO withdrawals VALUES (?, ?)"
        " ON CONFLICT (k) DO UPDATE SET timestamp = max(timestamp, excluded.timestamp)"
    )
    db.executemany(sql, list(withdrawn.items()))


def read_last(db: sqlite3.Connection, history: History, numbers: Collection[int]) -> dict[int, bytes]:
    """The values that came last of keys, given by their numbers, also where they are removed."""
    # Blocks are numbered as they come.
    sql = (
        "SELECT k, key, e.n, e.start, e.length FROM keys JOIN elements AS e USING (k)"
        " WHERE e.n = (SELECT max(n) FROM elements WHERE elements.k = keys.k) AND k IN"
    )
    rows = in_list(db, sql, list(numbers))
    found = {row[1]: row[0] for row in rows}
    return {found[row.key]: row.value for row in history.values(db, [row[1:] for row in rows])}
