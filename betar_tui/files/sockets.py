"""Unix sockets that this user alone can connect to.

A socket is always at its own path, be that longer than the address of a socket may be: then it is reached by a shorter way
(`short_way`), which follows from the path alone."""

import hashlib
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from betar_tui.files.directories import prepare_directory
from betar_tui.files.ownership import is_trusted
from betar_tui.files.rules import MOVE_AWAY, RefusedError, judge_own, kind

MAX_ADDRESS = 100
"""Maximum bytes of the address of a Unix socket; Linux allows 107, macOS 103."""
_OPEN_FILES = Path("/proc/self/fd")
"""Where Linux has the open files of a process."""
_WAYS = Path("/tmp")
"""Where short ways are kept elsewhere; not in TMPDIR, which differs between shells."""


@contextmanager
def short_way(path: Path) -> Iterator[str]:
    """A path to a socket that is short enough for an address, valid meanwhile. Raises OSError."""
    if len(os.fsencode(path)) <= MAX_ADDRESS:
        yield os.fspath(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        way = _OPEN_FILES / str(directory)
        yield os.fspath((way if way.exists() else _linked(path.parent)) / path.name)
    finally:
        os.close(directory)


def _linked(directory: Path) -> Path:
    """A link to a directory with a short name, made by each process anew: what cleans /tmp may have removed it."""
    place = _WAYS / f"betar-tui-{os.getuid()}"
    prepare_directory(place)
    link = place / hashlib.sha256(os.fsencode(directory)).hexdigest()[:24]
    part = place / f"{link.name}.{os.getpid()}"
    if not (link.is_symlink() and link.readlink() == directory):
        os.symlink(directory, part)
        os.replace(part, link)
    return link


def connect_socket(sock: socket.socket, path: Path) -> None:
    """Connect to the socket at a path. Raises OSError."""
    with short_way(path) as way:
        sock.connect(way)


def is_trusted_socket(path: Path) -> bool:
    """Whether a socket of this user or root is there: what another has put in its place would be told everything."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and is_trusted(found.st_uid)


def bind_socket(sock: socket.socket, path: Path) -> None:
    """Bind a socket to a path in a private directory. One that was left there is replaced. Raises OSError."""
    prepare_directory(path.parent)
    remove_socket(path)
    old = os.umask(0o177)
    try:
        with short_way(path) as way:
            sock.bind(way)
    finally:
        os.umask(old)


def remove_socket(path: Path) -> None:
    """Remove a socket of this user's, if there is one; nothing else is removed. Raises OSError."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise RefusedError(path, f"it is {kind(found)}, not a socket", MOVE_AWAY)
    judge_own(path, found)
    os.unlink(path)
