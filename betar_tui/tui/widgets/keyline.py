"""The footer: the keys that work now, in the order of the table of actions; a click presses the key.

The screen may give a key another label, which says what it does now ("Unmute"), or none where it does nothing. The key
of an action that is not allowed is dim and struck through; pressing it shows the reason. While a dialogue is
open the footer only displays its keys: the dialogue has buttons. If not all keys fit, the last ones are left out, but
never a way out, and the palette only where there is no room for both."""

from collections.abc import Sequence
from typing import Any

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from betar_tui.tui.keybindings import ACTIONS
from betar_tui.tui.model import MarketModel

WAYS_OUT = ("back", "leave", "quit")
"""The actions, by id, of which the footer shows those in force at every width."""
ORDER = {action_id: position for position, action_id in reversed(list(enumerate(action.id for action in ACTIONS)))}


class KeyLine(Widget):
    """One line of keys."""

    ALLOW_SELECT = False

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="keys")
        self._model = model
        self._ranges: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.follow(self.screen)

    def follow(self, screen: Screen[Any]) -> None:
        """Draw again when the keys of a screen change: that of this line, or one above it."""
        screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[Any]) -> None:
        self.refresh()

    def render(self) -> Content:
        self._ranges.clear()
        active = self.app.screen.active_bindings
        keys = self._model.keys
        shown = [item.binding for item in active.values() if item.binding.show and item.binding.key != "ctrl+p"]
        # Of an action with several keys only the first is shown; the settings may have replaced them.
        shown = [binding for binding in shown if binding.id is None or binding.key == keys.keys(binding.id)[0]]
        shown.sort(key=lambda binding: ORDER.get(binding.id or "", 99))
        labels = [(binding, self._label(binding)) for binding in shown]
        drawn = [(binding, self._draw(binding, label)) for binding, label in labels if label]
        # Textual would open the palette above a dialogue too, where it is useless.
        above = self.app.screen is not self.screen
        palette = [] if above else [item.binding for item in active.values() if item.binding.key == "ctrl+p"]
        drawn += [(binding, self._draw(binding, "Palette")) for binding in palette]
        while sum(text.cell_length + 1 for _, text in drawn) > self.size.width:
            if (least := _dispensable(drawn)) is None:
                break
            del drawn[least]
        at = 0
        for binding, text in drawn:
            self._ranges.append((at, at + text.cell_length + 1, binding.key))
            at += text.cell_length + 1
        return Content.assemble(*(piece for _, text in drawn for piece in (text, Content(" "))))

    def _label(self, binding: Binding) -> str:
        """What the key does now, as the screen says; nothing for one that does nothing."""
        hint = getattr(self.app.screen, "hint", None)
        return str(hint(binding.id, binding.description)) if hint and binding.id else binding.description

    def _draw(self, binding: Binding, label: str) -> Content:
        key = self.app.get_key_display(binding) if binding.id is None else self._model.keys.name(binding.id)
        dim = bool(self._disabled_reason(binding.action))
        return Content.assemble(" ", (key, "dim" if dim else "bold $accent"), " ", (label, "dim strike" if dim else ""))

    def on_click(self, event: events.Click) -> None:
        for start, end, key in self._ranges:
            if start <= event.x < end:
                self.app.simulate_key(key)

    def _disabled_reason(self, action: str) -> str:
        reason = getattr(self.app.screen, "disabled_reason", None)
        return str(reason(action)) if reason else ""


def _dispensable(drawn: Sequence[tuple[Binding, Content]]) -> int | None:
    """Which key is left out first: the last one that is no way out, and of those the palette at last."""
    places = [at for at, (binding, _) in enumerate(drawn) if binding.id not in WAYS_OUT]
    others = [at for at in places if drawn[at][0].key != "ctrl+p"]
    return next(reversed(others or places), None)
