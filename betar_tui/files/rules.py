"""What is refused, and why. Nothing is opened or changed here."""

import errno
import os
import re
import shlex
import stat
from pathlib import Path
from typing import NoReturn

from betar_tui.files.ownership import access_list, is_open_to_others, is_trusted, other_writers, user_name

PRIVATE = 0o600
"""The mode of new files."""
OTHER_NAME, MOVE_AWAY = "choose another", "move it away"
"""What to do about what is in the way: a person has named it, or it is in the data directory, where names are given."""
_OWN_DIRECTORY = "use a directory that only you can write to"
_MAX_LINKS = 40
"""Maximum links from one to the next, as on Linux."""
_STREAM = re.compile(r"/dev/(?:stdin|stdout|stderr|fd/(\d{1,9}))|/proc/self/fd/(\d{1,9})")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a fifo",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFREG: "a file",
    stat.S_IFLNK: "a link",
}
_CAUSES = {
    errno.ENOSPC: ("the disk is full", "make room on it and try again"),
    errno.EDQUOT: ("your share of the disk is used up", "make room on it and try again"),
    errno.EROFS: ("the file system is read-only", "choose a place that can be written to"),
}


class RefusedError(OSError):
    """A file or directory that is left alone. `strerror` says why, and `advice` what mends it."""

    def __init__(self, path: Path, reason: str, advice: str) -> None:
        super().__init__(errno.EPERM, reason, os.fspath(path))
        self.advice = advice


def explain(error: OSError, what: str, otherwise: str) -> str:
    """A sentence on what failed, as "cannot read x": the cause, and what to do, which is `otherwise` if nothing is known."""
    if isinstance(error, RefusedError):
        return f"{what}: {error.strerror}; {error.advice}"
    cause, advice = _CAUSES.get(error.errno or 0, (error.strerror or str(error), otherwise))
    return f"{what}: {cause}; {advice}"


def command(words: str, path: Path) -> str:
    """A shell command about a path."""
    return f"{words} {shlex.quote(os.fspath(path))}"


def follow(path: Path) -> Path:
    """Where the links at the end of a path lead, each of which is judged; the path itself where nothing is there.

    Raises OSError, also where the last link leads to nothing."""
    place = path
    for _ in range(_MAX_LINKS):
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            if place == path:
                return place
            if os.path.exists(path):  # a stream of a process, whose link names no place
                judge_kind(path, os.stat(path))
            raise RefusedError(path, f"it is a link to {place}, where nothing is", "mend the link") from None
        if not stat.S_ISLNK(found.st_mode):
            return place
        if not is_trusted(found.st_uid) or is_open_to_others(os.stat(place.parent), access_list(place.parent)):
            _refuse_link(path, found)
        place = place.parent / os.readlink(place)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))


def _refuse_link(path: Path, found: os.stat_result) -> NoReturn:
    whose = "" if is_trusted(found.st_uid) else f" of {user_name(found.st_uid)}"
    raise RefusedError(path, f"it is a link{whose} in a directory that others may write to", _OWN_DIRECTORY)


def judge_kind(path: Path, found: os.stat_result, advice: str = OTHER_NAME) -> None:
    """Refuse what is not a plain file."""
    if not stat.S_ISREG(found.st_mode):
        raise RefusedError(path, f"it is {kind(found)}, not a regular file", advice)


def judge_owner(path: Path, found: os.stat_result) -> None:
    """Refuse what belongs neither to this user nor to root."""
    if not is_trusted(found.st_uid):
        owner = user_name(found.st_uid)
        raise RefusedError(path, f"it belongs to {owner}", f"{MOVE_AWAY}, or run betar-tui as {owner}")


def judge_own(path: Path, found: os.stat_result) -> None:
    """Refuse to replace or to remove what is not this user's, be it root's."""
    if found.st_uid != os.geteuid():
        raise RefusedError(path, f"it belongs to {user_name(found.st_uid)}", f"{OTHER_NAME}, or move it away")


def judge_written(path: Path, found: os.stat_result) -> None:
    """Refuse a file that somebody else can write to."""
    judge_owner(path, found)
    closed = not os.stat(follow(path).parent).st_mode & 0o011
    if not closed and (others := other_writers(found, access_list(follow(path)))):
        raise RefusedError(path, f"{others} may write to it", f"make it private: {command('chmod go-w', path)}")


def judge_access(path: Path) -> None:
    """Say whose a file is that cannot be opened, if it is another user's: a command that ran as root may have made it."""
    try:
        found = os.stat(path)
    except OSError:
        return  # the directory is to blame
    if found.st_uid != os.geteuid():
        advice = f"make it yours: {command('sudo chown $USER', path)}"
        raise RefusedError(path, f"it belongs to {user_name(found.st_uid)}", advice)


def judge_single(path: Path, found: os.stat_result) -> None:
    """Refuse to write into a file that has a second name: where others can make one, it may be any file of this user's."""
    if found.st_nlink > 1:
        raise RefusedError(path, "it is a second name (hard link) of another file", MOVE_AWAY)


def given_stream(path: Path) -> int | None:
    """The file descriptor of this process that a path such as /dev/stdin stands for."""
    found = _STREAM.fullmatch(os.fspath(path))
    if not found:
        return None
    return int(found[1] or found[2]) if found[1] or found[2] else _STANDARD[found[0]]


def kind(found: os.stat_result) -> str:
    """What a file is, in words."""
    return _KINDS.get(stat.S_IFMT(found.st_mode), "something else")


def size(limit: int) -> str:
    """A number of bytes, in words."""
    return f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB" if limit >= 1 << 10 else f"{limit} bytes"
