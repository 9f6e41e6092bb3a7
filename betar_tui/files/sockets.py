"""Unix sockets that this user alone can connect to."""

import os
import socket
import stat
from pathlib import Path

from betar_tui.files.directories import prepare_directory
from betar_tui.files.ownership import is_trusted
from betar_tui.files.rules import MOVE_AWAY, RefusedError, judge_own, kind


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
        sock.bind(os.fspath(path))
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
