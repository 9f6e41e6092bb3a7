"""The footer: the keys that work now, in the order of the table of actions; a click presses the key.

Where an action is not allowed its key is dim and struck through: pressing it tells the reason.
"""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from betar_tui.tui.actions import ACTIONS
from betar_tui.tui.model import MarketModel

ORDER = {action_id: position for position, action_id in reversed(list(enumerate(action.id for action in ACTIONS)))}


class KeyLine(Widget):
    """One line of keys."""

    ALLOW_SELECT = False

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="keys")
        self._model = model
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
        keys = self._model.keys
        shown = [item.binding for item in active.values() if item.binding.show and item.binding.key != "ctrl+p"]
        # Of an action with several keys the first is shown, also where the settings gave it other ones.
        shown = [each for each in shown if each.id is None or each.key == keys.keys(each.id)[0]]
        shown.sort(key=lambda binding: ORDER.get(binding.id or "", 99))
        palette = [item.binding for item in active.values() if item.binding.key == "ctrl+p"]
        for binding in [*shown, *palette]:
            key = self.app.get_key_display(binding) if binding.id is None else keys.name(binding.id)
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
