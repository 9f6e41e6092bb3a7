"""`Store`: the database of one replica, opened once by the process that holds the directory's lock.

Everything that affects a merge is in `apply`, one transaction; the other methods read or keep small things beside it.
Own writes are durable when they return (synchronous=FULL); what came from a peer can be fetched again, so it is only
safe against a crash of the process (NORMAL). Any thread may call, one at a time: a lock inside sees to that. Old
history is packed by `pack`, a slice at a time, whenever the caller has nothing better to do.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from betar_tui.errors import StoreError
from betar_tui.replica.facts import Changes, Element, LogRow, PeerRow, Snapshot, Totals, Winner
from betar_tui.store import merging, packing, schema
from betar_tui.store.groups import Member
from betar_tui.store.history import VERSION, History, Row
from betar_tui.store.key_cache import KEYS, CachedKey, KeyCache
from betar_tui.store.sql import PREFIX, digests, from_sql, in_list, short_key

_FILE_PREFIXES = (PREFIX, b"\x01\x55\x12\x20", b"\x12\x20")
_LOG_LIMIT = 256 << 10
"""What the write-ahead log may take on disk while nothing happens."""


def open_store(path: Path, remember: int = KEYS) -> "Store":
    """Open or create the database at `path`; so many keys are known by heart. Raises StoreError."""
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    except sqlite3.Error as error:
        raise StoreError(f"cannot open {path}: {error}; check the directory's permissions and space") from error
    try:
        schema.lay_out(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -32768")
        schema.prepare(db)
        return Store(db, path, KeyCache(remember))
    except sqlite3.Error as error:
        db.close()
        raise StoreError(f"{path} cannot be used: {error}; move it away to start afresh from the network") from error
    except BaseException:
        db.close()
        raise


class Store:
    """What a replica remembers. Answers `replica.ReplicaStorage`."""

    def __init__(self, db: sqlite3.Connection, path: Path, recent: KeyCache) -> None:
        self._db = db
        self._path = path
        self._recent = recent
        self._mutex = threading.RLock()
        self._packing = threading.Lock()
        self._history = History()
        self._durable = False
        self._blocks, self._tombstones = db.execute(
            "SELECT (SELECT count(*) FROM names), (SELECT count(*) FROM tombstones)"
        ).fetchone()

    def close(self) -> None:
        """Give the database back; safe to call twice."""
        with self._mutex:
            self._recent.clear()
            self._db.close()

    def reserve(self) -> Callable[[], None] | None:
        """Keep other threads out until the returned function is called, in the same thread; None where one is at it."""
        return self._mutex.release if self._mutex.acquire(blocking=False) else None

    # The replica's port.

    def load(self) -> Snapshot:
        """Where the replica stood when the last `apply` returned."""
        with self._reading() as db:
            heads = {PREFIX + d: from_sql(h) for d, h in db.execute("SELECT digest, height FROM heads")}
            wants = frozenset(PREFIX + d for (d,) in db.execute("SELECT digest FROM wants"))
            rows = db.execute("SELECT digest, height, data FROM incomplete JOIN blocks USING (n)")
            return Snapshot(heads, {PREFIX + d: (from_sql(h), data) for d, h, data in rows}, wants)

    def stored(self, cids: Collection[bytes]) -> Mapping[bytes, bool]:
        """Those of the deltas that are held, each with whether it is complete."""
        with self._reading() as db:
            found = self._history.find(db, digests(cids))
            return {PREFIX + digest: complete for digest, (_, complete) in found.items()}

    def winners(self, keys: Collection[str]) -> Mapping[str, Winner]:
        """The values of those of the keys that have one."""
        with self._mutex:
            known = {key: shown for key in keys if (shown := self._recent.get(key)) is not None}
            others = [key for key in keys if key not in known and key not in self._recent.absent]
            if others:
                with self._reading() as db:
                    known.update(self._look_up(db, others))
        return {key: shown.winner for key, shown in known.items() if shown.winner is not None}

    def _look_up(self, db: sqlite3.Connection, keys: Collection[str]) -> dict[str, CachedKey]:
        """Keys that are not known by heart, and will be."""
        sql = f"SELECT {_WINNER}, k FROM key_names JOIN keys USING (k) LEFT JOIN blocks USING (n) WHERE short IN"
        rows = in_list(db, sql, [short_key(key) for key in keys])
        found = {
            row.key: _winner(row) for row in self._history.versions(db, [r[:-1] for r in rows if r[1] is not None])
        }
        wanted = set(keys)
        shown = {key: CachedKey(k, n, found.get(key)) for key, n, *_, k in rows if key in wanted}
        for key, each in shown.items():
            self._recent.put(key, each)
        self._recent.absent = frozenset(wanted - shown.keys())
        return shown

    def tombstoned(self, pairs: Collection[tuple[str, bytes]]) -> Collection[tuple[str, bytes]]:
        """Those of the (key, block) pairs that a tombstone names."""
        if not self._tombstones:
            return ()
        sql = "SELECT 1 FROM tombstones WHERE k = ? AND digest = ?"
        with self._reading() as db:
            known = merging.key_numbers(db, {key for key, _ in pairs})
            return {
                (key, block)
                for key, block in pairs
                if key in known and db.execute(sql, (known[key][0], block[4:])).fetchone()
            }

    def live(self, key: str, least: int = 0) -> Collection[bytes]:
        """The blocks with elements of a key that no tombstone names, those of at least this height."""
        with self._reading() as db:
            known = merging.key_numbers(db, [key])
            found = self._history.live(db, known[key][0]) if known else []
        return [each.cid for each in found if each.height >= least]

    def greatest(self, key: str, without: Set[bytes]) -> Winner | None:
        """The greatest element of a key that no tombstone names, those in some blocks left out. There may be thousands, of
        which only the highest are read."""
        with self._reading() as db:
            known = merging.key_numbers(db, [key])
            if not known:
                return None
            k, _ = known[key]
            rest = [each for each in self._history.live(db, k) if each.cid not in without]
            height = max((each.height for each in rest), default=0)
            highest = [each.n for each in rest if each.height == height]
            return max(map(_winner, self._history.elements(db, key, k, highest)), default=None)

    def apply(self, changes: Changes, durable: bool) -> None:
        """Remember a merge in one transaction; `durable` ones survive a power cut once this returns."""
        with self._mutex:
            with self._transaction(durable) as db:
                done = merging.write(db, self._history, self._recent, changes, self._tombstones)
            self._blocks += len(changes.blocks)
            self._tombstones += done.tombstones
            self._recent.counters, self._recent.absent = done.counters, frozenset()
            self._recent.put_source(changes.via, done.source)
            for key, shown in done.shown.items():
                self._recent.put(key, shown)

    # Old history.

    def pack(self, limit: int, keep: int = packing.KEEP_PLAIN) -> int:
        """Pack one slice of old history, about `limit` blocks; how many it was. To be called again until it is 0.

        Where nothing is due this costs a few rows, and shortens the log that a burst left. The compression itself holds
        nobody up.
        """
        with self._packing:
            due: list[list[tuple[int, Member]]] = []
            while not due:
                with self._reading() as db:
                    if not packing.is_due(db, keep):
                        self._shorten_log(db)
                        return 0
                with self._transaction(durable=False) as db:
                    packing.examine(db, keep)
                    due = packing.collect(db, limit)
                    self._recent.counters = None  # it has been further
            made = [packing.make(members) for members in due]
            with self._transaction(durable=False) as db:
                packed = packing.write(db, made)
                packing.give_back(db)
            return packed

    def _shorten_log(self, db: sqlite3.Connection) -> None:
        log = Path(f"{self._path}-wal")
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # Reading for people and peers.

    def values(self, prefix: tuple[str, str]) -> list[tuple[str, Winner, float]]:
        """Each key in the half-open range with its value and when that was applied, Unix seconds."""
        sql = "SELECT key, n, start, length FROM keys WHERE n IS NOT NULL AND key >= ? AND key < ?"
        with self._reading() as db:
            rows = sorted(self._history.values(db, db.execute(sql, prefix).fetchall()))
        return [(row.key, _winner(row), row.at / 1000) for row in rows]

    def elements(self, key: str) -> list[Element]:
        """Every version of a key, removed ones too, highest first."""
        with self._reading() as db:
            known = merging.key_numbers(db, [key])
            rows = self._history.elements(db, key, known[key][0]) if known else []
        found = [Element(PREFIX + r.digest, r.height, r.value, r.dead) for r in rows]
        return sorted(found, key=lambda each: (each.height, each.value, each.cid), reverse=True)

    def blocks(self, cids: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Those of the blocks that are held, deltas and files, by the CIDs asked for; the hash alone counts."""
        by_digest: dict[bytes, list[bytes]] = {}
        for name in cids:
            by_digest.setdefault(name[-32:], []).append(name)
        with self._reading() as db:
            found = self._history.data(db, by_digest)
            missing = [prefix + d for d in by_digest if d not in found for prefix in _FILE_PREFIXES]
            found.update(
                (name[-32:], data) for name, data in in_list(db, "SELECT cid, data FROM files WHERE cid IN", missing)
            )
        return {name: data for digest, data in found.items() for name in by_digest[digest]}

    def log(self, limit: int) -> list[LogRow]:
        """The deltas kept last, newest first."""
        with self._reading() as db:
            rows = self._history.newest(db, limit)
            peers = dict(in_list(db, "SELECT id, peer FROM sources WHERE id IN", list({row.via for _, row in rows})))
        return [LogRow(PREFIX + d, m.height, len(m.data), m.at / 1000, peers[m.via], m.data) for d, m in rows]

    def totals(self) -> Totals:
        """Counts, without scanning a table."""
        size = sum(path.stat().st_size for path in (self._path, Path(f"{self._path}-wal")) if path.exists())
        with self._reading() as db:
            packed = db.execute("SELECT blocks, groups, before, after FROM packing").fetchone()
        return Totals(self._blocks, self._tombstones, size, *packed)

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

    def signature_cache(self) -> Mapping[bytes, str]:
        """What was found out about values, by whatever tokens it was kept under."""
        with self._reading() as db:
            return dict(db.execute("SELECT token, verdict FROM verdicts").fetchall())

    def change_signature_cache(self, added: Mapping[bytes, str], removed: Collection[bytes]) -> None:
        """Remember findings, which can be found out again, and forget others."""
        with self._transaction(durable=False) as db:
            db.executemany("DELETE FROM verdicts WHERE token = ?", [(token,) for token in removed])
            db.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", added.items())

    def announced(self, now: float, max_age: float) -> Mapping[bytes, Collection[str]]:
        """Heads that were announced and had not come, with the peers that announced them, the first remembered first, `now`
        in Unix seconds; what is older than `max_age` seconds is forgotten, and so is what the clock has gone back behind."""
        with self._transaction(durable=False) as db:
            db.execute("DELETE FROM announced WHERE at NOT BETWEEN ? AND ?", (now - max_age, now))
            rows = db.execute("SELECT digest, authors FROM announced ORDER BY at, digest").fetchall()
        return {PREFIX + digest: authors.split() for digest, authors in rows}

    def change_announced(self, named: Mapping[bytes, Collection[str]], gone: Collection[bytes], at: float) -> None:
        """Remember announced heads with the peers that announced them as of `at`, Unix seconds, or give those that are
        remembered their authors; forget others."""
        rows = [(name[4:], " ".join(sorted(authors)), at) for name, authors in named.items()]
        with self._transaction(durable=False) as db:
            db.executemany("DELETE FROM announced WHERE digest = ?", [(name[4:],) for name in gone])
            db.executemany(
                "INSERT INTO announced VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET authors = excluded.authors",
                rows,
            )

    def own(self) -> Mapping[str, str]:
        """What this peer means to have published: documents by key."""
        with self._reading() as db:
            return dict(db.execute("SELECT key, document FROM own ORDER BY key").fetchall())

    def put_own(self, documents: Mapping[str, str]) -> None:
        """Remember documents of ours, durably, in one transaction."""
        with self._transaction(durable=True) as db:
            merging.write_own(db, documents)

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
        """SQLite's own integrity check, and whether packed blocks can be read: "ok", or what is wrong."""
        with self._reading() as db:
            said = str(db.execute("PRAGMA integrity_check").fetchone()[0])
            return self._history.damage(db) or said if said == "ok" else said

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
                self._recent.clear()
                with suppress(sqlite3.Error):  # closed meanwhile, or rolled back by SQLite itself
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(f"writing {self._path} failed: {error}; nothing was changed") from error
                raise


_WINNER = f"key, n, start, length, 0, {VERSION}"


def _winner(row: Row) -> Winner:
    return Winner(row.height, row.value, PREFIX + row.digest)
