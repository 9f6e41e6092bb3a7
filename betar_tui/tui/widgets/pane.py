"""A pane with a title, and the states that replace its content: loading, empty, error and offline."""

from collections.abc import Iterable
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Center, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Static

SIGNS = {"loading": "◌", "empty": "○", "error": "✗", "offline": "□"}


@dataclass(frozen=True, slots=True)
class PaneState:
    """The reason for the lack of content, and the action of the button that helps, with its label."""

    kind: str
    title: str
    reason: str = ""
    action: str = ""
    label: str = ""


def is_shown(widget: Widget) -> bool:
    """Whether the widget and all its ancestors are displayed."""
    return all(node.display for node in widget.ancestors_with_self[:-1])


class StateView(Vertical):
    """A state in words, with a button for the next step."""

    class Offered(Message):
        """The button has been mounted and may take the focus."""

    def __init__(self) -> None:
        super().__init__(classes="state")
        self._action = ""
        self._shown: PaneState | None = None
        self._button: Button | None = None

    def compose(self) -> ComposeResult:
        """The text; the button is mounted with the first state that has one."""
        yield Static("", classes="state-text")

    def update(self, state: PaneState) -> None:
        """Show a state."""
        if state == self._shown:
            return
        self._shown = state
        self._action = state.action
        style = {"error": "$text-error", "offline": "$text-warning"}.get(state.kind, "dim")
        self.query_one(Static).update(
            Content.assemble((f"{SIGNS[state.kind]} {state.title}", f"bold {style}"), "\n", (state.reason, "dim"))
        )
        if self._button is None and state.action:
            self._button = Button(compact=True, classes="state-button")
            self.call_later(self._mount_button, self._button)
        if self._button is not None:
            self._button.display = bool(state.action)
            self._button.label = Content(state.label)
            self._button.refresh(layout=True)  # the new label alone does not make it wider or narrower

    async def _mount_button(self, button: Button) -> None:
        await self.mount(Center(button))
        self.post_message(self.Offered())

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        await self.screen.run_action(self._action)


class Pane(Vertical):
    """One part of the main screen."""

    class Current(Message):
        """The focus has moved into this pane."""

        def __init__(self, pane: "Pane") -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, name: str, title: str, content: Iterable[Widget] = (), *, current: bool = False) -> None:
        super().__init__(id=f"pane-{name}", classes="pane -current" if current else "pane")
        self.key = name
        self.border_title = Content(title)
        self._content = list(content)

    def compose(self) -> ComposeResult:
        """The content and the state that may replace it; nothing if the content is mounted later."""
        if self._content:
            yield StateView()
            yield from self._content

    def on_mount(self) -> None:
        """Show the content; the screen sets the state right after."""
        if self._content:
            self.show(None)

    async def mount_content(self, *content: Widget) -> None:
        """Mount the content of a pane that was created without."""
        self._content = list(content)
        view = StateView()
        view.display = False
        await self.mount(view, *content)

    def show(self, state: PaneState | None) -> None:
        """Show a state, or the content if it is None."""
        view = self.query_one(StateView)
        view.display = state is not None
        for widget in self._content:
            widget.display = state is None
        if state is not None:
            view.update(state)

    def focus_inside(self) -> None:
        """Focus the first widget here that can take the focus; if there is none, remove the focus."""
        for widget in self.query("*"):
            if widget.focusable and is_shown(widget):
                # Not `widget.focus()`, which is deferred: keys typed ahead would go to the old focus.
                self.screen.set_focus(widget)
                return
        # Keys must not go to a widget out of sight.
        self.screen.set_focus(None)

    def on_descendant_focus(self) -> None:
        self.post_message(self.Current(self))
