"""The tabs of a narrow terminal, which shows one pane at a time: clickable names of panes and other screens."""

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from betar_tui.tui.model import MarketModel

TABS = (
    ("pane", "listings", "Market"),
    ("pane", "peers", "Peers"),
    ("pane", "activity", "Activity"),
    ("place", "replica", "Replica"),
    ("place", "mine", "Mine"),
    ("place", "log", "Log"),
)


class PaneTabs(Widget):
    """One line of names with their keys."""

    ALLOW_SELECT = False

    class Chosen(Message):
        """The name of a pane or of another screen was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="tabs")
        self._model = model
        self._current = "listings"

    def set_current(self, pane: str) -> None:
        """Mark the current pane."""
        self._current = pane
        self.refresh()

    def render(self) -> Content:
        """The names; the current one in brackets, so that no colour is needed."""
        parts: list[tuple[str, str]] = []
        for key, name, title in self._tabs():
            here = name == self._current
            parts.append((f"[{key} {title}]", "bold $accent") if here else (f" {key} {title} ", "dim"))
        return Content.assemble(" ", *parts)

    def on_click(self, event: events.Click) -> None:
        at = 1
        for key, name, title in self._tabs():
            width = len(key) + len(title) + 3
            if at <= event.x < at + width:
                self.post_message(self.Chosen(name))
            at += width

    def _tabs(self) -> list[tuple[str, str, str]]:
        return [(self._model.keys.name(f"{kind}_{name}"), name, title) for kind, name, title in TABS]
