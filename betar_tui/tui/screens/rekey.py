"""A dialogue that gives an action another key: the one that is pressed next."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from betar_tui.tui.keybindings import Action
from betar_tui.tui.keymap import KeyMap, key_name

BACK, DEFAULT = "escape", "backspace"
"""The keys that leave the dialogue and that give the action its usual keys back: they cannot be chosen here."""


class RekeyScreen(ModalScreen[KeyMap | None]):
    """Answers with the keys as they are to be, or None. A key that cannot be taken is refused with the reason."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = ""

    def __init__(self, keys: KeyMap, action: Action) -> None:
        super().__init__()
        self._keys, self._action = keys, action

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            yield Static(
                Content.assemble(
                    (f"Press the new key for {self._action.label}", "bold"),
                    (f"\n{self._action.help}. Now: {self._keys.names(self._action.id)}", "dim"),
                    (f"\n{_kept(self._keys)} do here what they do everywhere", "dim"),
                )
            )
            yield Static("", id="verdict")
            with Horizontal(classes="dialogue-buttons"):
                yield Button(Content(f"As it was at first ({key_name(DEFAULT)})"), id="default", compact=True)
                yield Button("Back (Esc)", id="cancel", compact=True)

    def on_mount(self) -> None:
        # They are for the mouse: a key is taken as the new one, but for those that work everywhere.
        for button in self.query(Button):
            button.can_focus = False

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "default":
            self._take("")
        else:
            self.dismiss(None)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if event.key == BACK:
            self.dismiss(None)
        else:
            self._take("" if event.key == DEFAULT else event.key)

    def _take(self, key: str) -> None:
        keys, problem = self._keys.with_key(self._action.id, key)
        if problem:
            verdict = Content.assemble((f"✗ {problem}. Press another one", "$text-error"))
            self.query_one("#verdict", Static).update(verdict)
        else:
            self.dismiss(keys)


def _kept(keys: KeyMap) -> str:
    """The keys of the whole app, and that of Textual's palette: they never reach the dialogue."""
    return f"{keys.names('quit_everywhere')}, {keys.names('suspend')} and {key_name('ctrl+p')}"
