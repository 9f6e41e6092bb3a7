"""The settings: theme, columns, density, keys. Every choice is in force at once and saved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content

from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.context import ScreenContext
from betar_tui.tui.format import fit
from betar_tui.tui.keybindings import ACTIONS, MOVES, Action, bindings
from betar_tui.tui.keymap import KeyMap
from betar_tui.tui.screens.list_screen import ListScreen
from betar_tui.tui.screens.rekey import RekeyScreen
from betar_tui.tui.settings import DENSITIES, Settings
from betar_tui.tui.widgets.columns import COLUMNS
from betar_tui.tui.widgets.lines import Span
from betar_tui.tui.widgets.listlines import ListLines

THEMES = {
    "betar-dark": "dark",
    "betar-light": "light",
    "ansi-dark": "the terminal's own colours, on a dark ground",
    "ansi-light": "the terminal's own colours, on a light ground",
}
DENSITY = {"compact": "as much as fits", "comfortable": "more room between the columns"}

_ACTIONS: dict[str, Action] = {}
"""The actions by id; of several with the same id the first one."""
for _action in (*ACTIONS, *MOVES):
    _ACTIONS.setdefault(_action.id, _action)


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One line: its group, its sign, its name and meaning, and the effect of choosing it."""

    group: str
    sign: str
    name: str
    meaning: str
    choose: Callable[[], None] = field(compare=False)

    def spans(self, first: bool) -> list[Span]:
        """The line; the first one of a group has its name."""
        return [
            (fit(f" {self.group if first else ''}", 10), "accent"),
            (fit(self.sign, max(4, len(self.sign) + 1)), "strong"),
            (fit(self.name, 18), "strong" if self.sign in ("(•)", "[x]") else ""),
            (f" {self.meaning}", "dim"),
        ]


def setting_lines(
    settings: Settings, rekey: Callable[[str], None], others: Sequence[SettingLine] = ()
) -> list[SettingLine]:
    """All lines, those of `others` before the keys; `rekey` is called with the id of a chosen action."""
    now = settings.now
    # A theme chosen in the command palette is among them as long as it is in force.
    themes = THEMES if now.theme in THEMES else {**THEMES, now.theme: "of Textual's own"}
    lines = [
        SettingLine("Theme", _one(name == now.theme), name, meaning, partial(settings.change, theme=name))
        for name, meaning in themes.items()
    ]
    lines += [
        SettingLine(
            "Columns",
            "[x]" if column.key in now.columns else "[ ]",
            column.key,
            column.meaning,
            partial(settings.toggle_column, column.key),
        )
        for column in COLUMNS.values()
    ]
    lines += [
        SettingLine("Density", _one(name == now.density), name, DENSITY[name], partial(settings.change, density=name))
        for name in DENSITIES
    ]
    return [*lines, *others, *_keys(now.keys, rekey)]


def list_lines(group: str, ids: Sequence[str], meaning: str, undo: Callable[[str], None]) -> list[SettingLine]:
    """The lines of a list of peers; choosing one takes it off."""
    return [
        SettingLine(group, "[x]", fmt.short_id(each), f"{meaning}: {neutralise(each, 120)}", partial(undo, each))
        for each in ids
    ]


def _keys(keys: KeyMap, rekey: Callable[[str], None]) -> list[SettingLine]:
    return [
        # The settings file names it by its id.
        SettingLine(
            "Keys",
            fit(keys.names(action.id), 10),
            action.label,
            f"{action.help} ({action.id})",
            partial(rekey, action.id),
        )
        for action in _ACTIONS.values()
    ]


def _one(chosen: bool) -> str:
    return "(•)" if chosen else "( )"


class SettingsLines(ListLines):
    """The lines; one click chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("settings", first=True)]

    def action_choose(self) -> None:
        self.action_open()

    def on_click(self, event: events.Click) -> None:
        """A click does what Enter does on that line, however often."""
        event.prevent_default()
        row = event.y + self.scroll_offset.y
        if 0 <= row < self.count:
            self.cursor = row
            self.action_open()


class SettingsScreen(ListScreen):
    """One line per choice."""

    TITLE = "Settings"
    SCOPE = "settings"
    LINES = SettingsLines

    def __init__(self, context: ScreenContext) -> None:
        super().__init__(context)
        self._setting_lines: list[SettingLine] = []

    def show(self) -> None:
        """The settings in force."""
        self._setting_lines = setting_lines(self._model.settings, self._rekey, self._lists())
        lines, before = [], ""
        for line in self._setting_lines:
            lines.append(line.spans(line.group != before))
            before = line.group
        file = neutralise(self._options.settings_file, 120)
        self.show_lines(Content(f"each choice holds at once and is kept in {file}"), lines, None)

    def open(self, row: int) -> None:
        """Choose."""
        self._setting_lines[row].choose()
        self.show()

    def _lists(self) -> list[SettingLine]:
        """The muted sellers and blocked peers."""
        peers, status = self._actions.peers, self._model.status
        muted = list_lines("Muted", self._model.settings.now.muted, "Enter hears it again", peers.mute)
        return muted + list_lines("Blocked", status.blocked if status else (), "Enter lets it in again", peers.block)

    def _rekey(self, action_id: str) -> None:
        """Ask for another key of an action."""
        keys, action = self._model.keys, _ACTIONS[action_id]

        def chosen(new: KeyMap | None) -> None:
            if new is None or new == keys:
                return
            self._model.settings.change(keys=new)
            file = neutralise(self._options.settings_file, 120)
            self._actions.notify(
                f"{action.label} has the key {new.names(action_id)} now. It is kept in {file}, [interface.keys]"
            )
            self.show()

        self.app.push_screen(RekeyScreen(keys, action), chosen)
