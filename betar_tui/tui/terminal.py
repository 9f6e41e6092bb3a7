"""The terminal, as it is left, stopped and lost: Textual's driver for it, with what that does not do.

- A terminal that is gone, as a closed window, ends the app: Textual's threads would read nothing again and again, and
  its event loop would wait for ever to write.
- SIGTSTP and SIGCONT are dealt with in the event loop. Textual does so in the signal handler, where it finds no loop, and
  after a SIGSTOP it would read the keys twice.
- `restore` gives the terminal back when nothing else can be done any more."""

import asyncio
import errno
import os
import select
import selectors
import signal
import sys
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

_POLL = 0.1
"""Seconds between two looks of the thread that reads keys whether it is to end."""
_BUFFER = 1 << 13
"""Bytes of output that wait for the next flush."""
_GONE = frozenset((errno.EIO, errno.ENXIO, errno.EBADF))
"""The errors of a terminal that is gone; with any other one it may be read again."""
_TO_STOP = 0.5
"""Seconds after which a process that was to be stopped is known not to be: no shell would let it go on."""
_RESTORE = b"\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000;1003;1015;1006;1016l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
"""What takes back all that Textual tells a terminal: pasting, wrapping, sizes, mouse, keys, screen, cursor, focus."""


class Output:
    """What is written to a terminal: `gone` is called, in the thread that writes, when it takes nothing any more."""

    def __init__(self, file: TextIO, gone: Callable[[], None]) -> None:
        self._file, self._gone = file, gone
        self._waiting = bytearray()
        self._lost = False

    def write(self, text: str) -> None:
        """Write with the next flush, or now if much waits; nothing if the terminal is gone."""
        if not self._lost:
            self._waiting += text.encode(self._file.encoding, self._file.errors or "strict")
            if len(self._waiting) >= _BUFFER:
                self.flush()

    def flush(self) -> None:
        """Write what waits, unless the terminal is gone."""
        while self._waiting and not self._lost:
            try:
                # The file's own buffers would lose what a terminal did not take at once.
                del self._waiting[: os.write(self.fileno(), self._waiting)]
            except BlockingIOError:  # another program has set the terminal so
                os.set_blocking(self.fileno(), True)
            except OSError:
                self._lost = True
                self._waiting.clear()
                self._gone()

    def fileno(self) -> int:
        """The file descriptor."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._file.isatty()


class TerminalDriver(LinuxDriver):
    """The driver of the real program; the app is a `TerminalApp`."""

    _app: Any

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self._loop = asyncio.get_running_loop()
        self._file: Any = Output(sys.__stderr__, self._gone)  # type: ignore[arg-type]
        self._shown = self._suspended = self._continued = False
        signal.signal(signal.SIGTSTP, lambda *_: self._soon(self._stop_alone))
        signal.signal(signal.SIGCONT, lambda *_: self._go_on())

    def _get_terminal_size(self) -> tuple[int, int]:
        # Of a terminal that does not know its size Rich and Textual think differently: the app would be drawn for ever.
        size = self._app.console.size
        return size.width, size.height

    def start_application_mode(self) -> None:
        self._comes_to_front()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        # Textual does nothing if the program is sent to the background just then.
        self._shown = self._writer_thread is not None and self._writer_thread.is_alive()

    def stop_application_mode(self) -> None:
        self._shown = False
        super().stop_application_mode()

    def close(self) -> None:
        """Textual leaves its handlers in force, for an event loop that ends."""
        super().close()
        if not self._suspended:
            for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH):
                signal.signal(number, signal.SIG_DFL)

    def restore(self) -> None:
        """Give the terminal back, from any thread, without waiting for it or for Textual."""
        if not self._shown:
            return
        if self.attrs_before is not None:
            with suppress(termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
        with suppress(OSError):
            if select.select([], [self._file], [], 0)[1]:
                os.write(self._file.fileno(), _RESTORE)

    # A terminal that is gone

    def run_input_thread(self) -> None:
        """Read keys until the app ends, or the terminal."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(_POLL):
                    data = self._read()
                    if data == b"":
                        self._gone()
                        break
                    # Half a letter is no text yet, and no text would be the end for the parser.
                    if text := decode(data or b""):
                        for event in parser.feed(text):
                            self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
        with suppress(EOFError, ParseError):
            for _ in parser.feed(""):
                pass

    def _read(self) -> bytes | None:
        """What was typed, None if that cannot be had now; no bytes if the terminal is gone."""
        try:
            return os.read(self.fileno, 4096)
        except OSError as error:
            if error.errno in _GONE:
                return b""
            self.exit_event.wait(_POLL)
            return None

    def _gone(self) -> None:
        self._soon(self._app.terminal_gone)

    def _soon(self, act: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(act)

    # Stopped and continued

    def stop_group(self) -> bool:
        """Stop as a shell's Ctrl+Z does, with `make` or whatever else was started with this process; whether that was done.

        Where no shell could let it go on, the system does not stop it."""

        def stop() -> None:
            before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.killpg(0, signal.SIGTSTP)
            self._wait_for_more()
            signal.signal(signal.SIGTSTP, before)

        return self._stop(stop)

    def _stop_alone(self) -> None:
        """Stop because of a signal from elsewhere; another one lets it go on."""

        def stop() -> None:
            os.kill(os.getpid(), signal.SIGSTOP)
            self._wait_for_more()

        self._stop(stop)

    def _stop(self, stop: Callable[[], None]) -> bool:
        if not self._shown:
            return False
        self._suspended, self._continued = True, False
        try:
            self._app.leaves_terminal()
            self.suspend_application_mode()
            with suppress(OSError):
                os.write(self.fileno, self._app.stopped_text.encode())
            stop()
            self._take_terminal()
        finally:
            self._suspended = False
        return self._continued

    def _wait_for_more(self) -> None:
        # The signal to stop may reach another thread first: until then this one goes on.
        end = time.monotonic() + _TO_STOP
        while not self._continued and time.monotonic() < end:
            time.sleep(_POLL / 10)

    def _go_on(self) -> None:
        self._continued = True
        if not self._suspended:
            self._soon(self._continue_after_sigstop)

    def _continue_after_sigstop(self) -> None:
        """Nothing could be done before a SIGSTOP, and a shell has used the terminal since."""
        if self._shown:
            self._suspended = True
            try:
                self._app.leaves_terminal(stopped=True)
                self.suspend_application_mode()
                self._take_terminal()
            finally:
                self._suspended = False

    def _take_terminal(self) -> None:
        """Draw again, in the foreground."""
        while not self._shown:
            if not self._comes_to_front():
                self._app.terminal_gone()
                return
            self.resume_application_mode()
        self._app.takes_terminal()

    def _comes_to_front(self) -> bool:
        """Wait until the shell has brought the program to the front; whether there is a terminal.

        In the background the system stops the program here, as often as the shell lets it go on there."""
        while True:
            try:
                termios.tcsetattr(self.fileno, termios.TCSANOW, termios.tcgetattr(self.fileno))
            except termios.error as error:
                if error.args[0] != errno.EINTR:
                    return False
            else:
                return True
