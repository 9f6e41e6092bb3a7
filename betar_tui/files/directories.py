"""Directories: made for this user alone, judged, locked."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from betar_tui.files.ownership import access_list, is_open_to_others, is_trusted, other_writers, user_name
from betar_tui.files.rules import RefusedError, command, follow, kind

_ROOM = 64 << 10
"""Bytes below which a disk counts as full."""


def prepare_directory(path: Path) -> None:
    """Make a directory for this user alone, and those above it, or judge the one that is there. Raises OSError."""
    place = follow(path)
    missing: list[Path] = []
    while not place.exists():
        missing.append(place)
        place = place.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    judge_directory(path)


def judge_directory(path: Path) -> None:
    """Refuse a directory that belongs to another user, in which others can replace files, or that cannot be written to.

    Raises OSError."""
    found = os.stat(follow(path))
    if not stat.S_ISDIR(found.st_mode):
        raise RefusedError(path, f"it is {kind(found)}, not a directory", "choose another")
    if not is_trusted(found.st_uid):
        owner = user_name(found.st_uid)
        raise RefusedError(path, f"it belongs to {owner}", f"choose another, or run betar-tui as {owner}")
    own = found.st_uid == os.geteuid()
    access = access_list(follow(path))
    if is_open_to_others(found, access):
        advice = f"choose one of your own, as {path / 'betar-tui'}"
        if own:
            advice = f"make it private: {command('chmod go-w', path)}"
        raise RefusedError(path, f"{other_writers(found, access)} may write to it", advice)
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fspath(path))
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        if own:
            raise RefusedError(path, "you may not write to it", f"allow it: {command('chmod u+rwx', path)}")
        raise RefusedError(
            path, f"it belongs to {user_name(found.st_uid)}, and you may not write to it", "choose another"
        )


@contextmanager
def locked_directory(path: Path, patience: float) -> Iterator[None]:
    """Hold a lock of a directory that others wait for, or, after `patience` seconds, go on without it. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Without a lock, on a file system that has none or after the timeout, saving is still better than failing.
        with suppress(OSError):
            deadline = time.monotonic() + patience
            while not _try_lock(fd) and time.monotonic() < deadline:
                time.sleep(0.01)
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync_directory(path: Path) -> None:
    """Make what was renamed in a directory durable: else a power cut may undo it."""
    with suppress(OSError):  # not supported by every file system
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def is_full(path: Path) -> bool:
    """Whether the disk of a directory is full, or nearly."""
    try:
        found = os.statvfs(path)
    except OSError:
        return False
    return found.f_blocks > 0 and found.f_bavail * found.f_frsize < _ROOM
