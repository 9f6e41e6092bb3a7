"""Commands in a terminal of a given width, as a person sees them."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from typing import NamedTuple

PROGRAM = (sys.executable, "-m", "betar_tui")
TIMEOUT = 60.0


class Shown(NamedTuple):
    """What a command has left on the terminal, and its exit code."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines as they were printed, without their ends."""
        return self.text.replace("\r\n", "\n").split("\n")


def in_terminal(*arguments: str, columns: int = 80, env: Mapping[str, str] | None = None, typed: bytes = b"") -> Shown:
    """Run a command whose stdin, stdout and stderr are one terminal, at which something was `typed` before."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([*PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    finally:
        os.close(theirs)
    os.write(ours, typed)
    with os.fdopen(ours, "rb", buffering=0) as screen:
        shown = _read(screen.fileno())
    return Shown(process.wait(TIMEOUT), shown.decode(errors="replace"))


def _read(screen: int) -> bytes:
    """All that is printed until the last process has closed the terminal."""
    parts = []
    while True:
        try:
            part = os.read(screen, 1 << 16)
        except OSError:  # how Linux says that
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)
