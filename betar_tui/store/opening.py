"""What can prevent a database from being opened, and what to do then. Nothing that is advised loses anything."""

import sqlite3
from pathlib import Path

from betar_tui.errors import StoreError
from betar_tui.files.directories import is_full
from betar_tui.files.plain import prepare_database
from betar_tui.files.rules import explain

_ADVICE = {
    sqlite3.SQLITE_FULL: "make room on the disk and try again",
    sqlite3.SQLITE_READONLY: "make it writable and try again",
    sqlite3.SQLITE_PERM: "make it readable and writable and try again",
    sqlite3.SQLITE_CANTOPEN: "check the directory's permissions and its disk",
    sqlite3.SQLITE_IOERR: "check the disk and try again",
    sqlite3.SQLITE_BUSY: "end the other program that uses it and try again",
    sqlite3.SQLITE_LOCKED: "end the other program that uses it and try again",
}
_DAMAGED = "move it away and restore a backup; without one, what other peers have comes back from them"
_MAY_BE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def prepare(path: Path) -> None:
    """Look at the files of the database, and make the first of them. Raises StoreError."""
    try:
        prepare_database(path)
    except OSError as error:
        raise StoreError(
            explain(error, f"cannot open {error.filename or path}", "check the directory's permissions")
        ) from error


def unusable(path: Path, error: sqlite3.Error) -> StoreError:
    """The error for a database that SQLite cannot open. It is called damaged only if the file itself is to blame."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _MAY_BE_FULL and is_full(path.parent):
        return StoreError(f"{path} cannot be used: the disk is full; make room on it and try again")
    return StoreError(f"{path} cannot be used: {error}; {_ADVICE.get(code, _DAMAGED)}")
