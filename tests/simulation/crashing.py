"""A store whose process dies between two SQL statements, or in the middle of one."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from itertools import count, islice
from pathlib import Path
from typing import Any

from betar_tui.store.database import Store, open_store
from tests.simulation.memory import Crash


class CrashingConnection:
    """Passes everything on until `left` statements are done; then, and ever after, it raises `Crash`.

    What the process would have done on its way down, a ROLLBACK above all, does not happen.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.real = db
        self.left: int | None = None
        self.after = False
        self.done = 0
        self.dead = False

    @property
    def in_transaction(self) -> bool:
        return not self.dead and self.real.in_transaction

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        return self._run(lambda: self.real.execute(sql, parameters), lambda: None)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> sqlite3.Cursor:
        rows = list(parameters)
        return self._run(
            lambda: self.real.executemany(sql, rows),
            lambda: self.real.executemany(sql, islice(rows, len(rows) // 2)),
        )

    def close(self) -> None:
        self.real.close()

    def _run(self, whole: Callable[[], sqlite3.Cursor], part: Callable[[], object]) -> sqlite3.Cursor:
        if self.dead:
            raise Crash
        if self.left == self.done:
            self.dead = True
            (whole if self.after else part)()
            raise Crash
        self.done += 1
        return whole()


_numbers = count()


def new_path(folder: Path) -> Path:
    return folder / f"{os.getpid()}-{next(_numbers)}.db"


def open_crashing(path: Path) -> tuple[Store, CrashingConnection]:
    store = open_store(path)
    connection = CrashingConnection(store._db)
    store._db = connection  # type: ignore[assignment]
    return store, connection


def wreck(path: Path, connection: CrashingConnection) -> Path:
    """The files as the dead process left them, under another name; what was in its memory only is lost."""
    copy = new_path(path.parent)
    for suffix in ("", "-wal"):
        if Path(f"{path}{suffix}").exists():
            shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    discard(path, connection.real)
    return copy


def discard(path: Path, db: sqlite3.Connection | Store) -> None:
    db.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
