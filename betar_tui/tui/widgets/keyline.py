"""The footer: the keys that work now, in the order of the table of actions; a click presses the key.

Where an action is not allowed its key is dim and struck through: pressing it tells the reason.
"""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from betar_tui.tui.actions import ACTIONS


class KeyLine(Widget):
    """One line of keys."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._ranges: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Follow the bindings of whatever has the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Content:
        """Keys and labels, as many as fit."""
        self._ranges.clear()
        pieces: list[Content] = []
        at = 0
        active = self.screen.active_bindings
        places = [(action.keys.split(",")[0], action.name) for action in ACTIONS]
        order = {place: places.index(place) for place in places}
        shown = [item.binding for item in active.values() if item.binding.show and item.binding.key != "ctrl+p"]
        shown.sort(key=lambda binding: order.get((binding.key, binding.action), 99))
        palette = [item.binding for item in active.values() if item.binding.key == "ctrl+p"]
        for binding in [*shown, *palette]:
            key = self.app.get_key_display(binding)
            label = "Palette" if binding.key == "ctrl+p" else binding.description
            dim = bool(self._why_not(binding.action))
            text = Content.assemble(
                " ", (key, "dim" if dim else "bold $accent"), " ", (label, "dim strike" if dim else "")
            )
            if at + text.cell_length > self.size.width - 1:
                break
            self._ranges.append((at, at + text.cell_length + 1, binding.key))
            at += text.cell_length + 1
            pieces += [text, Content(" ")]
        return Content.assemble(*pieces)

    def on_click(self, event: events.Click) -> None:
        """Press the key under the mouse."""
        for start, end, key in self._ranges:
            if start <= event.x < end:
                self.app.simulate_key(key)

    def _why_not(self, action: str) -> str:
        reason = getattr(self.screen, "why_not", None)
        return str(reason(action)) if reason else ""
