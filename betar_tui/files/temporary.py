"""A temporary directory that nothing leaves behind: not even a process that is killed, for then the next one removes it.

The process that uses the directory holds a lock in it. A directory whose lock is free is a leftover."""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from betar_tui.files.plain import open_lock

_LOCK, _MAKING = "in-use", "in-use.new"


@contextmanager
def temporary_directory(prefix: str) -> Iterator[tuple[Path, int]]:
    """A new directory for this user alone, with the file descriptor of its lock, for children to hold as well.

    What killed processes have left with that prefix is removed first. Raises OSError."""
    parent = Path(tempfile.gettempdir())
    for each in parent.glob(f"{prefix}*"):
        remove_leftover(each)
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        # It has its name only when it is held: nobody may take the directory for a leftover meanwhile.
        lock = open_lock(path / _MAKING)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.rename(path / _MAKING, path / _LOCK)
            yield path, lock
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove_leftover(path: Path) -> None:
    """Remove a directory that `temporary_directory` has made and no process uses any more; nothing else."""
    with suppress(OSError):  # it is another user's, or being removed by another process
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or not os.path.lexists(path / _LOCK):
            return
        lock = open_lock(path / _LOCK)
        try:
            if _is_free(lock):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)


def _is_free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True
