"""Connections that only read: what they read neither waits for a merge nor holds one up (SQLite's WAL).

Each is used by one caller at a time; a caller that finds none free opens another, and a few are kept open."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from betar_tui.errors import StoreError
from betar_tui.store.history import History

KEPT = 2
"""Maximum connections that are kept open while nobody uses them."""
_CACHE = 2048
"""Maximum KiB of pages that each of them caches."""


class Reader(NamedTuple):
    """One connection, and what reads values through it."""

    db: sqlite3.Connection
    history: History


class Readers:
    """The reading connections of one database. Any thread may call. `prepare` is called with each new connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: list[Reader] = []
        self._mutex = threading.Lock()
        self._closed = False
        self.prepare: Callable[[sqlite3.Connection], object] = lambda db: None

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """A reader that sees the database as it is now, until the end of the block. Raises StoreError."""
        try:
            reader = self._take()
            try:
                reader.db.execute("BEGIN")
                yield reader
            finally:
                with suppress(sqlite3.Error):
                    if reader.db.in_transaction:
                        reader.db.execute("ROLLBACK")
                self._give_back(reader)
        except sqlite3.Error as error:
            raise StoreError(f"reading {self._path} failed: {error}; run betar-tui doctor") from error

    def close(self) -> None:
        """Close them; safe to call twice. One that is in use is closed by its user."""
        with self._mutex:
            self._closed = True
            free, self._free = self._free, []
        for reader in free:
            reader.db.close()

    def _take(self) -> Reader:
        with self._mutex:
            if self._closed:
                raise StoreError(f"{self._path} is closed; this peer has stopped")
            if self._free:
                return self._free.pop()
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        db.execute(f"PRAGMA cache_size = -{_CACHE}")
        self.prepare(db)
        db.execute("PRAGMA query_only = 1")
        return Reader(db, History())

    def _give_back(self, reader: Reader) -> None:
        with self._mutex:
            if not self._closed and len(self._free) < KEPT:
                self._free.append(reader)
                return
        reader.db.close()
