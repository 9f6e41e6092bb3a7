"""The metadata files that listings of Go betar's dialect point at: which are here, which are missing, and when to ask for
those. All in the database: a market may point at as many as it has listings."""

import sqlite3
from collections.abc import Callable, Collection, Mapping

from betar_tui.catalogue.schema import ALL_LOOKED_AT
from betar_tui.ipld import cid as cids
from betar_tui.ipld import unixfs
from betar_tui.store.database import Store
from betar_tui.store.sql import FILE_PREFIXES, in_list


def stored_file(db: sqlite3.Connection, cid: bytes) -> bytes | None:
    """The block of a metadata file that is stored, found by its hash as the store finds it."""
    names = [prefix + cid[-32:] for prefix in FILE_PREFIXES]
    row = db.execute("SELECT data FROM files WHERE cid IN (?, ?, ?) LIMIT 1", names).fetchone()
    return row[0] if row is not None else None


class MissingFiles:
    """The metadata files that listings point at and that are not here. Times are Unix seconds. Any thread may call.

    `on_queued` is told how many listings are queued since their file has come."""

    def __init__(self, store: Store, on_queued: Callable[[int], None]) -> None:
        self._store = store
        self._on_queued = on_queued

    def due(self, now: float, latest: float, limit: int) -> list[bytes]:
        """The first `limit` files to ask for, those that are due longest first.

        One that is due later than `latest` is due as well: a clock was set back."""
        sql = (
            "SELECT metadata FROM (SELECT metadata, due FROM undescribed WHERE due <= ? ORDER BY due LIMIT ?)"
            " UNION ALL SELECT metadata FROM (SELECT metadata FROM undescribed WHERE due > ? ORDER BY due LIMIT ?)"
        )
        with self._store.readers.reading() as (db, _):
            rows = db.execute(sql, (_ms(now), limit, _ms(latest), limit)).fetchall()
        return [cid for (text,) in rows[:limit] if (cid := unixfs.parse_cid(text)) is not None]

    def lacks(self, cid: bytes) -> bool:
        """Whether a listing points at this file, and it is missing."""
        text = cids.to_str(cid)
        sql = (
            "SELECT EXISTS (SELECT 1 FROM undescribed WHERE metadata = ?)"
            " AND EXISTS (SELECT 1 FROM listings WHERE metadata = ?)"
        )
        with self._store.readers.reading() as (db, _):
            return bool(db.execute(sql, (text, text)).fetchone()[0])

    def pointed_at(self, wanted: Collection[bytes]) -> set[bytes]:
        """Those of the files that listings point at."""
        texts = {cids.to_str(cid): cid for cid in wanted}
        with self._store.readers.reading() as (db, _):
            rows = in_list(db, "SELECT DISTINCT metadata FROM listings WHERE metadata IN", list(texts))
        return {texts[text] for (text,) in rows}

    def postpone(self, late: Collection[bytes], until: float) -> None:
        """Ask for these again later."""
        with self._store.transaction() as db:
            db.executemany(
                "UPDATE undescribed SET due = ? WHERE metadata = ?", [(_ms(until), cids.to_str(c)) for c in late]
            )

    def give_up(self, useless: Collection[bytes]) -> None:
        """Do not ask for these again: nothing points at them, or the blocks of their CIDs are not metadata."""
        with self._store.transaction() as db:
            db.executemany("DELETE FROM undescribed WHERE metadata = ?", [(cids.to_str(cid),) for cid in useless])

    def forget_unused(self, wanted: Collection[bytes]) -> set[bytes]:
        """Those of the files that no listing points at any more; they are not asked for again."""
        unused = set()
        with self._store.transaction() as db:
            for cid in wanted:
                text = cids.to_str(cid)
                if db.execute("SELECT 1 FROM listings WHERE metadata = ? LIMIT 1", (text,)).fetchone() is None:
                    db.execute("DELETE FROM undescribed WHERE metadata = ?", (text,))
                    unused.add(cid)
        return unused

    def put(self, files: Mapping[bytes, bytes]) -> None:
        """Store files, durably, and queue the listings that point at them."""
        with self._store.transaction(durable=True) as db:
            db.executemany("INSERT OR IGNORE INTO files VALUES (?, ?)", files.items())
            queued = _queue(db, files)
        self._on_queued(queued)

    def describe(self, here: Collection[bytes]) -> None:
        """Queue the listings that point at files which are stored already."""
        with self._store.transaction() as db:
            queued = _queue(db, here)
        self._on_queued(queued)


def _queue(db: sqlite3.Connection, here: Collection[bytes]) -> int:
    """Queue the listings that point at these files; returns how many."""
    queued = 0
    for text in map(cids.to_str, here):
        db.execute("DELETE FROM undescribed WHERE metadata = ?", (text,))
        sql = (
            "INSERT OR IGNORE INTO unprojected (k, height, since, turn)"
            " SELECT k, 0, ?, random() FROM listings WHERE metadata = ?"
        )
        queued += db.execute(sql, (ALL_LOOKED_AT, text)).rowcount
    return queued


def _ms(seconds: float) -> int:
    return int(min(max(seconds, 0.0), 1e15) * 1000)
