"""The settings: theme, columns, density, and which keys do what. Every choice is in force at once and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content

from betar_tui.tui.keybindings import ACTIONS, MOVES, bindings
from betar_tui.tui.keymap import KeyMap
from betar_tui.tui.listing_actions import ListingActions
from betar_tui.tui.model import MarketModel
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.screens.list_screen import ListScreen, PlaceLines
from betar_tui.tui.settings import DENSITIES, Settings
from betar_tui.tui.widgets.columns import COLUMNS, fit
from betar_tui.tui.widgets.lines import Span

THEMES = {
    "betar-dark": "dark",
    "betar-light": "light",
    "ansi-dark": "the terminal's own colours, on a dark ground",
    "ansi-light": "the terminal's own colours, on a light ground",
}
DENSITY = {"compact": "as much as fits", "comfortable": "more room between the columns"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One line: the group it belongs to, its sign, what it is called and means, and what choosing it does."""

    group: str
    sign: str
    name: str
    meaning: str
    choose: Callable[[], None] = field(compare=False)

    def spans(self, first: bool) -> list[Span]:
        """The line; the group's name stands before its first one."""
        return [
            (fit(f" {self.group if first else ''}", 10), "accent"),
            (fit(self.sign, max(4, len(self.sign) + 1)), "strong"),
            (fit(self.name, 18), "strong" if self.sign in ("(•)", "[x]") else ""),
            (f" {self.meaning}", "dim"),
        ]


def choices(settings: Settings, explain: Callable[[str], None]) -> list[Choice]:
    """All lines; `explain` is called with the id of an action that was chosen."""
    now = settings.now
    # One that was chosen in the command palette is among them as long as it is in force.
    themes = THEMES if now.theme in THEMES else {**THEMES, now.theme: "of Textual's own"}
    lines = [
        Choice("Theme", _one(name == now.theme), name, meaning, partial(settings.change, theme=name))
        for name, meaning in themes.items()
    ]
    lines += [
        Choice(
            "Columns",
            "[x]" if column.key in now.columns else "[ ]",
            column.key,
            column.meaning,
            partial(settings.toggle_column, column.key),
        )
        for column in COLUMNS.values()
    ]
    lines += [
        Choice("Density", _one(name == now.density), name, DENSITY[name], partial(settings.change, density=name))
        for name in DENSITIES
    ]
    return lines + _keys(now.keys, explain)


def _keys(keys: KeyMap, explain: Callable[[str], None]) -> list[Choice]:
    meanings: dict[str, str] = {}
    for action in (*ACTIONS, *MOVES):
        meanings.setdefault(action.id, action.help)
    return [
        Choice("Keys", fit(keys.names(action_id), 10), action_id, meaning, partial(explain, action_id))
        for action_id, meaning in meanings.items()
    ]


def _one(chosen: bool) -> str:
    return "(•)" if chosen else "( )"


class SettingsLines(PlaceLines):
    """The lines; one click chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("settings", first=True)]

    def action_choose(self) -> None:
        """Choose the line under the cursor."""
        self.action_open()

    def on_click(self, event: events.Click) -> None:
        """A click does what Enter does on that line, however often."""
        event.prevent_default()
        row = event.y + self.scroll_offset.y
        if 0 <= row < self.count:
            self.cursor = row
            self.action_open()


class SettingsScreen(ListScreen):
    """One line a choice."""

    TITLE = "Settings"
    SCOPE = "settings"
    LINES = SettingsLines

    def __init__(self, model: MarketModel, actions: ListingActions, options: TuiOptions) -> None:
        super().__init__(model, actions, options)
        self._choices: list[Choice] = []

    def show(self) -> None:
        """The settings in force."""
        self._choices = choices(self._model.settings, self._explain)
        lines, before = [], ""
        for choice in self._choices:
            lines.append(choice.spans(choice.group != before))
            before = choice.group
        self.tell(Content("each choice holds at once and is kept"), lines, None)

    def open(self, row: int) -> None:
        """Choose."""
        self._choices[row].choose()
        self.show()

    def _explain(self, action_id: str) -> None:
        keys = ",".join(self._model.keys.keys(action_id))
        self._actions.say(f'To change it, write in config.toml under [interface.keys]:  {action_id} = "{keys}"')
