"""What is written to and read from a terminal that other programs use as well."""

import errno
import os
import threading
from types import SimpleNamespace

import pytest

from betar_tui.tui import terminal
from betar_tui.tui.terminal import Output, TerminalDriver
from tests.tui.ui import ui


class Pipe:
    """A terminal's place: a pipe that another program has set not to block, and what comes out of it."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self.file = os.fdopen(writer, "w", encoding="utf-8")
        os.set_blocking(writer, False)
        self.read = b""
        self._thread = threading.Thread(target=self._read_all)

    def _read_all(self) -> None:
        while part := os.read(self.reader, 1 << 12):
            self.read += part

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> bytes:
        self.file.close()
        self._thread.join(10)
        os.close(self.reader)
        return self.read


def test_nothing_is_lost_on_a_terminal_that_was_set_not_to_block():
    pipe, gone = Pipe(), []
    output = Output(pipe.file, lambda: gone.append(None))
    full = b""
    try:
        while True:
            full += b"x" * os.write(pipe.file.fileno(), b"x" * 4096)
    except BlockingIOError:
        pipe.begin()
    texts = [f"{number} 漢字 \x1b[31m\n" * 300 for number in range(200)]
    for text in texts:
        output.write(text)
        os.set_blocking(pipe.file.fileno(), False)
    output.flush()
    assert pipe.end() == full + "".join(texts).encode()
    assert not gone


def test_a_little_waits_for_the_flush():
    pipe = Pipe()
    output = Output(pipe.file, lambda: None)
    output.write("a")
    with pytest.raises(BlockingIOError):
        os.set_blocking(pipe.reader, False)
        os.read(pipe.reader, 10)
    output.flush()
    assert os.read(pipe.reader, 10) == b"a"
    pipe.file.close()
    os.close(pipe.reader)


def test_a_terminal_that_takes_nothing_is_gone_once():
    pipe, gone = Pipe(), []
    output = Output(pipe.file, lambda: gone.append(None))
    os.close(pipe.reader)
    for _ in range(3):
        output.write("a")
        output.flush()
    assert gone == [None]


@pytest.mark.parametrize(
    ("number", "read"),
    [(errno.EIO, b""), (errno.ENXIO, b""), (errno.EBADF, b""), (errno.EAGAIN, None), (errno.ENOMEM, None)],
)
def test_only_some_errors_say_that_the_terminal_is_gone(monkeypatch, number, read):
    def fails(*_: object) -> bytes:
        raise OSError(number, os.strerror(number))

    driver = SimpleNamespace(fileno=0, exit_event=threading.Event())
    driver.exit_event.set()
    monkeypatch.setattr(terminal.os, "read", fails)
    assert TerminalDriver._read(driver) == read


@ui()
async def test_the_time_after_a_sigstop_is_noted(ui):
    ui.app.note_running()
    ui.app._seen_at -= 7
    ui.app.leaves_terminal(stopped=True)
    ui.app.takes_terminal()
    await ui.press("3")
    await ui.sees("The program was stopped for 7s")


@ui()
async def test_a_moment_in_the_background_is_not_noted(ui):
    ui.app._seen_at -= 7
    ui.app.leaves_terminal()
    ui.app.takes_terminal()
    await ui.press("3")
    assert "was stopped" not in ui.text
