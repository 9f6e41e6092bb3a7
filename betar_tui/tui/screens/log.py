"""The end of the peer's log, or the notices of this run."""

import asyncio
from collections.abc import Iterable, Sequence

from textual.content import Content

from betar_tui.market.text import neutralise
from betar_tui.tui import empty_states, loglines
from betar_tui.tui import format as fmt
from betar_tui.tui.activity import SIGNS, ActivityEntry
from betar_tui.tui.context import ScreenContext
from betar_tui.tui.loglines import Spans
from betar_tui.tui.screens.list_screen import ListScreen
from betar_tui.tui.widgets.listlines import ListLines
from betar_tui.tui.workers import runs, start

_STYLES = {"error": "bad", "warning": "warn"}


class LogLines(ListLines):
    """Lines that are shown in full."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "open"


class LogScreen(ListScreen):
    """The tail of the log, the newest line at the bottom."""

    TITLE = "Log"
    LINES = LogLines

    def __init__(self, context: ScreenContext) -> None:
        super().__init__(context)
        self._tail: Sequence[str] = ()
        self._drawn: Sequence[Spans] = ()
        self._drawn_for: tuple[Sequence[str], int] = (), 0
        self._asked, self._error = False, ""

    @property
    def _width(self) -> int:
        return self.size.width - 2  # without the cells of the cursor and of a scrollbar

    def ask(self) -> None:
        """Read the file again."""
        start(self, self._ask, group="log")

    async def _ask(self) -> None:
        try:
            tail = await asyncio.to_thread(self._options.log_tail)
            if self._drawn_for != (wanted := (tail, self._width)):
                # In a thread: hundreds of lines take a while to neutralise and to fold.
                self._drawn = await asyncio.to_thread(lambda: list(loglines.format_lines(*wanted)))
                self._drawn_for = wanted
            self._tail, self._error = tail, ""
        except OSError as error:
            self._tail, self._drawn, self._error = (), (), neutralise(str(error), 300)
            self._drawn_for = (), 0
        self._asked = True
        self.deliver(self.show)

    def on_resize(self) -> None:
        self.ask()

    def show(self) -> None:
        """Show the file, which has the notices as well; the notices alone without it."""
        lines, count = self._drawn, len(self._tail)
        if not lines and not self._error:
            notices = [entry for entry in self._model.activity.entries if not entry.listing_id]
            lines, count = [line for notice in notices for line in self._notice(notice)], len(notices)
        head = Content(fmt.plural(count, "line") + ("" if self._tail or self._error else ", of this run"))
        self.show_lines(head, lines, empty_states.log(self._model, self._asked, self._error), at_end=True)

    def _notice(self, entry: ActivityEntry) -> Iterable[Spans]:
        sign, style = SIGNS.get(entry.kind, "i"), _STYLES.get(entry.kind, "")
        return loglines.format_message(fmt.clock(entry.at), sign, style, entry.text, self._width)

    def tick(self) -> None:
        super().tick()
        if not runs(self, "log"):
            self.ask()
