"""The part of the app that deals with its terminal and its end: stopped and continued, gone, left on a signal, quit."""

import time

from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.widgets import TextArea

from betar_tui.leaving import TERMINAL_GONE
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.screens.quitting import QuitScreen

NOTED_STOP = 5.0
"""Seconds that the program must have been stopped for the activity to say so."""


class TerminalApp(App[None]):
    """An app that gives its terminal back in every case, and asks before it takes a peer from others."""

    options: TuiOptions
    _framed = _leaves = False
    _stopped_at = _seen_at = 0.0

    def get_driver_class(self) -> type[Driver]:
        """Textual's choice; for a terminal, one that can do what Textual's cannot."""
        chosen = super().get_driver_class()
        if chosen is not LinuxDriver:
            return chosen
        from betar_tui.tui.terminal import TerminalDriver  # deferred: tests and browsers have others

        return TerminalDriver

    def restore_terminal(self) -> None:
        """Give the terminal back at once, from any thread: the app is abandoned."""
        if restore := getattr(self._driver, "restore", None):
            restore()

    def terminal_gone(self) -> None:
        """Nobody sees the app any more: end it."""
        self.options.leaving.ask(TERMINAL_GONE)

    # Stopped and continued

    def action_suspend(self) -> None:
        """Stop, as a shell's Ctrl+Z does, until the shell's `fg`."""
        stop = getattr(self._driver, "stop_group", None)
        if stop is None or not stop():
            self.notify("There is no shell here that could let the program go on", severity="warning")

    @property
    def stopped_text(self) -> str:
        """What the shell shows while the program is stopped."""
        peer = ", and so is the peer in it: others cannot reach it" if self.options.own_peer() else "; its peer goes on"
        return f"\r\nbetar-tui is stopped{peer}. fg continues.\r\n"

    def note_running(self) -> None:
        """The program runs now, as it says each second: nothing else tells when a SIGSTOP came."""
        self._seen_at = time.monotonic()

    def leaves_terminal(self, *, stopped: bool = False) -> None:
        """The program is about to be stopped, or has been `stopped` and goes on."""
        self._suspend_signal()
        self._stopped_at = self._seen_at if stopped and self._seen_at else time.monotonic()

    def takes_terminal(self) -> None:
        """The program goes on, and draws everything again."""
        self._resume_signal()
        self.refresh(layout=True)
        seconds = time.monotonic() - self._stopped_at
        if seconds >= NOTED_STOP:
            self.went_on(seconds)

    def went_on(self, seconds: float) -> None:
        """The program had been stopped for this time."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # There it undoes.
        return action != "suspend" or not isinstance(self.focused, TextArea)

    # The end

    def first_frame(self) -> None:
        """The app is on the screen; only now can it end."""
        self._framed = True
        self.options.framed()
        if self._leaves:
            self.exit()

    def leave(self) -> None:
        """End without a question, as soon as that can be done."""
        self._leaves = True
        if self._framed:
            self.exit()

    async def action_quit(self) -> None:
        """Quit; ask first if others use the peer in this program."""
        others = self.options.others() if self.options.own_peer() else 0
        if not others or any(isinstance(screen, QuitScreen) for screen in self.screen_stack):
            self.exit()
            return
        self.push_screen(QuitScreen(others), lambda yes: self.exit() if yes else None)
