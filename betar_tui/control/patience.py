"""How long a client of the control socket waits, and what it says of a peer that does not answer.

A peer may work on an answer for long. So a client that has heard nothing for a while asks on a second connection whether
the peer is alive: one that is answers that at once, and one that is stopped or stuck does not."""

import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from betar_tui.control.wire import PING_CALL, line
from betar_tui.errors import ControlError, UnansweredError
from betar_tui.files.plain import read

ANSWER_WITHIN = 5.0
"""Seconds without a byte of the answer after which a client asks whether the peer is alive."""
ALIVE_WITHIN = 5.0
"""Seconds within which a peer that is alive takes a connection and answers that."""
RETRY = 0.05
"""Seconds until a connection is tried again where too many wait to be accepted."""
GIVE_UP_AFTER = 600.0
"""Seconds without a byte of the answer after which a client gives up although the peer is alive."""
ENDLESS = frozenset({"export_car", "import_car", "publish"})
"""The calls that may take longer than that: what they do grows with what they are given."""
PING = line({"jsonrpc": "2.0", "id": 0, "method": PING_CALL})
"""A call that is answered at once and asks nothing of the market. An older peer answers with an error, which is as good."""
_LOCAL_PEERPID = 2
"""Option of a Unix socket on macOS that tells the other side's process."""


def process_of(sock: Any) -> int:
    """The process that listens at the other side of a Unix socket, trio's or not; 0 where the system does not tell."""
    with suppress(OSError, AttributeError, struct.error):
        if sys.platform == "darwin":
            return int(sock.getsockopt(0, _LOCAL_PEERPID))
        return int(struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
    return 0


def holder_of(path: Path) -> int:
    """The process that holds the directory of a socket, as its lock says; 0 if it does not."""
    with suppress(OSError, ValueError):
        return int(read(path.parent / "lock", 32) or b"0")
    return 0


def silent(path: Path, pid: int) -> UnansweredError:
    """The error about a peer that does not answer."""
    who = f"process {pid}" if pid else "its process"
    if is_stopped(pid):
        return UnansweredError(
            f"the peer on {path.parent} does not answer: {who} is stopped; kill -CONT {pid} wakes it"
        )
    end = f"kill {pid}" if pid else "stop it"
    return UnansweredError(f"the peer on {path.parent}, {who}, does not answer; {end}, and start it again")


def too_slow(name: str, pid: int) -> ControlError:
    """The error about a peer that is alive and does not come to an end."""
    who = f", process {pid}," if pid else ""
    return ControlError(
        f"the peer{who} has not answered {name} for {GIVE_UP_AFTER / 60:.0f} minutes; its log may say why"
    )


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped, as by Ctrl+Z; False where the system does not tell."""
    with suppress(OSError):
        # Behind the name, which is in brackets and may have any letters in it.
        status = read(Path(f"/proc/{pid}/stat"), 4096).rpartition(b")")[2]
        return status.split()[:1] in ([b"T"], [b"t"])
    return False
