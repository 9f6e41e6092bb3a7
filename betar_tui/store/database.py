"""`Store`: the database of one replica, opened once by the process that holds the directory's lock.

Everything that affects a merge is in `apply`, one transaction; the other methods read or keep small things beside it.
Own writes are durable when they return (synchronous=FULL); what came from a peer can be fetched again, so it is only
safe against a crash of the process (NORMAL). Any thread may call, one at a time: a lock inside sees to that.
"""

import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from betar_tui.errors import StoreError
from betar_tui.store import schema
from betar_tui.store.facts import Changes, Element, LogRow, PeerRow, Snapshot, Span, Totals, Winner

_PREFIX = b"\x01\x70\x12\x20"
_FILE_PREFIXES = (_PREFIX, b"\x01\x55\x12\x20", b"\x12\x20")
_CHUNK = 500
_SIGN_BIT = 1 << 63


def open_store(path: Path) -> "Store":
    """Open or create the database at `path`. Raises StoreError."""
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    except sqlite3.Error as error:
        raise StoreError(f"cannot open {path}: {error}; check the directory's permissions and space") from error
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -32768")
        schema.prepare(db)
        return Store(db, path)
    except sqlite3.Error as error:
        db.close()
        raise StoreError(f"{path} cannot be used: {error}; move it away to start afresh from the network") from error
    except BaseException:
        db.close()
        raise


class Store:
    """What a replica remembers. Answers `replica.Port`."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._mutex = threading.RLock()
        self._durable = False
        self._blocks, self._tombstones = db.execute(
            "SELECT (SELECT count(*) FROM blocks), (SELECT count(*) FROM tombstones)"
        ).fetchone()

    def close(self) -> None:
        """Give the database back; safe to call twice."""
        with self._mutex:
            self._db.close()

    # The replica's port.

    def load(self) -> Snapshot:
        """Where the replica stood when the last `apply` returned."""
        with self._reading() as db:
            heads = {_PREFIX + d: _height(h) for d, h in db.execute("SELECT digest, height FROM heads")}
            wants = frozenset(_PREFIX + d for (d,) in db.execute("SELECT digest FROM wants"))
            rows = db.execute("SELECT digest, height, data FROM blocks INDEXED BY incomplete WHERE complete = 0")
            return Snapshot(heads, {_PREFIX + d: (_height(h), data) for d, h, data in rows}, wants)

    def stored(self, cids: Collection[bytes]) -> Mapping[bytes, bool]:
        """Those of the deltas that are held, each with whether it is complete."""
        with self._reading() as db:
            rows = _in(db, "SELECT digest, complete FROM blocks WHERE digest IN", [c[4:] for c in cids])
            return {_PREFIX + digest: bool(complete) for digest, complete in rows}

    def winners(self, keys: Collection[str]) -> Mapping[str, Winner]:
        """The values of those of the keys that have one."""
        with self._reading() as db:
            return dict(_winners(_in(db, _WINNERS + " WHERE keys.key IN", list(keys))))

    def tombstoned(self, pairs: Collection[tuple[str, bytes]]) -> Collection[tuple[str, bytes]]:
        """Those of the (key, block) pairs that a tombstone names."""
        if not self._tombstones:
            return ()
        sql = (
            "SELECT keys.key, tombstones.digest FROM tombstones JOIN keys USING (k)"
            " WHERE (keys.k, tombstones.digest) = ((SELECT k FROM keys WHERE key = ?), ?)"
        )
        with self._reading() as db:
            found = (db.execute(sql, (key, block[4:])).fetchone() for key, block in pairs)
            return {(row[0], _PREFIX + row[1]) for row in found if row}

    def live(self, key: str) -> Collection[Element]:
        """The elements of a key that no tombstone names."""
        return tuple(self._elements(key, " AND NOT dead"))

    def apply(self, changes: Changes, durable: bool) -> None:
        """Remember a merge in one transaction; `durable` ones survive a power cut once this returns."""
        with self._transaction(durable) as db:
            via = _source(db, changes.via)
            at = int(changes.at * 1000)
            rows = [(b.cid[4:], _sql(b.height), b.complete, via, at, b.data) for b in changes.blocks]
            first = db.execute("SELECT coalesce(max(n), 0) + 1 FROM blocks").fetchone()[0]
            db.executemany(
                "INSERT INTO blocks (n, digest, height, complete, via, at, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(first + i, *row) for i, row in enumerate(rows)],
            )
            new_tombstones = _apply_set(db, changes, first)
            db.executemany("UPDATE blocks SET complete = 1 WHERE digest = ?", _digests(changes.completed))
            db.executemany("DELETE FROM heads WHERE digest = ?", _digests(changes.heads_removed))
            heads = [(name[4:], _sql(height)) for name, height in changes.heads_added.items()]
            db.executemany("INSERT INTO heads VALUES (?, ?)", heads)
            db.executemany("DELETE FROM wants WHERE digest = ?", _digests(changes.wants_removed))
            db.executemany("INSERT OR IGNORE INTO wants VALUES (?)", _digests(changes.wants_added))
        self._blocks += len(changes.blocks)
        self._tombstones += new_tombstones

    # Reading for people and peers.

    def values(self, prefix: tuple[str, str]) -> list[tuple[str, Winner, float]]:
        """Each key in the half-open range with its value and when that was applied, Unix seconds."""
        sql = _WINNERS_AT + " WHERE keys.key >= ? AND keys.key < ? ORDER BY keys.key"
        with self._reading() as db:
            rows = db.execute(sql, prefix).fetchall()
        return [(key, Winner(_height(h), value, _PREFIX + d), at / 1000) for key, d, h, value, at in rows]

    def elements(self, key: str) -> list[Element]:
        """Every version of a key, removed ones too, highest first."""
        return self._elements(key, "")

    def _elements(self, key: str, condition: str) -> list[Element]:
        sql = (
            "SELECT blocks.digest, blocks.height, substr(blocks.data, elements.start + 1, elements.length) AS value,"
            " dead FROM keys JOIN elements USING (k) JOIN blocks ON blocks.n = elements.n"
            f" WHERE keys.key = ?{condition} ORDER BY blocks.height DESC, value DESC, blocks.digest DESC"
        )
        with self._reading() as db:
            rows = db.execute(sql, (key,)).fetchall()
        return [Element(_PREFIX + d, _height(h), bytes(value), bool(dead)) for d, h, value, dead in rows]

    def blocks(self, cids: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Those of the blocks that are held, deltas and files, by the CIDs asked for; the hash alone counts."""
        by_digest: dict[bytes, list[bytes]] = {}
        for name in cids:
            by_digest.setdefault(name[-32:], []).append(name)
        with self._reading() as db:
            found = dict(_in(db, "SELECT digest, data FROM blocks WHERE digest IN", list(by_digest)))
            missing = [prefix + d for d in by_digest if d not in found for prefix in _FILE_PREFIXES]
            found.update(
                (name[-32:], data) for name, data in _in(db, "SELECT cid, data FROM files WHERE cid IN", missing)
            )
        return {name: data for digest, data in found.items() for name in by_digest[digest]}

    def log(self, limit: int) -> list[LogRow]:
        """The deltas kept last, newest first."""
        sql = (
            "SELECT digest, height, at, peer, data FROM blocks JOIN sources ON sources.id = via ORDER BY n DESC LIMIT ?"
        )
        with self._reading() as db:
            rows = db.execute(sql, (limit,)).fetchall()
        return [LogRow(_PREFIX + d, _height(h), len(data), at / 1000, peer, data) for d, h, at, peer, data in rows]

    def totals(self) -> Totals:
        """Counts, without scanning a table."""
        size = sum(path.stat().st_size for path in (self._path, Path(f"{self._path}-wal")) if path.exists())
        return Totals(self._blocks, self._tombstones, size)

    # Small things beside the replica.

    def put_files(self, files: Mapping[bytes, bytes]) -> None:
        """Keep blocks of UnixFS files, durably."""
        with self._transaction(durable=True) as db:
            db.executemany("INSERT OR IGNORE INTO files VALUES (?, ?)", files.items())

    def peers(self) -> list[PeerRow]:
        """Peers worth dialling, the last seen first."""
        with self._reading() as db:
            rows = db.execute("SELECT peer, addrs, last_seen FROM peers ORDER BY last_seen DESC").fetchall()
        return [PeerRow(peer, tuple(json.loads(addrs)), seen) for peer, addrs, seen in rows]

    def put_peer(self, peer: PeerRow, keep: int = 200) -> None:
        """Remember a peer; beyond `keep` the longest unseen are forgotten."""
        with self._transaction(durable=False) as db:
            db.execute(
                "INSERT OR REPLACE INTO peers VALUES (?, ?, ?)",
                (peer.peer_id, json.dumps(list(peer.addrs)), peer.last_seen),
            )
            db.execute(
                "DELETE FROM peers WHERE peer NOT IN (SELECT peer FROM peers ORDER BY last_seen DESC LIMIT ?)", (keep,)
            )

    def own(self) -> Mapping[str, str]:
        """What this peer means to have published: documents by key."""
        with self._reading() as db:
            return dict(db.execute("SELECT key, document FROM own ORDER BY key").fetchall())

    def put_own(self, documents: Mapping[str, str]) -> None:
        """Remember documents of ours, durably, in one transaction."""
        with self._transaction(durable=True) as db:
            db.executemany("INSERT OR REPLACE INTO own VALUES (?, ?)", documents.items())

    def drop_own(self, keys: Collection[str]) -> None:
        """Forget documents of ours, durably."""
        with self._transaction(durable=True) as db:
            db.executemany("DELETE FROM own WHERE key = ?", [(key,) for key in keys])

    def setting(self, name: str) -> str | None:
        """A remembered setting."""
        with self._reading() as db:
            row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def put_setting(self, name: str, value: str) -> None:
        """Remember a setting, durably."""
        with self._transaction(durable=True) as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def check(self) -> str:
        """SQLite's own integrity check: "ok", or what is wrong."""
        with self._reading() as db:
            return str(db.execute("PRAGMA integrity_check").fetchone()[0])

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise StoreError(f"reading {self._path} failed: {error}; run betar-tui doctor") from error

    @contextmanager
    def _transaction(self, durable: bool) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            try:
                if durable != self._durable:
                    self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                    self._durable = durable
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):  # closed meanwhile, or rolled back by SQLite itself
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(f"writing {self._path} failed: {error}; nothing was changed") from error
                raise


_SELECT_WINNER = "SELECT keys.key, blocks.digest, blocks.height, substr(blocks.data, keys.start + 1, keys.length)"
_WINNERS = _SELECT_WINNER + " FROM keys JOIN blocks ON blocks.n = keys.n"
_WINNERS_AT = _SELECT_WINNER + ", blocks.at FROM keys JOIN blocks ON blocks.n = keys.n"


def _winners(rows: Iterable[tuple[str, bytes, Any, bytes]]) -> Iterator[tuple[str, Winner]]:
    for key, digest, height, value in rows:
        yield key, Winner(_height(height), value, _PREFIX + digest)


def _apply_set(db: sqlite3.Connection, changes: Changes, first: int) -> int:
    """Elements, tombstones and values of a merge whose first block has the number `first`; counts new tombstones."""
    touched = {span.key for block in changes.blocks for span in block.elements}
    touched.update(key for key, _ in changes.tombstones)
    touched.update(changes.winners)
    if not touched:
        return 0
    db.executemany("INSERT OR IGNORE INTO keys (key) VALUES (?)", [(key,) for key in touched])
    k: dict[str, int] = dict(_in(db, "SELECT key, k FROM keys WHERE key IN", list(touched)))
    spans: dict[tuple[str, bytes], tuple[int, Span]] = {}
    for i, block in enumerate(changes.blocks):
        spans.update(((span.key, block.cid), (first + i, span)) for span in block.elements)
    db.executemany(
        "INSERT INTO elements VALUES (?, ?, ?, ?, 0)",
        [(k[span.key], n, span.start, span.length) for n, span in spans.values()],
    )
    new = 0
    if changes.tombstones:
        pairs = [(k[key], block[4:]) for key, block in changes.tombstones]
        new = db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", pairs).rowcount
        db.executemany(_BURY, pairs)
    if spans:
        _bury_late_elements(db, {k[key] for key, _ in spans}, first)
    _apply_winners(db, changes.winners, k, spans)
    return new


_BURY = "UPDATE elements SET dead = 1 WHERE k = ? AND n = (SELECT n FROM blocks WHERE digest = ?)"
_BURY_LATE = (
    "UPDATE elements SET dead = 1 WHERE k = ? AND n >= ? AND EXISTS (SELECT 1 FROM tombstones"
    " JOIN blocks ON blocks.digest = tombstones.digest WHERE tombstones.k = elements.k AND blocks.n = elements.n)"
)
_SET_WINNER = (
    "UPDATE keys SET (n, start, length) = (SELECT elements.n, elements.start, elements.length FROM elements"
    " WHERE elements.k = keys.k AND elements.n = (SELECT n FROM blocks WHERE digest = ?)) WHERE k = ?"
)


def _bury_late_elements(db: sqlite3.Connection, touched: Iterable[int], first: int) -> None:
    """Mark elements whose tombstone had come before them."""
    if db.execute("SELECT 1 FROM tombstones LIMIT 1").fetchone():
        db.executemany(_BURY_LATE, [(k, first) for k in touched])


def _apply_winners(
    db: sqlite3.Connection,
    winners: Mapping[str, bytes | None],
    k: Mapping[str, int],
    spans: Mapping[tuple[str, bytes], tuple[int, Span]],
) -> None:
    known: list[tuple[int | None, int | None, int | None, int]] = []
    older: list[tuple[bytes, int]] = []
    for key, block in winners.items():
        if block is None:
            known.append((None, None, None, k[key]))
        elif (key, block) in spans:
            n, span = spans[key, block]
            known.append((n, span.start, span.length, k[key]))
        else:
            older.append((block[4:], k[key]))
    db.executemany("UPDATE keys SET n = ?, start = ?, length = ? WHERE k = ?", known)
    db.executemany(_SET_WINNER, older)


def _source(db: sqlite3.Connection, peer: str) -> int:
    db.execute("INSERT OR IGNORE INTO sources (peer) VALUES (?)", (peer,))
    return int(db.execute("SELECT id FROM sources WHERE peer = ?", (peer,)).fetchone()[0])


def _digests(cids: Iterable[bytes]) -> list[tuple[bytes]]:
    return [(name[4:],) for name in cids]


def _in(db: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[Any]:
    """The rows of "… IN" a list of any length."""
    rows: list[Any] = []
    for i in range(0, len(values), _CHUNK):
        part = values[i : i + _CHUNK]
        rows += db.execute(f"{sql} ({','.join('?' * len(part))})", part).fetchall()
    return rows


def _sql(height: int) -> int | bytes:
    return height if height < _SIGN_BIT else height.to_bytes(8, "big")


def _height(stored: int | bytes) -> int:
    return stored if isinstance(stored, int) else int.from_bytes(stored, "big")
