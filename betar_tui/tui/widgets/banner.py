"""The announcements under the status line, each clickable; hidden when there are none."""

from dataclasses import replace

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.widget import Widget

from betar_tui.tui.announcements import Announcement, announcements, gone
from betar_tui.tui.model import MarketModel


class Banner(Widget):
    """One line for each announcement."""

    ALLOW_SELECT = False

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="banner")
        self._model = model
        self._shown: tuple[Announcement, ...] = ()
        self.display = False

    def on_mount(self) -> None:
        self.update()

    def update(self) -> None:
        """Show the announcements that apply now."""
        model, now = self._model, self._model.clock()
        # A status may be old: where nothing happens, none is asked for.
        status = model.status and replace(model.status, uptime=now - model.up_since)
        lines = announcements(status, model.peers, now, model.keys.name, model.silence)
        if model.gone:
            lines = (gone(model.keys.name("go_online")),)
        if lines != self._shown:
            self._shown = lines
            self.display = bool(lines)
            self.styles.height = len(lines)
            self.refresh()

    def render(self) -> Content:
        """The announcements, in their short form where the long one does not fit."""
        pieces: list[Content | tuple[str, str]] = []
        for line in self._shown:
            text = line.text if cell_len(line.text) + 4 <= self.size.width else line.short
            pieces += [(f" {line.sign} ", "bold $text-accent"), (text, "$text-accent"), Content("\n")]
        return Content.assemble(*pieces[:-1])

    async def on_click(self, event: events.Click) -> None:
        if 0 <= event.y < len(self._shown):
            await self.screen.run_action(self._shown[event.y].action)
