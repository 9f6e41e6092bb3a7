"""Files that are replaced as a whole: a reader sees either the old content or the new one."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from betar_tui.files.directories import sync_directory
from betar_tui.files.rules import PRIVATE, RefusedError, follow, judge_kind, judge_own


class Replacement:
    """New content for `path`, written to `file`; `commit` puts it in the place of the old.

    An existing file keeps its mode; a new one has `mode`, less the umask. A person's own link stays: what it leads to is
    replaced. Raises OSError; to be ended with `commit` or `discard`."""

    def __init__(self, path: Path, mode: int = PRIVATE) -> None:
        self._path, self._place = path, follow(path)
        self._old = self._judge()
        self._part = self._place.with_name(f".betar-tui-{os.urandom(8).hex()}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self.file: BinaryIO = os.fdopen(os.open(self._part, flags, mode), "wb")

    def _judge(self) -> os.stat_result | None:
        """What is to be replaced, if there is something."""
        try:
            found = os.lstat(self._place)
        except FileNotFoundError:
            return None
        judge_kind(self._path, found)
        judge_own(self._path, found)
        return found

    def commit(self) -> None:
        """Put the new content in its place, durably."""
        try:
            with self.file:
                self.file.flush()
                if self._old is not None:
                    with suppress(OSError):  # a group that this user is not in
                        os.fchown(self.file.fileno(), -1, self._old.st_gid)
                    os.fchmod(self.file.fileno(), stat.S_IMODE(self._old.st_mode))
                os.fsync(self.file.fileno())
            self._judge()  # again: it may have come meanwhile
            os.replace(self._part, self._place)
        except BaseException:
            self.discard()
            raise
        sync_directory(self._place.parent)

    def discard(self) -> None:
        """Leave the old content where it is; safe to call twice."""
        with suppress(OSError):  # the last bytes may not fit on the disk
            self.file.close()
        with suppress(OSError):
            os.unlink(self._part)


def replace(path: Path, content: bytes) -> None:
    """Replace a file, or make one for this user alone. Raises OSError."""
    new = Replacement(path)
    try:
        new.file.write(content)
    except BaseException:
        new.discard()
        raise
    new.commit()


def create_secret(path: Path, content: bytes) -> None:
    """Make a file that nobody else may read; one that is there is not replaced. Raises OSError."""
    if os.path.lexists(path):
        raise FileExistsError(f"{path} is there already")
    replace(path, content)
    if os.lstat(path).st_mode & 0o077:
        os.unlink(path)
        raise RefusedError(path, "its file system keeps no permissions", "choose a directory on another")


def rotate(path: Path, old: Path) -> None:
    """Rename a plain file of this user's; nothing but another one is replaced by that. Raises OSError."""
    for each in (path, old):
        with suppress(FileNotFoundError):
            found = os.lstat(each)
            judge_kind(each, found)
            judge_own(each, found)
    os.replace(path, old)
