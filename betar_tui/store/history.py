"""Finds and reads blocks, plain or packed: no other module needs to know the difference.

A plain block is a row of `blocks`; a packed one is a slot of a group, found through `packed`. The groups used last are
kept unpacked, so that walking history does not unpack one for every block. Runs under the store's lock."""

import hashlib
import sqlite3
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from betar_tui.errors import StoreError
from betar_tui.store.groups import SLOTS, Group, Member
from betar_tui.store.sql import PREFIX, each_in_list, from_sql, in_list, short

_KEPT = 8
"""Maximum number of groups kept unpacked: two megabytes, enough for a few walks at once."""
VERSION = "blocks.digest, blocks.height, substr(blocks.data, start + 1, length), blocks.at"
"""The columns that `versions` needs after key, n, start, length and dead, from `blocks` in a LEFT JOIN."""


class Row(NamedTuple):
    """A version of a key; `at` in milliseconds, `n` the number of its block."""

    key: str
    digest: bytes
    height: int
    value: bytes
    at: int
    dead: bool
    n: int


class ElementLocation(NamedTuple):
    """The block of an element: its number, its CID, and its height."""

    n: int
    cid: bytes
    height: int


class History:
    """Reads blocks, plain or packed."""

    def __init__(self) -> None:
        self._groups: OrderedDict[int, Group] = OrderedDict()

    def find(self, db: sqlite3.Connection, digests: Collection[bytes]) -> dict[bytes, tuple[int, bool]]:
        """Number and completeness of those of the deltas that are stored. Only complete ones are ever packed."""
        sql = (
            "SELECT names.n, digest, incomplete.n IS NULL FROM names LEFT JOIN blocks ON blocks.n = names.n"
            " LEFT JOIN incomplete ON incomplete.n = names.n WHERE short IN"
        )
        found: dict[bytes, tuple[int, bool]] = {}
        packed = []
        for n, digest, complete in in_list(db, sql, [short(each) for each in digests]):
            if digest is None:
                packed.append(n)
            else:
                found[digest] = (n, bool(complete))
        for n, member in self.members(db, packed):
            found[hashlib.sha256(member.data).digest()] = (n, True)
        return _only(found, digests)

    def data(self, db: sqlite3.Connection, digests: Collection[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Those of the blocks that are stored, one read after the other, with their digests."""
        sql = "SELECT names.n, digest, data FROM names LEFT JOIN blocks USING (n) WHERE short IN"
        packed = []
        for n, digest, data in each_in_list(db, sql, [short(each) for each in digests]):
            if digest is None:
                packed.append(n)
            elif digest in digests:  # another may have the same short name
                yield digest, data
        for _, member in self.members(db, packed):
            digest = hashlib.sha256(member.data).digest()
            if digest in digests:
                yield digest, member.data

    def members(self, db: sqlite3.Connection, numbers: Collection[int]) -> Iterator[tuple[int, Member]]:
        """Packed blocks by their numbers, group by group. Raises StoreError when one is missing."""
        if not numbers:
            return
        slots = in_list(db, "SELECT place, n FROM packed WHERE n IN", list(dict.fromkeys(numbers)))
        if len(slots) != len(set(numbers)):
            raise StoreError("a packed block is missing; run betar-tui doctor")
        for slot, n in sorted(slots):
            yield n, self._group(db, slot // SLOTS).member(slot % SLOTS)

    def versions(self, db: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> Iterator[Row]:
        """The versions in rows of (key, n, start, length, dead, *VERSION), packed ones last."""
        packed: dict[int, list[tuple[str, int, int, bool]]] = {}
        for key, n, start, length, dead, digest, height, value, at in rows:
            if digest is None:
                packed.setdefault(n, []).append((key, start, start + length, bool(dead)))
            else:
                yield Row(key, digest, from_sql(height), value, at, bool(dead), n)
        for n, member in self.members(db, packed):
            digest = hashlib.sha256(member.data).digest()
            for key, start, end, dead in packed[n]:
                yield Row(key, digest, member.height, member.data[start:end], member.at, dead, n)

    def live(self, db: sqlite3.Connection, k: int) -> list[ElementLocation]:
        """The elements of a key that no tombstone removes, without their values."""
        sql = "SELECT n, digest, height FROM elements LEFT JOIN blocks USING (n) WHERE k = ? AND NOT dead"
        rows = db.execute(sql, (k,)).fetchall()
        found = [
            ElementLocation(n, PREFIX + digest, from_sql(height)) for n, digest, height in rows if digest is not None
        ]
        for n, member in self.members(db, [n for n, digest, _ in rows if digest is None]):
            found.append(ElementLocation(n, PREFIX + hashlib.sha256(member.data).digest(), member.height))
        return found

    def elements(self, db: sqlite3.Connection, key: str, k: int, numbers: Collection[int] | None = None) -> list[Row]:
        """The elements of a key, dead ones included: all of them or those in some blocks."""
        sql = f"SELECT ?, n, start, length, dead, {VERSION} FROM elements LEFT JOIN blocks USING (n) WHERE k = ?"
        if numbers is None:
            rows = db.execute(sql, (key, k)).fetchall()
        else:
            rows = [db.execute(f"{sql} AND n = ?", (key, k, n)).fetchone() for n in numbers]
        return list(self.versions(db, rows))

    def values(self, db: sqlite3.Connection, rows: Iterable[tuple[str, int, int, int]]) -> Iterator[Row]:
        """The versions in rows of (key, n, start, length), block by block.

        To find a value in a long block takes SQLite as long as to read all before it, and the block may contain thousands
        of values: then it is read once."""
        by_block: dict[int, list[tuple[str, int, int]]] = {}
        for key, n, start, length in rows:
            by_block.setdefault(n, []).append((key, start, length))
        packed: list[tuple[Any, ...]] = []
        for n in sorted(by_block):
            first = 0
            if len(by_block[n]) == 1:
                ((_, first, length),) = by_block[n]
                sql = "SELECT digest, height, at, substr(data, ? + 1, ?) FROM blocks WHERE n = ?"
                block = db.execute(sql, (first, length, n)).fetchone()
            else:
                block = db.execute("SELECT digest, height, at, data FROM blocks WHERE n = ?", (n,)).fetchone()
            if block is None:
                packed += ((key, n, start, length, 0, None, 0, b"", 0) for key, start, length in by_block[n])
                continue
            digest, height, at, data = block
            height = from_sql(height)
            for key, start, length in by_block[n]:
                yield Row(key, digest, height, data[start - first : start - first + length], at, False, n)
        yield from self.versions(db, packed)

    def newest(self, db: sqlite3.Connection, limit: int) -> list[tuple[bytes, Member]]:
        """The deltas that were stored last, newest first, each with its digest."""
        plain = db.execute("SELECT n, digest, height, at, via, data FROM blocks ORDER BY n DESC LIMIT ?", (limit,))
        rows = {n: (digest, Member(from_sql(height), at, via, data)) for n, digest, height, at, via, data in plain}
        packed = db.execute("SELECT n FROM packed ORDER BY n DESC LIMIT ?", (limit,))
        chosen = sorted([*rows, *(n for (n,) in packed)], reverse=True)[:limit]
        for n, member in self.members(db, [n for n in chosen if n not in rows]):
            rows[n] = (hashlib.sha256(member.data).digest(), member)
        return [rows[n] for n in chosen]

    def damage(self, db: sqlite3.Connection) -> str:
        """The first damaged group, in words, or ""."""
        for g, data in db.execute("SELECT g, data FROM groups"):
            try:
                Group(data)
            except StoreError as error:
                return f"group {g}: {error}"
        return ""

    def _group(self, db: sqlite3.Connection, g: int) -> Group:
        group = self._groups.pop(g, None)
        if group is None:
            row = db.execute("SELECT data FROM groups WHERE g = ?", (g,)).fetchone()
            if row is None:
                raise StoreError("packed blocks are missing; run betar-tui doctor")
            group = Group(row[0])
        self._groups[g] = group
        if len(self._groups) > _KEPT:
            self._groups.popitem(last=False)
        return group


def _only(found: dict[bytes, Any], digests: Collection[bytes]) -> dict[bytes, Any]:
    """Without those of which only the short name matches."""
    return {digest: found[digest] for digest in digests if digest in found}
