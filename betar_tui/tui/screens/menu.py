"""A small menu: choices with a key each, to press or to click."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One line of a menu: its key, its name and a description. One with an empty description is disabled."""

    key: str
    label: str
    description: str


class MenuScreen(ModalScreen[str | None]):
    """Answers with the key that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", key_display="Esc"),
        Binding("q", "dismiss(None)", "Back", show=False),
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous", show=False),
    ]

    def __init__(self, title: str, items: Sequence[MenuItem]) -> None:
        super().__init__()
        self._title, self._items = title, items

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            yield Static(Content.assemble((self._title, "bold")))
            for item in self._items:
                text = Content.assemble((f"{item.key}  {item.label:<12}", "bold"), " ", item.description or "none")
                yield Button(
                    text, id=f"choice-{item.key}", classes="choice", compact=True, disabled=not item.description
                )
            yield Button("Back (Esc)", id="cancel", compact=True)

    def on_key(self, event: events.Key) -> None:
        if any(item.key == event.key and item.description for item in self._items):
            event.stop()
            self.dismiss(event.key)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        chosen = (event.button.id or "").removeprefix("choice-")
        self.dismiss(None if chosen == "cancel" else chosen)
