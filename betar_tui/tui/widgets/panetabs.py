"""Where one pane is seen at a time: their names, to click, with the keys that go there."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from betar_tui.tui.model import MarketModel

PANES = (("listings", "Market"), ("peers", "Peers"), ("activity", "Activity"))


class PaneTabs(Widget):
    """One line of names."""

    ALLOW_SELECT = False

    class Chosen(Message):
        """A name was clicked."""

        def __init__(self, pane: str) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="tabs")
        self._model = model
        self._current = "listings"

    def tell(self, pane: str) -> None:
        """Mark the current pane."""
        self._current = pane
        self.refresh()

    def render(self) -> Content:
        """The names; the current one in brackets, so that no colour is needed."""
        parts: list[tuple[str, str]] = []
        for key, pane, title in self._panes():
            here = pane == self._current
            parts.append((f"[{key} {title}]", "bold $accent") if here else (f" {key} {title} ", "dim"))
        return Content.assemble(" ", *parts)

    def on_click(self, event: events.Click) -> None:
        """Go to the pane under the mouse."""
        at = 1
        for key, pane, title in self._panes():
            width = len(key) + len(title) + 3
            if at <= event.x < at + width:
                self.post_message(self.Chosen(pane))
            at += width

    def _panes(self) -> list[tuple[str, str, str]]:
        return [(self._model.keys.name(f"pane_{pane}"), pane, title) for pane, title in PANES]
