"""An answer for a screen that is closing is dropped and does no harm."""

import time

from tests.tui.ui import Ui, ui


class Reader:
    """Reads the log; the second time it waits until the screen that asked has lost its widgets."""

    def __init__(self) -> None:
        self.ui: Ui | None = None

    def __call__(self):
        if self.ui is not None:
            screen, end = self.ui.app.screen, time.monotonic() + 5
            while screen.children and time.monotonic() < end:
                time.sleep(0.001)
        return ["12:00 INFO up"]


def test_the_log_is_read_while_the_app_ends():
    reader = Reader()

    @ui(log_tail=reader)
    async def leave(ui):
        await ui.press("6")
        await ui.sees("INFO up")
        reader.ui = ui
        ui.app.screen.ask()
        await ui.pilot.pause()

    leave()
