"""`Store`: the database of one replica, opened once by the process that holds the directory's lock.

`apply` stores a merge in one transaction; the other methods read, or store small things that no merge depends on. Own
writes are durable when they return (synchronous=FULL); deltas of other peers can be fetched again, so they are only
safe against a crash of the process (NORMAL). Any thread may call; a lock inside serialises the calls. `pack` packs old
history, a slice at a time, when the caller is idle."""

import json
import math
import sqlite3
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from betar_tui.errors import StoreError
from betar_tui.replica.facts import Changes, Element, LogRow, PeerRow, Snapshot, Totals, Winner
from betar_tui.store import merging, packing, schema
from betar_tui.store.groups import Member
from betar_tui.store.history import History, Row
from betar_tui.store.integrity import integrity
from betar_tui.store.key_cache import KEYS, CachedKey, KeyCache
from betar_tui.store.merging import WrittenMerge
from betar_tui.store.opening import prepare, unusable
from betar_tui.store.readers import Readers
from betar_tui.store.sql import FILE_PREFIXES, PREFIX, digests, each_in_list, from_sql, in_list, short_key

_BUSY_TIMEOUT = 5000
"""Milliseconds that a statement waits for another connection, as Python sets it."""
_ASIDE = "SELECT n FROM unfinished WHERE merged IS NULL"
"""The blocks that were laid aside."""
LOOKUP_BYTES = 4 << 20
"""Bytes of blocks at which a look-up for a peer ends, so that it does not hold dozens of 2 MiB at once."""
_LOG_LIMIT = 256 << 10
"""Maximum size of the write-ahead log on disk while the store is idle, in bytes."""


def open_store(path: Path, cached_keys: int = KEYS) -> "Store":
    """Open or create the database at `path`; at most `cached_keys` keys are cached. Raises StoreError."""
    prepare(path)
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    try:
        schema.lay_out(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -12288")
        schema.prepare(db)
        return Store(db, path, KeyCache(cached_keys))
    except sqlite3.Error as error:
        db.close()
        raise unusable(path, error) from error
    except BaseException:
        db.close()
        raise


class Projection(Protocol):
    """Something in the same database that follows the versions of keys."""

    def follow(self, db: sqlite3.Connection, changes: Changes, written: WrittenMerge) -> Any:
        """Follow a merge in its own transaction. A key whose number is `written.first_new` or greater was not there
        before."""

    def committed(self, changes: Changes, result: Any) -> None:
        """The merge is stored; `result` is what `follow` returned."""


class Store:
    """The database of a replica. Implements `replica.ReplicaStorage`. `readers` read it apart, and wait for nobody."""

    def __init__(self, db: sqlite3.Connection, path: Path, cache: KeyCache) -> None:
        self._db = db
        self._path = path
        self._cache = cache
        self._mutex = threading.RLock()
        self._packing = threading.Lock()
        self._history = History()
        self._durable = False
        self.projection: Projection | None = None
        self.readers = Readers(path)
        self._blocks = merging.counters(db).block - 1  # they are numbered from 1, and stay
        (self._tombstones,) = db.execute("SELECT n FROM counts WHERE name = 'tombstones'").fetchone()

    def close(self) -> None:
        """Close the database; safe to call twice."""
        self.readers.close()
        with self._mutex:
            self._cache.clear()
            self._db.close()

    def reserve(self) -> Callable[[], None] | None:
        """Lock the store until the returned function is called, in this thread; None while another has the lock."""
        return self._mutex.release if self._mutex.acquire(blocking=False) else None

    # ReplicaStorage

    def load(self) -> Snapshot:
        """The state of the replica after the last `apply`."""
        with self._reading() as db:
            heads = {PREFIX + d: from_sql(h) for d, h in db.execute("SELECT digest, height FROM heads")}
            wants = frozenset(PREFIX + d for (d,) in db.execute("SELECT digest FROM wants"))
            rows = db.execute(
                f"SELECT digest, height, data FROM incomplete JOIN blocks USING (n) WHERE n NOT IN ({_ASIDE})"
            )
            incomplete = {PREFIX + d: (from_sql(h), data) for d, h, data in rows}
            begun = db.execute(
                "SELECT digest, merged, peer FROM unfinished JOIN blocks USING (n) JOIN sources ON sources.id = blocks.via"
                " WHERE merged IS NOT NULL"
            )
            return Snapshot(heads, incomplete, wants, {PREFIX + d: (merged, peer) for d, merged, peer in begun})

    def stored(self, cids: Collection[bytes]) -> Mapping[bytes, bool]:
        """Those of the deltas that are stored and not laid aside, each with whether it is complete."""
        with self._reading() as db:
            found = self._history.find(db, digests(cids))
            aside = self._aside(db, [n for n, complete in found.values() if not complete])
            return {PREFIX + digest: complete for digest, (n, complete) in found.items() if n not in aside}

    def laid_aside(self, cids: Collection[bytes]) -> Collection[bytes]:
        """Those of the deltas that are stored and laid aside."""
        with self._reading() as db:
            if db.execute(f"{_ASIDE} LIMIT 1").fetchone() is None:
                return ()
            found = self._history.find(db, digests(cids))
            aside = self._aside(db, [n for n, _ in found.values()])
            return {PREFIX + digest for digest, (n, _) in found.items() if n in aside}

    def _aside(self, db: sqlite3.Connection, numbers: Sequence[int]) -> set[int]:
        return {n for (n,) in in_list(db, f"{_ASIDE} AND n IN", numbers)}

    def winners(self, keys: Collection[str]) -> Mapping[str, Winner]:
        """The values of those of the keys that have one."""
        with self._mutex:
            known = self._known(keys)
        return {key: cached.winner for key, cached in known.items() if cached.winner is not None}

    def unheard_of(self, keys: Collection[str]) -> Collection[str]:
        """Those of the keys that certainly stand in no delta that is merged. Never waits: none while another thread uses the
        store."""
        release = self.reserve()
        if release is None:
            return ()
        try:
            return set(keys) - self._known(keys).keys()
        finally:
            release()

    def _known(self, keys: Collection[str]) -> dict[str, CachedKey]:
        """Those of the keys that are stored. With the lock held."""
        known = {key: cached for key in keys if (cached := self._cache.get(key)) is not None}
        others = [key for key in keys if key not in known and key not in self._cache.absent]
        if others:
            with self._reading() as db:
                known.update(self._look_up(db, others))
        return known

    def _look_up(self, db: sqlite3.Connection, keys: Collection[str]) -> dict[str, CachedKey]:
        """Read keys that are not cached, and cache them."""
        sql = "SELECT key, n, start, length, k FROM key_names JOIN keys USING (k) WHERE short IN"
        rows = in_list(db, sql, [short_key(key) for key in keys])
        found = {row.key: _winner(row) for row in self._history.values(db, [r[:-1] for r in rows if r[1] is not None])}
        wanted = set(keys)
        cached = {key: CachedKey(k, n, found.get(key)) for key, n, *_, k in rows if key in wanted}
        for key, each in cached.items():
            self._cache.put(key, each)
        self._cache.absent = frozenset(wanted - cached.keys())
        return cached

    def tombstoned(self, pairs: Collection[tuple[str, bytes]]) -> Collection[tuple[str, bytes]]:
        """Those of the (key, block) pairs that a tombstone removes."""
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
        """The blocks of at least this height with an element of a key that no tombstone removes."""
        with self._reading() as db:
            known = merging.key_numbers(db, [key])
            found = self._history.live(db, known[key][0]) if known else []
        return [each.cid for each in found if each.height >= least]

    def greatest(self, key: str, without: Set[bytes]) -> Winner | None:
        """The greatest element of a key that no tombstone removes and that is not in one of these blocks.

        There may be thousands, of which only the highest are read."""
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
        """Store a merge in one transaction; a `durable` one survives a power cut once this returns."""
        with self._mutex:
            with self._transaction(durable) as db:
                written = merging.write(db, self._history, self._cache, changes, self._tombstones)
                if self.projection is not None:
                    result = self.projection.follow(db, changes, written)
            self._blocks += sum(not row.known for row in changes.blocks)
            self._tombstones += written.tombstones
            self._cache.counters, self._cache.absent = written.counters, frozenset()
            self._cache.put_source(changes.via, written.source)
            for key, cached in written.keys.items():
                self._cache.put(key, cached)
        if self.projection is not None:
            self.projection.committed(changes, result)

    # Old history

    def pack(self, limit: int, keep: int = packing.KEEP_PLAIN) -> int:
        """Pack one slice of old history, about `limit` blocks, and return their number. To be called again until it is
        0.

        When nothing is due this reads a few rows, and shortens the log that a burst left. The lock is free during the
        compression."""
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
                    self._cache.counters = None  # packing has moved on
            made = [packing.make(members) for members in due]
            with self._transaction(durable=False) as db:
                packed = packing.write(db, made)
                packing.give_back(db)
            return packed

    def _shorten_log(self, db: sqlite3.Connection) -> None:
        log = Path(f"{self._path}-wal")
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            # Not while somebody reads: it would wait for them with the lock held. There will be another time.
            db.execute("PRAGMA busy_timeout = 0")
            try:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                db.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")

    # Reading for people and peers

    def elements(self, key: str) -> list[Element]:
        """Every version of a key, removed ones too, highest first."""
        with self._reading() as db:
            known = merging.key_numbers(db, [key])
            rows = self._history.elements(db, key, known[key][0]) if known else []
        found = [Element(PREFIX + r.digest, r.height, r.value, r.dead) for r in rows]
        return sorted(found, key=lambda each: (each.height, each.value, each.cid), reverse=True)

    def blocks(self, cids: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Those of the blocks that are stored, deltas and files, by requested CID, of which only the hash counts."""
        return {cid: data for cid, data in self._looked_up(cids, math.inf).items() if data is not None}

    def look_up(self, cids: Collection[bytes]) -> Mapping[bytes, bytes | None]:
        """The same, None for each that is not stored. Large blocks are read in turn up to `LOOKUP_BYTES`: those that are
        absent from the result, never all, were not reached."""
        return self._looked_up(cids, LOOKUP_BYTES)

    def _looked_up(self, cids: Collection[bytes], limit: float) -> dict[bytes, bytes | None]:
        by_digest: dict[bytes, list[bytes]] = {}
        for cid in cids:
            by_digest.setdefault(cid[-32:], []).append(cid)
        found: dict[bytes, bytes | None] = {}
        size = 0
        with self._reading() as db, closing(self._data(db, by_digest)) as stored:
            for digest, data in stored:
                found[digest] = data
                size += len(data)
                if size >= limit:
                    break
            else:
                found = dict.fromkeys(by_digest) | found
        return {cid: data for digest, data in found.items() for cid in by_digest[digest]}

    def _data(self, db: sqlite3.Connection, digests: Collection[bytes]) -> Generator[tuple[bytes, bytes]]:
        """The blocks with these digests that are stored, read one after the other: deltas, then files."""
        missing = set(digests)
        for digest, data in self._history.data(db, digests):
            missing.discard(digest)
            yield digest, data
        names = [prefix + digest for digest in missing for prefix in FILE_PREFIXES]
        for cid, data in each_in_list(db, "SELECT cid, data FROM files WHERE cid IN", names):
            yield cid[-32:], data

    def log(self, limit: int) -> list[LogRow]:
        """The deltas that were stored last, newest first."""
        with self._reading() as db:
            rows = self._history.newest(db, limit)
            peers = dict(in_list(db, "SELECT id, peer FROM sources WHERE id IN", list({row.via for _, row in rows})))
        return [LogRow(PREFIX + d, m.height, len(m.data), m.at / 1000, peers[m.via], m.data) for d, m in rows]

    def totals(self) -> Totals:
        """Counts for the status line, without scanning a table."""
        size = sum(path.stat().st_size for path in (self._path, Path(f"{self._path}-wal")) if path.exists())
        with self._reading() as db:
            packed = db.execute("SELECT blocks, groups, before, after FROM packing").fetchone()
        return Totals(self._blocks, self._tombstones, size, *packed)

    def used(self) -> int:
        """Number of bytes of the database that hold something: what packing has freed is used again before it grows."""
        with self._reading() as db:
            pages, free, size = (
                db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    # Small things that no merge depends on

    def put_files(self, files: Mapping[bytes, bytes]) -> None:
        """Store blocks of UnixFS files, durably."""
        with self._transaction(durable=True) as db:
            db.executemany("INSERT OR IGNORE INTO files VALUES (?, ?)", files.items())

    def peers(self) -> list[PeerRow]:
        """Peers worth dialling, the last seen first."""
        with self._reading() as db:
            rows = db.execute("SELECT * FROM peers ORDER BY last_seen DESC").fetchall()
        return [
            PeerRow(peer, tuple(json.loads(addrs)), seen, bool(reached), failures)
            for peer, addrs, seen, reached, failures in rows
        ]

    def change_peers(self, changed: Collection[PeerRow], forgotten: Collection[str] = ()) -> None:
        """Store peers, replacing what was known of them, and delete others by their ids."""
        with self._transaction(durable=False) as db:
            db.executemany("DELETE FROM peers WHERE peer = ?", [(peer,) for peer in forgotten])
            db.executemany(
                "INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?, ?)",
                [(p.peer_id, json.dumps(list(p.addrs)), p.last_seen, p.reached, p.failures) for p in changed],
            )

    def announced(self, now: float, max_age: float) -> Mapping[bytes, Collection[str]]:
        """Announced heads that had not come, oldest first, with the peers that announced them.

        `now` is Unix seconds. Deletes those older than `max_age` seconds, and those from the future: a clock was set
        back."""
        with self._transaction(durable=False) as db:
            db.execute("DELETE FROM announced WHERE at NOT BETWEEN ? AND ?", (now - max_age, now))
            rows = db.execute("SELECT digest, authors FROM announced ORDER BY at, digest").fetchall()
        return {PREFIX + digest: authors.split() for digest, authors in rows}

    def change_announced(self, named: Mapping[bytes, Collection[str]], gone: Collection[bytes], at: float) -> None:
        """Store announced heads with the peers that announced them, as of `at`, Unix seconds, and delete those `gone`.

        One that is stored already keeps its time and gets these authors."""
        rows = [(cid[4:], " ".join(sorted(authors)), at) for cid, authors in named.items()]
        with self._transaction(durable=False) as db:
            db.executemany("DELETE FROM announced WHERE digest = ?", [(cid[4:],) for cid in gone])
            db.executemany(
                "INSERT INTO announced VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET authors = excluded.authors",
                rows,
            )

    def own(self) -> Mapping[str, str]:
        """The documents of own listings, by key: what this peer intends to have published."""
        with self._reading() as db:
            return dict(db.execute("SELECT key, document FROM own ORDER BY key").fetchall())

    def put_own(self, documents: Mapping[str, str]) -> None:
        """Store documents of own listings, durably, in one transaction."""
        with self._transaction(durable=True) as db:
            merging.write_own(db, documents)

    def drop_own(self, keys: Collection[str]) -> None:
        """Delete documents of own listings, durably."""
        with self._transaction(durable=True) as db:
            db.executemany("DELETE FROM own WHERE key = ?", [(key,) for key in keys])

    def setting(self, name: str) -> str | None:
        """A stored setting, None if it was never stored."""
        with self._reading() as db:
            row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def put_setting(self, name: str, value: str) -> None:
        """Store a setting, durably."""
        with self._transaction(durable=True) as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def check(self) -> str:
        """Run SQLite's integrity check and read all packed blocks: "ok", or the first error. No search index is checked."""
        with self._reading() as db:
            said = integrity(db)
            return self._history.damage(db) or said if said == "ok" else said

    @contextmanager
    def transaction(self, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction on tables that are not the store's own. Raises StoreError."""
        with self._transaction(durable) as db:
            yield db

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
                self._cache.clear()
                with suppress(sqlite3.Error):  # closed meanwhile, or rolled back by SQLite itself
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(f"writing {self._path} failed: {error}; nothing was changed") from error
                raise


def _winner(row: Row) -> Winner:
    return Winner(row.height, row.value, PREFIX + row.digest)
