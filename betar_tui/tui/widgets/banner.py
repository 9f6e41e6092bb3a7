"""The lines under the status line, each to click; nothing where nothing applies."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.widget import Widget

from betar_tui.tui.announcements import Announcement, announcements
from betar_tui.tui.model import MarketModel


class Banner(Widget):
    """One line an announcement."""

    ALLOW_SELECT = False

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="banner")
        self._model = model
        self._shown: tuple[Announcement, ...] = ()
        self.display = False

    def on_mount(self) -> None:
        """What applies already."""
        self.update()

    def update(self) -> None:
        """Show what applies now."""
        keys = self._model.keys
        lines = announcements(self._model.status, keys.name("choose_dialect"), keys.name("hold_sync"))
        if lines != self._shown:
            self._shown = lines
            self.display = bool(lines)
            self.styles.height = len(lines)
            self.refresh()

    def render(self) -> Content:
        """The lines."""
        pieces: list[Content | tuple[str, str]] = []
        for line in self._shown:
            text = line.text if cell_len(line.text) + 4 <= self.size.width else line.short
            pieces += [(f" {line.sign} ", "bold $text-accent"), (text, "$text-accent"), Content("\n")]
        return Content.assemble(*pieces[:-1])

    async def on_click(self, event: events.Click) -> None:
        """Do what the line's key does."""
        if 0 <= event.y < len(self._shown):
            await self.screen.run_action(self._shown[event.y].action)
