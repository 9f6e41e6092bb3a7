"""One running peer per data directory, by an advisory lock that the kernel drops when its holder dies."""

import contextlib
import fcntl
import os
from pathlib import Path

from betar_tui.errors import StoreError, StoreLockedError
from betar_tui.files.plain import open_lock
from betar_tui.files.rules import explain


class DirectoryLock:
    """Holds `<directory>/lock`, which contains the holder's pid, from `acquire` to `release`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock without waiting. Raises StoreLockedError with the holder's pid, or StoreError."""
        try:
            fd = open_lock(self._path)
        except OSError as error:
            raise StoreError(
                explain(error, f"cannot open {self._path}", "check the directory's permissions")
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = _pid(os.read(fd, 32))
            os.close(fd)
            holder = f"process {pid}" if pid else "another process"
            raise StoreLockedError(
                f"{self._path.parent} is in use by {holder}; stop it or choose another --data-dir", pid
            ) from error
        except OSError as error:
            os.close(fd)
            raise StoreError(
                f"cannot lock {self._path}: {error.strerror}; choose a --data-dir on a local disk"
            ) from error
        self._fd = fd
        with contextlib.suppress(OSError):  # a full disk: the pid only says who holds it
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Release the lock, if it was acquired."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def _pid(raw: bytes) -> int:
    text = raw.strip()
    return int(text) if text.isdigit() else 0
