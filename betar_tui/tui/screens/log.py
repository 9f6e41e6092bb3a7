"""What the peer wrote into its log, and the notices of this run."""

from __future__ import annotations

import asyncio

from textual.content import Content

from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui import states
from betar_tui.tui.activity import SIGNS
from betar_tui.tui.deeds import Deeds
from betar_tui.tui.model import MarketModel
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.screens.place import PlaceScreen
from betar_tui.tui.widgets.lines import Span
from betar_tui.tui.workers import start

_STYLES = (("ERROR", "bad"), ("WARNING", "warn"), ("error", "bad"), ("warning", "warn"))


class LogScreen(PlaceScreen):
    """The tail of the log, the youngest line at the bottom."""

    TITLE = "Log"

    def __init__(self, model: MarketModel, deeds: Deeds, options: TuiOptions) -> None:
        super().__init__(model, deeds, options)
        self._tail: list[str] = []
        self._asked, self._error = False, ""

    def ask(self) -> None:
        """Read the file again."""
        start(self, self._ask, group="log")

    async def _ask(self) -> None:
        try:
            self._tail = [neutralise(line, 500) for line in await asyncio.to_thread(self._options.log_tail)]
            self._error = ""
        except OSError as error:
            self._tail, self._error = [], neutralise(str(error), 300)
        self._asked = True
        self.hear(self.show)

    def show(self) -> None:
        """Notices where there is no file, else the file, which has them all."""
        lines: list[list[Span]] = [[(" ", ""), (line, _style(line))] for line in self._tail]
        if not lines and not self._error:
            notices = [entry for entry in self._model.activity.entries if not entry.listing_id]
            for entry in notices:
                style = {"error": "bad", "warning": "warn"}.get(entry.kind, "")
                text = f" {SIGNS.get(entry.kind, 'i')} {neutralise(entry.text, 400)}"
                lines.append([(f" {fmt.clock(entry.at)}", "dim"), (text, style)])
        head = Content(fmt.plural(len(lines), "line") + ("" if self._tail else ", of this run"))
        self.tell(head, lines, states.log(self._model, self._asked, self._error), at_end=True)

    def tick(self) -> None:
        """Read on."""
        super().tick()
        self.ask()


def _style(line: str) -> str:
    return next((style for word, style in _STYLES if word in line), "")
