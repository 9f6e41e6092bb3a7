"""Open files that one process hands to another over a Unix socket: each opens its own, with its own rights."""

import array
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from betar_tui.files.rules import OTHER_NAME, RefusedError, kind

MAX_PASSED = 1
"""Maximum files that come with one message."""
_SIZE = array.array("i").itemsize
SPACE = socket.CMSG_SPACE(MAX_PASSED * _SIZE)
"""Bytes that a receiver sets aside for them."""
FLAGS: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
"""How they are received: no program that is started inherits them."""


def ancillary(descriptor: int) -> list[tuple[int, int, bytes]]:
    """What sends a file along with a message, for `sendmsg`."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]).tobytes())]


def received(messages: list[tuple[int, int, bytes]]) -> list[int]:
    """The file descriptors that came, of `recvmsg`; the receiver has to close them."""
    found: list[int] = []
    for level, what, data in messages:
        if (level, what) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found += array.array("i", data[: len(data) - len(data) % _SIZE])
    return found


def open_stream(descriptor: int) -> BinaryIO:
    """A stream of this process, as stdin, to read; it stays open when this is closed. Raises OSError."""
    return os.fdopen(os.dup(descriptor), "rb")


def open_passed(descriptor: int, *, writing: bool = False) -> BinaryIO:
    """A plain file that was handed over, from its beginning, to read it or to write it. The descriptor stays open. Raises
    OSError."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise RefusedError(Path(f"/dev/fd/{descriptor}"), f"it is {kind(found)}, not a regular file", OTHER_NAME)
    file: BinaryIO = os.fdopen(os.dup(descriptor), "wb") if writing else os.fdopen(os.dup(descriptor), "rb")
    file.seek(0)
    return file


def nameless(directory: Path) -> BinaryIO:
    """A new file in a directory that is gone when it is closed. Raises OSError."""
    return tempfile.TemporaryFile(dir=directory)
