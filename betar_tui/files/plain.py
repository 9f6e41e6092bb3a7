"""Plain files: read, appended to, locked, looked at before SQLite opens them."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from betar_tui.files.ownership import access_list, is_shared
from betar_tui.files.rules import (
    MOVE_AWAY,
    OTHER_NAME,
    PRIVATE,
    RefusedError,
    command,
    follow,
    given_stream,
    judge_access,
    judge_kind,
    judge_owner,
    judge_single,
    judge_written,
    size,
)

_DATABASE_SUFFIXES = ("", "-journal", "-wal", "-shm")
"""What SQLite appends to the name of a database."""


def open_plain(path: Path) -> BinaryIO:
    """Open a plain file, anybody's, to read it. Raises OSError."""
    return os.fdopen(_open(path, os.O_RDONLY, OTHER_NAME), "rb")


def read(path: Path, limit: int) -> bytes:
    """The content of a plain file of at most `limit` bytes, or of /dev/stdin and the like, which a shell makes of `<(…)`.

    Raises OSError."""
    given = given_stream(path)
    with open_plain(path) if given is None else os.fdopen(os.dup(given), "rb") as file:
        return _read(path, file, limit, OTHER_NAME)


def read_own(path: Path, limit: int) -> bytes:
    """The content of a plain file that nobody but this user and root can have written. Raises OSError."""
    with os.fdopen(_open(path, os.O_RDONLY, MOVE_AWAY), "rb") as file:
        judge_written(path, os.fstat(file.fileno()))
        return _read(path, file, limit, MOVE_AWAY)


def read_secret(path: Path, limit: int) -> bytes:
    """The content of a plain file that nobody else may read or write. Raises OSError."""
    with os.fdopen(_open(path, os.O_RDONLY, MOVE_AWAY), "rb") as file:
        found = os.fstat(file.fileno())
        judge_owner(path, found)
        if found.st_mode & 0o077:
            who = "everybody" if found.st_mode & 0o007 else "its group"
            may = "read" if found.st_mode & 0o044 else "use"
            raise RefusedError(path, f"{who} may {may} it", f"make it private: {command('chmod 600', path)}")
        return _read(path, file, limit, MOVE_AWAY)


def _read(path: Path, file: BinaryIO, limit: int, advice: str) -> bytes:
    content = file.read(limit + 1)
    if len(content) > limit:
        raise RefusedError(path, f"it is larger than {size(limit)}", advice)
    return content


def open_append(path: Path) -> BinaryIO:
    """Open a log to append to it, and make it if it is not there: a plain file, a device as /dev/null, or /dev/stderr.

    Raises OSError."""
    given = given_stream(path)
    if given is None:
        return os.fdopen(_open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, OTHER_NAME, devices=True), "ab")
    return os.fdopen(os.dup(given), "ab")


def open_lock(path: Path) -> int:
    """Open a file of this user's to lock it and to write to it, and make it if it is not there.

    Returns a file descriptor. Raises OSError."""
    fd = _open(path, os.O_RDWR | os.O_CREAT, MOVE_AWAY)
    try:
        judge_single(path, os.fstat(fd))  # its content is replaced
    except BaseException:
        os.close(fd)
        raise
    return fd


def prepare_database(path: Path) -> None:
    """Look at the files of a SQLite database, which opens them by their names, and make the first. Raises OSError."""
    place = follow(path)
    for each in (place.with_name(place.name + suffix) for suffix in _DATABASE_SUFFIXES):
        with suppress(FileNotFoundError):
            found = os.lstat(each)
            judge_kind(each, found, MOVE_AWAY)
            judge_written(each, found)
            if not os.access(each, os.R_OK | os.W_OK):
                judge_access(each)
    with suppress(FileExistsError):
        os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE))


def _open(path: Path, flags: int, advice: str, *, devices: bool = False) -> int:
    """Open a plain file, with `devices` also a character device; a new file is for this user alone.

    What is not to be opened is found out without opening it: that alone may block, or set a device going."""
    place = follow(path)
    writing = flags & os.O_ACCMODE != os.O_RDONLY
    try:
        _judge(path, os.lstat(place), writing, devices, advice)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    # What may have come into its place meanwhile is neither followed nor waited for.
    try:
        fd = os.open(place, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, PRIVATE)
    except PermissionError:
        judge_access(path)
        raise
    try:
        _judge(path, os.fstat(fd), writing, devices, advice)
        os.set_blocking(fd, True)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _judge(path: Path, found: os.stat_result, writing: bool, devices: bool, advice: str) -> None:
    if devices and stat.S_ISCHR(found.st_mode):
        return
    judge_kind(path, found, advice)
    if writing:
        judge_written(path, found)
        parent = follow(path).parent
        if is_shared(os.stat(parent), access_list(parent)):
            judge_single(path, found)
