"""How a program that runs until it is told to stop is told so: by a signal, or because its terminal is gone.

The first reason counts: everything is closed in order, and the exit code is 128 and the number of the signal, as a shell
has it. What does not close in time is abandoned; before that the rescues run, such as the one that restores the terminal.
A second SIGINT, which is a person's, shortens that time."""

import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import trio

PATIENCE, IMPATIENCE = 4.0, 1.0
"""Seconds that closing may take: after the first reason, and from a second SIGINT on."""
TERMINAL_GONE = 128 + signal.SIGHUP
"""The exit code where the terminal is gone, as that of the signal that says so."""
_LEAVE, _HURRY = b"l", b"h"


class Leaving:
    """Whether, and why, the program is to end. `asked` is set by the first reason, whose exit code `code` is then.

    `patience` is in seconds, see `PATIENCE`."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.asked = trio.Event()
        self.code: int | None = None
        self._patience = patience
        self._rescues: list[Callable[[], object]] = []
        self._watchdog: int | None = None

    def ask(self, code: int) -> None:
        """End the program, for this reason if it is the first. To be called in the thread of trio."""
        if self.note(code):
            self.asked.set()

    def note(self, code: int) -> bool:
        """Begin the time in which the program has to end; whether this reason is the first. Safe in a signal handler."""
        if self.code is not None:
            return False
        self.code = code
        self._tell(_LEAVE)
        return True

    def hurry(self) -> None:
        """Shorten that time. Safe in a signal handler."""
        self._tell(_HURRY)

    def rescue(self, act: Callable[[], object]) -> None:
        """Have this done if the program is abandoned. It runs in another thread and must not wait; what was added last runs
        first, so that a disk that hangs does not keep the terminal from being restored."""
        self._rescues.append(act)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Abandon the program if it does not leave this block in time."""
        # A thread that waits already: one cannot be started in a signal handler, nor by a thread that waits itself.
        watching, self._watchdog = os.pipe()
        threading.Thread(target=self._watch, args=(watching,), name="leaving", daemon=True).start()
        try:
            yield
        finally:
            end, self._watchdog = self._watchdog, None
            os.close(end)

    def _tell(self, what: bytes) -> None:
        if self._watchdog is not None:
            os.write(self._watchdog, what)

    def _watch(self, watching: int) -> None:
        deadline = math.inf
        while True:
            left = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
            if not select.select([watching], [], [], left)[0]:
                self._abandon()
            told = os.read(watching, 1)
            if not told:
                os.close(watching)
                return
            deadline = min(deadline, time.monotonic() + (self._patience if told == _LEAVE else IMPATIENCE))

    def _abandon(self) -> None:
        for act in reversed(self._rescues):
            with suppress(Exception):  # the next one is still to run
                act()
        os._exit(self.code or 0)


@contextmanager
def leave_on_signals(leaving: Leaving, code: Callable[[int], int] = lambda number: 128 + number) -> Iterator[None]:
    """Leave at SIGINT, SIGTERM and SIGHUP, unless the last is ignored, as under nohup. For the main thread, in trio.

    `code` gives the exit code for the number of a signal."""
    token = trio.lowlevel.current_trio_token()

    def handle(number: int, frame: FrameType | None) -> None:
        if leaving.note(code(number)):
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(leaving.asked.set, idempotent=True)
        elif number == signal.SIGINT:
            leaving.hurry()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    with leaving.watched():
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
