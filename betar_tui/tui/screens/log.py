"""What the peer wrote into its log, and the notices of this run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual.content import Content

from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui import loglines, states
from betar_tui.tui.activity import SIGNS
from betar_tui.tui.deeds import Deeds
from betar_tui.tui.model import MarketModel
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.screens.place import PlaceLines, PlaceScreen
from betar_tui.tui.workers import start

_STYLES = {"error": "bad", "warning": "warn"}


class LogLines(PlaceLines):
    """Lines that tell all there is."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to open."""
        return action != "open"


class LogScreen(PlaceScreen):
    """The tail of the log, the youngest line at the bottom."""

    TITLE = "Log"
    LINES = LogLines

    def __init__(self, model: MarketModel, deeds: Deeds, options: TuiOptions) -> None:
        super().__init__(model, deeds, options)
        self._tail: Sequence[str] = ()
        self._asked, self._error = False, ""

    def ask(self) -> None:
        """Read the file again."""
        start(self, self._ask, group="log")

    async def _ask(self) -> None:
        try:
            self._tail, self._error = await asyncio.to_thread(self._options.log_tail), ""
        except OSError as error:
            self._tail, self._error = (), neutralise(str(error), 300)
        self._asked = True
        self.hear(self.show)

    def on_resize(self) -> None:
        """Messages are folded to the width."""
        self.call_after_refresh(self.show)

    def show(self) -> None:
        """Notices where there is no file, else the file, which has them all."""
        width = self.size.width - 2  # the cursor's cell, and the scrollbar's, which may come
        lines = list(loglines.drawn(self._tail, width))
        count = len(self._tail)
        if not lines and not self._error:
            for each in self._model.activity.entries:
                if not each.listing_id:
                    count += 1
                    sign, style = SIGNS.get(each.kind, "i"), _STYLES.get(each.kind, "")
                    lines += loglines.entry(fmt.clock(each.at), sign, style, each.text, width)
        head = Content(fmt.plural(count, "line") + ("" if self._tail else ", of this run"))
        self.tell(head, lines, states.log(self._model, self._asked, self._error), at_end=True)

    def tick(self) -> None:
        """Read on."""
        super().tick()
        self.ask()
