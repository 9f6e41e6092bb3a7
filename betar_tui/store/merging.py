"""Writes one merge into the tables, inside the store's transaction."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from betar_tui.errors import StoreError
from betar_tui.replica.facts import BlockRow, Changes
from betar_tui.store.history import History
from betar_tui.store.key_cache import CachedKey, Counters, KeyCache
from betar_tui.store.sql import digests, in_list, short, short_key, to_sql

Value = tuple[int | None, int | None, int | None]
"""The position of a key's value: block, start, length."""
Numbers = dict[str, int]
"""Keys with their numbers."""
_NONE: Value = (None, None, None)
_COMPLETE = "NOT EXISTS (SELECT 1 FROM incomplete WHERE incomplete.n = blocks.n)"


class WrittenMerge(NamedTuple):
    """The results of a merge that may be cached once its transaction has ended: the number of new tombstones, the keys
    whose value changed, the numbers of all keys that it touches, that of the first new one, the blocks by their numbers,
    in order, the number of the blocks' source, and the counters.

    A block of which a slice was merged before has an old number, lower than those of others that came meanwhile."""

    tombstones: int
    keys: Mapping[str, CachedKey]
    numbers: Mapping[str, int]
    first_new: int
    blocks: Mapping[int, BlockRow]
    source: int
    counters: Counters


def write(db: sqlite3.Connection, history: History, cache: KeyCache, changes: Changes, tombstones: int) -> WrittenMerge:
    """Store a merge; `tombstones` is the number of those stored before."""
    before = cache.counters or counters(db)
    via = cache.source(changes.via) or _source(db, changes.via)
    first, examined = before.block, before.examined
    blocks = _numbered(db, history, changes, first)
    new_blocks = _write_blocks(db, changes, blocks, via)
    elements = [(key, n, start, length) for n, row in blocks.items() for key, start, length in row.elements]
    numbers, values, new_keys = _write_set(db, history, cache, changes, blocks, elements, before)
    new_tombstones = _write_tombstones(db, history, changes.tombstones, numbers)
    if elements and tombstones + new_tombstones:
        _mark_dead(db, numbers, [(key, n, blocks[n].cid) for key, n, _, _ in elements])
    _write_unfinished(db, history, changes)
    _complete(db, [row.cid for row in changes.blocks if row.known and row.complete], examined)
    if changes.dag.all_complete and changes.dag.completed:
        _complete_all(db, examined)
    else:
        _complete(db, changes.dag.completed, examined)
    _write_heads(db, changes)
    _each(db, "DELETE FROM wants WHERE digest = ?", _rows(changes.dag.wants_removed))
    _each(db, "INSERT OR IGNORE INTO wants VALUES (?)", _rows(changes.dag.wants_added))
    write_own(db, changes.own)
    return WrittenMerge(
        new_tombstones,
        {key: CachedKey(numbers[key], values[key][0], winner) for key, winner in changes.winners.items()},
        numbers,
        before.key,
        blocks,
        via,
        Counters(first + new_blocks, before.key + new_keys, examined),
    )


def counters(db: sqlite3.Connection) -> Counters:
    """The counters as the tables have them, from a few rows."""
    row = db.execute(
        "SELECT max(coalesce((SELECT max(n) FROM blocks), 0), coalesce((SELECT max(n) FROM packed), 0)) + 1,"
        " (SELECT coalesce(max(k), 0) + 1 FROM keys), (SELECT examined FROM packing)"
    ).fetchone()
    return Counters(*row)


def _numbered(db: sqlite3.Connection, history: History, changes: Changes, first: int) -> dict[int, BlockRow]:
    """The blocks of a merge by their numbers, in order; new ones are numbered from `first`."""
    known = [row.cid[4:] for row in changes.blocks if row.known]
    found = history.find(db, known) if known else {}
    if len(found) < len(known):
        raise StoreError("a block that was merged in part is missing; run betar-tui doctor")
    new = count(first)
    return {found[row.cid[4:]][0] if row.known else next(new): row for row in changes.blocks}


def _write_blocks(db: sqlite3.Connection, changes: Changes, numbered: Mapping[int, BlockRow], via: int) -> int:
    """Write the new blocks; returns their number."""
    at = int(changes.at * 1000)
    blocks, names, incomplete = [], [], []
    for n, row in numbered.items():
        if row.known:
            continue
        digest = row.cid[4:]
        blocks.append((n, digest, to_sql(row.height), via, at, row.data))
        names.append((short(digest), n))
        if not row.complete:
            incomplete.append((n,))
    names.sort()  # from page to page of a large index, not back and forth
    db.executemany("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", blocks)
    db.executemany("INSERT INTO names VALUES (?, ?)", names)
    _each(db, "INSERT INTO incomplete VALUES (?)", incomplete)
    return len(blocks)


def _write_unfinished(db: sqlite3.Connection, history: History, changes: Changes) -> None:
    """Note which blocks are merged in part or laid aside, and which are not any more."""
    if not changes.unfinished and not changes.finished:
        return
    named = history.find(db, digests((*changes.unfinished, *changes.finished)))
    _each(db, "DELETE FROM unfinished WHERE n = ?", [(named[cid[4:]][0],) for cid in changes.finished])
    rows = [(named[cid[4:]][0], done) for cid, done in changes.unfinished.items()]
    _each(db, "INSERT OR REPLACE INTO unfinished VALUES (?, ?)", rows)


def _write_heads(db: sqlite3.Connection, changes: Changes) -> None:
    removed = _rows(changes.dag.heads_removed)
    added = [(cid[4:], to_sql(height)) for cid, height in changes.dag.heads_added.items()]
    if len(removed) == len(added) == 1:  # nearly always: saves a statement
        done = db.execute("UPDATE heads SET digest = ?, height = ? WHERE digest = ?", (*added[0], *removed[0]))
        if done.rowcount != 1:
            raise StoreError("a head is missing; run betar-tui doctor")
        return
    _each(db, "DELETE FROM heads WHERE digest = ?", removed)
    _each(db, "INSERT INTO heads VALUES (?, ?)", added)


def write_own(db: sqlite3.Connection, documents: Mapping[str, str]) -> None:
    """Store documents of own listings."""
    _each(db, "INSERT OR REPLACE INTO own VALUES (?, ?)", list(documents.items()))


def key_numbers(db: sqlite3.Connection, keys: Collection[str]) -> dict[str, tuple[int, int | None]]:
    """Those of the keys that are stored, each with its number and the number of its value's block."""
    wanted = keys if isinstance(keys, (set, dict)) else set(keys)
    sql = "SELECT key, k, n FROM key_names JOIN keys USING (k) WHERE short IN"
    rows = in_list(db, sql, [short_key(key) for key in wanted])
    return {key: (k, n) for key, k, n in rows if key in wanted}


def _write_set(
    db: sqlite3.Connection,
    history: History,
    cache: KeyCache,
    changes: Changes,
    blocks: Mapping[int, BlockRow],
    elements: Sequence[tuple[str, int, int, int]],
    counters: Counters,
) -> tuple[Numbers, Mapping[str, Value], int]:
    """Write the keys, the elements (key, block, start, length) and the values of a merge.

    Returns the numbers of all keys that it touches, the positions of the values that it changes, and the number of new
    keys."""
    touched = {key for key, _, _, _ in elements}
    touched.update(key for key, _ in changes.tombstones)
    touched.update(changes.winners)
    known = _known(db, cache, touched)
    numbers = {key: k for key, (k, _) in known.items()}
    values, older = _values(changes, blocks, elements)
    new_keys = [key for key in touched if key not in known] if len(known) < len(touched) else []
    if new_keys:
        numbers.update((key, k) for k, key in enumerate(new_keys, counters.key))
        rows = [(numbers[key], key, *values.get(key, _NONE)) for key in new_keys]
        db.executemany("INSERT INTO keys VALUES (?, ?, ?, ?, ?)", rows)
        names = sorted((short_key(key), numbers[key]) for key in new_keys)
        db.executemany("INSERT INTO key_names VALUES (?, ?)", names)
    rows_of_elements = sorted((numbers[key], n, start, length) for key, n, start, length in elements)
    _each(db, "INSERT INTO elements VALUES (?, ?, ?, ?, 0)", rows_of_elements)
    if older:
        found = _older_values(db, history, older, numbers)
        if len(found) < len(older):
            raise StoreError("a block that a value lies in is missing; run betar-tui doctor")
        values.update(found)
    replaced = [(key, known[key][1]) for key, value in values.items() if key in known and known[key][1] != value[0]]
    updates = [(*values[key], numbers[key]) for key, _ in replaced]
    _each(db, "UPDATE keys SET n = ?, start = ?, length = ? WHERE k = ?", updates)
    # Packing skipped these blocks while a key showed them.
    late = [(n,) for _, n in replaced if n is not None and n <= counters.examined]
    _each(db, f"INSERT OR IGNORE INTO due SELECT n FROM blocks WHERE n = ? AND {_COMPLETE}", late)
    return numbers, values, len(new_keys)


def _known(db: sqlite3.Connection, cache: KeyCache, keys: Collection[str]) -> dict[str, tuple[int, int | None]]:
    """The same as `key_numbers`, from the cache as far as possible."""
    known: dict[str, tuple[int, int | None]] = {}
    others = []
    for key in keys:
        cached = cache.get(key)
        if cached is not None:
            known[key] = (cached.k, cached.n)
        elif key not in cache.absent:
            others.append(key)
    if others:
        known.update(key_numbers(db, others))
    return known


def _values(
    changes: Changes, blocks: Mapping[int, BlockRow], elements: Iterable[tuple[str, int, int, int]]
) -> tuple[dict[str, Value], dict[str, bytes]]:
    """The positions of values in this merge's blocks, or `_NONE` for removed ones, and the blocks of older values."""
    values: dict[str, Value] = {key: _NONE for key, winner in changes.winners.items() if winner is None}
    older = {key: winner.cid for key, winner in changes.winners.items() if winner is not None}
    for key, n, start, length in elements if older else ():
        if older.get(key) == blocks[n].cid:
            values[key] = (n, start, length)
            del older[key]
    return values, older


def _write_tombstones(
    db: sqlite3.Connection, history: History, tombstones: Collection[tuple[str, bytes]], numbers: Numbers
) -> int:
    """Store tombstones and mark the elements that they remove; returns the number of new ones."""
    if not tombstones:
        return 0
    pairs = [(numbers[key], block[4:]) for key, block in tombstones]
    new = db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", pairs).rowcount
    if new:
        db.execute("UPDATE counts SET n = n + ? WHERE name = 'tombstones'", (new,))
    found = history.find(db, {digest for _, digest in pairs})
    named = [(k, found[digest][0]) for k, digest in pairs if digest in found]
    _each(db, "UPDATE elements SET dead = 1 WHERE k = ? AND n = ?", named)
    return new


def _mark_dead(db: sqlite3.Connection, numbers: Numbers, elements: Iterable[tuple[str, int, bytes]]) -> None:
    """Mark new elements (key, block's number, block's CID) whose tombstone came before them."""
    db.executemany(
        "UPDATE elements SET dead = 1 WHERE k = ?1 AND n = ?2"
        " AND EXISTS (SELECT 1 FROM tombstones WHERE k = ?1 AND digest = ?3)",
        [(numbers[key], n, block[4:]) for key, n, block in elements],
    )


def _older_values(
    db: sqlite3.Connection, history: History, winners: Mapping[str, bytes], numbers: Numbers
) -> dict[str, Value]:
    """The positions of values that were superseded before and are current again."""
    found = history.find(db, set(digests(winners.values())))
    sql = "SELECT n, start, length FROM elements WHERE k = ? AND n = ?"
    return {
        key: db.execute(sql, (numbers[key], found[block[4:]][0])).fetchone()
        for key, block in winners.items()
        if block[4:] in found
    }


def _complete(db: sqlite3.Connection, completed: Iterable[bytes], examined: int) -> None:
    """Older blocks are complete now; those that packing has passed are due."""
    rows = [(short(digest), digest) for digest in digests(completed)]
    found = "SELECT n FROM names JOIN blocks USING (n) WHERE short = ? AND digest = ?"
    _each(db, f"DELETE FROM incomplete WHERE n IN ({found})", rows)
    if examined:
        hidden = "NOT EXISTS (SELECT 1 FROM keys WHERE keys.n = blocks.n)"
        sql = f"INSERT OR IGNORE INTO due {found} AND n <= ? AND {hidden}"
        _each(db, sql, [(*row, examined) for row in rows])


def _complete_all(db: sqlite3.Connection, examined: int) -> None:
    """Every block that is waited for is complete now, at the end of a sync: one by one they would take longer than the
    sync."""
    waiting = "n NOT IN (SELECT n FROM unfinished)"
    if examined:
        db.execute(
            f"INSERT OR IGNORE INTO due SELECT n FROM incomplete WHERE n <= ? AND {waiting}"
            " AND NOT EXISTS (SELECT 1 FROM keys WHERE keys.n = incomplete.n)",
            (examined,),
        )
    db.execute(f"DELETE FROM incomplete WHERE {waiting}")


def _source(db: sqlite3.Connection, peer: str) -> int:
    for _ in range(2):
        row = db.execute("SELECT id FROM sources WHERE peer = ?", (peer,)).fetchone()
        if row:
            break
        db.execute("INSERT INTO sources (peer) VALUES (?)", (peer,))
    return int(row[0])


def _each(db: sqlite3.Connection, sql: str, rows: list[Any]) -> None:
    """Run a statement for each row, if any: most merges have none of most kinds."""
    if rows:
        db.executemany(sql, rows)


def _rows(cids: Iterable[bytes]) -> list[tuple[Any]]:
    return [(digest,) for digest in digests(cids)]
