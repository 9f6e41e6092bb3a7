"""What one merge changes in the tables. Runs inside the store's transaction; everything that affects a merge is here."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from betar_tui.store.facts import Changes, Span
from betar_tui.store.history import History
from betar_tui.store.sql import digests, in_list, short, short_key, to_sql

Value = tuple[int | None, int | None, int | None]
"""Where a key's value lies: block, start, length."""
Spans = dict[tuple[str, bytes], tuple[int, Span]]
"""Each element of a merge by key and CID, with its block's number."""
Numbers = dict[str, int]
"""Keys, each with its number."""
_NONE: Value = (None, None, None)
_COMPLETE = "NOT EXISTS (SELECT 1 FROM incomplete WHERE incomplete.n = blocks.n)"


def write(db: sqlite3.Connection, history: History, changes: Changes, tombstones: int) -> int:
    """Remember a merge; counts the tombstones that are new. So many are there already."""
    first, examined = db.execute(
        "SELECT max(coalesce((SELECT max(n) FROM blocks), 0), coalesce((SELECT max(n) FROM packed), 0)) + 1,"
        " (SELECT examined FROM packing)"
    ).fetchone()
    via = _source(db, changes.via)
    at = int(changes.at * 1000)
    db.executemany(
        "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)",
        [(n, b.cid[4:], to_sql(b.height), via, at, b.data) for n, b in enumerate(changes.blocks, first)],
    )
    incomplete = [(n,) for n, block in enumerate(changes.blocks, first) if not block.complete]
    _each(db, "INSERT INTO incomplete VALUES (?)", incomplete)
    names = [(short(block.cid[4:]), n) for n, block in enumerate(changes.blocks, first)]
    names.sort()  # from page to page of a large index, not back and forth
    db.executemany("INSERT INTO names VALUES (?, ?)", names)
    spans: Spans = {}
    for n, block in enumerate(changes.blocks, first):
        spans.update(((span.key, block.cid), (n, span)) for span in block.elements)
    numbers = _write_set(db, history, changes, spans, examined)
    new_tombstones = _write_tombstones(db, history, changes.tombstones, numbers)
    if spans and tombstones + new_tombstones:
        _bury(db, numbers, spans)
    if changes.whole:
        _complete_all(db, examined)
    else:
        _complete(db, changes.completed, examined)
    heads = [(name[4:], to_sql(height)) for name, height in changes.heads_added.items()]
    _each(db, "DELETE FROM heads WHERE digest = ?", _rows(changes.heads_removed))
    _each(db, "INSERT INTO heads VALUES (?, ?)", heads)
    _each(db, "DELETE FROM wants WHERE digest = ?", _rows(changes.wants_removed))
    _each(db, "INSERT OR IGNORE INTO wants VALUES (?)", _rows(changes.wants_added))
    write_own(db, changes.own)
    return new_tombstones


def write_own(db: sqlite3.Connection, documents: Mapping[str, str]) -> None:
    """Remember documents of ours."""
    _each(db, "INSERT OR REPLACE INTO own VALUES (?, ?)", list(documents.items()))


def key_numbers(db: sqlite3.Connection, keys: Collection[str]) -> dict[str, tuple[int, int | None]]:
    """Those of the keys that were ever seen, each with its number and the block of its value."""
    wanted = keys if isinstance(keys, (set, dict)) else set(keys)
    sql = "SELECT key, k, n FROM key_names JOIN keys USING (k) WHERE short IN"
    rows = in_list(db, sql, [short_key(key) for key in wanted])
    return {key: (k, n) for key, k, n in rows if key in wanted}


def _write_set(db: sqlite3.Connection, history: History, changes: Changes, spans: Spans, examined: int) -> Numbers:
    """Keys, elements and values of a merge; the numbers of all keys that it touches."""
    touched = {key for key, _ in spans}
    touched.update(key for key, _ in changes.tombstones)
    touched.update(changes.winners)
    known = key_numbers(db, touched) if touched else {}
    numbers = {key: k for key, (k, _) in known.items()}
    values, older = _values(changes.winners, spans)
    if len(known) < len(touched):
        new_keys = [key for key in touched if key not in known]
        next_k = db.execute("SELECT coalesce(max(k), 0) + 1 FROM keys").fetchone()[0]
        numbers.update((key, k) for k, key in enumerate(new_keys, next_k))
        db.executemany(
            "INSERT INTO keys VALUES (?, ?, ?, ?, ?)",
            [(numbers[key], key, *values.get(key, _NONE)) for key in new_keys],
        )
        names = sorted((short_key(key), numbers[key]) for key in new_keys)
        db.executemany("INSERT INTO key_names VALUES (?, ?)", names)
    elements = [(numbers[key], n, span.start, span.length) for (key, _), (n, span) in spans.items()]
    _each(db, "INSERT INTO elements VALUES (?, ?, ?, ?, 0)", elements)
    if older:
        values.update(_older_values(db, history, older, numbers))
    replaced = [(key, n) for key, (_, n) in known.items() if key in values and values[key][0] != n]
    updates = [(*values[key], numbers[key]) for key, _ in replaced]
    _each(db, "UPDATE keys SET n = ?, start = ?, length = ? WHERE k = ?", updates)
    # Packing has been past these while they were shown.
    late = [(n,) for _, n in replaced if n is not None and n <= examined]
    _each(db, f"INSERT OR IGNORE INTO due SELECT n FROM blocks WHERE n = ? AND {_COMPLETE}", late)
    return numbers


def _values(winners: Mapping[str, bytes | None], spans: Spans) -> tuple[dict[str, Value], dict[str, bytes]]:
    """Where the values lie that this merge brings or takes away, and the blocks of those that were there before."""
    values: dict[str, Value] = {}
    older: dict[str, bytes] = {}
    for key, block in winners.items():
        if block is None:
            values[key] = _NONE
        elif (key, block) in spans:
            n, span = spans[key, block]
            values[key] = (n, span.start, span.length)
        else:
            older[key] = block
    return values, older


def _write_tombstones(
    db: sqlite3.Connection, history: History, tombstones: Collection[tuple[str, bytes]], numbers: Numbers
) -> int:
    """Keep tombstones and mark what they name; counts the new ones."""
    if not tombstones:
        return 0
    pairs = [(numbers[key], block[4:]) for key, block in tombstones]
    new = db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", pairs).rowcount
    found = history.find(db, {digest for _, digest in pairs})
    named = [(k, found[digest][0]) for k, digest in pairs if digest in found]
    _each(db, "UPDATE elements SET dead = 1 WHERE k = ? AND n = ?", named)
    return new


def _bury(db: sqlite3.Connection, numbers: Numbers, spans: Spans) -> None:
    """Mark new elements whose tombstone had come before them."""
    db.executemany(
        "UPDATE elements SET dead = 1 WHERE k = ?1 AND n = ?2"
        " AND EXISTS (SELECT 1 FROM tombstones WHERE k = ?1 AND digest = ?3)",
        [(numbers[key], n, block[4:]) for (key, block), (n, _) in spans.items()],
    )


def _older_values(
    db: sqlite3.Connection, history: History, winners: Mapping[str, bytes], numbers: Numbers
) -> dict[str, Value]:
    """Where values lie that were superseded before and count again."""
    found = history.find(db, set(digests(winners.values())))
    sql = "SELECT n, start, length FROM elements WHERE k = ? AND n = ?"
    return {
        key: db.execute(sql, (numbers[key], found[block[4:]][0])).fetchone()
        for key, block in winners.items()
        if block[4:] in found
    }


def _complete(db: sqlite3.Connection, completed: Iterable[bytes], examined: int) -> None:
    """Older blocks are complete now; where packing has been past them, they are due."""
    rows = [(short(digest), digest) for digest in digests(completed)]
    found = "SELECT n FROM names JOIN blocks USING (n) WHERE short = ? AND digest = ?"
    _each(db, f"DELETE FROM incomplete WHERE n IN ({found})", rows)
    if examined:
        hidden = "NOT EXISTS (SELECT 1 FROM keys WHERE keys.n = blocks.n)"
        sql = f"INSERT OR IGNORE INTO due {found} AND n <= ? AND {hidden}"
        _each(db, sql, [(*row, examined) for row in rows])


def _complete_all(db: sqlite3.Connection, examined: int) -> None:
    """Every block is complete now: the end of a sync, where naming them one by one would take longer than the sync."""
    if examined:
        db.execute(
            "INSERT OR IGNORE INTO due SELECT n FROM incomplete WHERE n <= ?"
            " AND NOT EXISTS (SELECT 1 FROM keys WHERE keys.n = incomplete.n)",
            (examined,),
        )
    db.execute("DELETE FROM incomplete")


def _source(db: sqlite3.Connection, peer: str) -> int:
    for _ in range(2):
        row = db.execute("SELECT id FROM sources WHERE peer = ?", (peer,)).fetchone()
        if row:
            break
        db.execute("INSERT INTO sources (peer) VALUES (?)", (peer,))
    return int(row[0])


def _each(db: sqlite3.Connection, sql: str, rows: list[Any]) -> None:
    """Run a statement for each row; most merges have none of most kinds."""
    if rows:
        db.executemany(sql, rows)


def _rows(cids: Iterable[bytes]) -> list[tuple[Any]]:
    return [(digest,) for digest in digests(cids)]
