"""A terminal for tests: tmux, and the real program in it."""

import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tests.peers.harness import clean_environment, eventually

NO_TMUX = shutil.which("tmux") is None
SHELL = "bash --norc --noprofile -i"
PLAIN, TAKEN = "0 0 0 1 1", "1 1 1 0 0"
"""The modes of a terminal, see `Terminal.modes`: of a shell, and of the interface."""


def _command(*arguments: str) -> str:
    return shlex.join([sys.executable, "-m", "betar_tui", *arguments])


class Terminal:
    """A window of a tmux server that a test has to itself."""

    def __init__(self, socket: str, window: str = "market") -> None:
        self._socket, self._window = socket, window

    async def tmux(self, *arguments: str) -> str:
        done = await trio.run_process(["tmux", "-S", self._socket, *arguments], capture_stdout=True)
        return done.stdout.decode()

    async def another(self, *arguments: str) -> "Terminal":
        """A second window with `betar-tui`, started by a shell."""
        window = await self.tmux("new-window", "-d", "-P", "-F", "#{window_id}", "-t", "market", SHELL)
        second = Terminal(self._socket, window.strip())
        await second.start(*arguments)
        return second

    async def start(self, *arguments: str) -> None:
        """Have the shell run `betar-tui`, and its exit code printed."""
        await self.type(f"{_command(*arguments)}; echo ended with $?")
        await self.keys("Enter")

    async def pid(self) -> int:
        """The process id of the program that the shell runs."""
        shell = (await self.tmux("display-message", "-p", "-t", self._window, "#{pane_pid}")).strip()
        children = Path(f"/proc/{shell}/task/{shell}/children")
        return int((await eventually(lambda: children.read_text().split(), what="a program"))[0])

    async def modes(self) -> str:
        """Alternate screen, mouse, cursor and wrapping: each 1 or 0."""
        flags = ("alternate_on", "mouse_any_flag", "mouse_sgr_flag", "cursor_flag", "wrap_flag")
        asked = " ".join(f"#{{{flag}}}" for flag in flags)
        return (await self.tmux("display-message", "-p", "-t", self._window, asked)).strip()

    async def in_mode(self, modes: str) -> None:
        """Wait until the terminal is in these modes."""

        async def there() -> bool:
            return await self.modes() == modes

        await eventually(there, what=f"the terminal in {modes}")

    async def screen(self) -> str:
        return await self.tmux("capture-pane", "-p", "-t", self._window)

    async def shows(self, *texts: str) -> str:
        """Wait until all of these are on the screen."""

        async def all_there() -> str:
            screen = await self.screen()
            return screen if all(text in screen for text in texts) else ""

        try:
            return await eventually(all_there, what=f"{texts} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{await self.screen()}") from None

    async def lacks(self, text: str) -> None:
        async def gone() -> bool:
            return text not in await self.screen()

        await eventually(gone, what=f"{text} gone from the screen")

    async def keys(self, *names: str) -> None:
        await self.tmux("send-keys", "-t", self._window, *names)

    async def type(self, text: str) -> None:
        await self.tmux("send-keys", "-t", self._window, "-l", text)


@asynccontextmanager
async def terminal(directory: Path, *arguments: str, shell: bool = False) -> AsyncIterator[Terminal]:
    """`betar-tui` with these arguments in a terminal of 80 by 24, with `shell` started by one, as a person does it."""
    # A server of its own each time: the one before may still be on its way out.
    number = len(list(directory.glob("tmux-*")))
    (directory / f"tmux-{number}").mkdir()
    window = Terminal(str(directory / f"tmux-{number}" / "sock"))
    command = SHELL if shell else _command(*arguments)
    start = ["new-session", "-d", "-s", "market", "-x", "80", "-y", "24", command]
    environment = {**clean_environment(), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    await trio.run_process(["tmux", "-S", window._socket, "-f", "/dev/null", *start], env=environment)
    try:
        if shell:
            await window.start(*arguments)
        yield window
    finally:
        with trio.CancelScope(shield=True):
            await trio.run_process(["tmux", "-S", window._socket, "kill-server"], check=False, capture_stderr=True)
