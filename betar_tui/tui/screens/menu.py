"""A small menu: a few choices, each with a key, to press or to click."""

from __future__ import annotations

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
class Choice:
    """One line of a menu: its key, its name and what it is about. One without `what` cannot be chosen."""

    key: str
    label: str
    what: str


class MenuScreen(ModalScreen[str | None]):
    """Answers with the key that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", key_display="Esc"),
        Binding("q", "dismiss(None)", "Back", show=False),
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous", show=False),
    ]

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title, self._choices = title, choices

    def compose(self) -> ComposeResult:
        """Title, choices, way out."""
        with Vertical(classes="dialogue"):
            yield Static(Content.assemble((self._title, "bold")))
            for choice in self._choices:
                text = Content.assemble((f"{choice.key}  {choice.label:<12}", "bold"), " ", choice.what or "none")
                yield Button(text, id=f"choice-{choice.key}", classes="choice", compact=True, disabled=not choice.what)
            yield Button("Back (Esc)", id="cancel", compact=True)

    def on_key(self, event: events.Key) -> None:
        """A choice's own key chooses it."""
        if any(choice.key == event.key and choice.what for choice in self._choices):
            event.stop()
            self.dismiss(event.key)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Choose or leave."""
        chosen = (event.button.id or "").removeprefix("choice-")
        self.dismiss(None if chosen == "cancel" else chosen)
