"""The filters that a person has saved under names: choosing one, saving the one in force, forgetting one."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from betar_tui.errors import FilterError
from betar_tui.market.filter import parse
from betar_tui.market.text import neutralise
from betar_tui.tui.format import fit
from betar_tui.tui.settings import MAX_FILTER_NAME, MAX_FILTERS, Settings
from betar_tui.tui.widgets.lines import LineList
from betar_tui.tui.widgets.listlines import ListLines

LINES = 12
"""Maximum saved filters in sight."""


class SavedFilters:
    """`notify` shows a message; `apply` is called with the text of the filter that is chosen."""

    def __init__(self, app: App[None], settings: Settings, notify: Callable[..., None]) -> None:
        self._app, self._settings, self._notify = app, settings, notify

    def choose(self, apply: Callable[[str], None]) -> None:
        """Ask which of the saved filters to apply."""

        def chosen(name: str | None) -> None:
            if name is not None and name in self._settings.now.filters:
                apply(self._settings.now.filters[name])

        self._ask("Saved filters", chosen)

    def save(self, text: str) -> None:
        """Ask under which name to save a filter."""
        if not text.strip():
            self._notify("There is no filter to save: type one first", "warning")
            return
        try:
            parse(text)
        except FilterError as error:
            self._notify(f"The filter is not saved: {neutralise(str(error), 200)}", "warning")
            return

        def named(name: str | None) -> None:
            if not name:
                return
            kept = self._settings.save_filter(name, text.strip())
            if kept is None:
                self._notify(f"{MAX_FILTERS} filters are saved: forget one first", "warning")
            else:
                self._notify(f"The filter is saved as {neutralise(kept, MAX_FILTER_NAME)}", about="filters")

        self._app.push_screen(NameScreen(text.strip()), named)

    def forget(self) -> None:
        """Ask which of the saved filters to forget."""

        def chosen(name: str | None) -> None:
            if name is not None:
                self._settings.forget_filter(name)
                self._notify(f"The filter {neutralise(name, MAX_FILTER_NAME)} is forgotten", about="filters")

        self._ask("Forget a filter", chosen)

    def _ask(self, title: str, chosen: Callable[[str | None], None]) -> None:
        filters = self._settings.now.filters
        if filters:
            self._app.push_screen(ChooseScreen(title, dict(filters)), chosen)
        else:
            self._notify("No filter is saved yet: type one, then save it", "warning")


class ChooseScreen(ModalScreen[str | None]):
    """One line for each saved filter; answers with the name of the chosen one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", show=False, priority=True),
    ]

    def __init__(self, title: str, filters: dict[str, str]) -> None:
        super().__init__()
        self._title, self._filters = title, filters

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            yield Static(Content.assemble((self._title, "bold"), ("  ⏎ chooses\n", "dim")))
            yield ListLines()
            yield Button("Back (Esc)", compact=True)

    def on_mount(self) -> None:
        lines = self.query_one(ListLines)
        lines.styles.height = min(LINES, len(self._filters))
        lines.set_lines(
            [
                [(f" {fit(neutralise(name, MAX_FILTER_NAME), 20)}  ", "strong"), (neutralise(text, 200), "dim")]
                for name, text in self._filters.items()
            ]
        )
        lines.focus()

    def on_button_pressed(self) -> None:
        self.dismiss(None)

    def action_close(self) -> None:
        self.dismiss(None)

    def on_line_list_opened(self, event: LineList.Opened) -> None:
        event.stop()
        self.dismiss(list(self._filters)[event.row])


class NameScreen(ModalScreen[str | None]):
    """Asks for the name of a filter."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back", key_display="Esc")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            yield Static(Content.assemble(("Save this filter", "bold"), (f"  {neutralise(self._text, 100)}", "dim")))
            yield Input(placeholder="a name for it", compact=True, max_length=MAX_FILTER_NAME, id="filter-name")
            with Horizontal(classes="dialogue-buttons"):
                yield Button("Save (⏎)", variant="primary", id="go", compact=True)
                yield Button("Back (Esc)", id="cancel", compact=True)

    def on_input_submitted(self) -> None:
        self._save()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "go":
            self._save()
        else:
            self.dismiss(None)

    def action_cancel(self) -> None:
        self.dismiss(None)

    def _save(self) -> None:
        if name := self.query_one(Input).value.strip():
            self.dismiss(name)
