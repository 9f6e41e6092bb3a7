"""The base of the screens that are a list: status, a line about the list, the lines, keys."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from betar_tui.tui.keybindings import bindings
from betar_tui.tui.model import News
from betar_tui.tui.screens.model_screen import ModelScreen
from betar_tui.tui.widgets.banner import Banner
from betar_tui.tui.widgets.keyline import KeyLine
from betar_tui.tui.widgets.lines import LineList, Span
from betar_tui.tui.widgets.listlines import ListLines
from betar_tui.tui.widgets.pane import Pane, PaneState
from betar_tui.tui.widgets.status import StatusBar


class ListScreen(ModelScreen[None]):
    """Subclasses fill it from `show`, and ask the peer for more in `ask`."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list_screen", "navigation", first=True)]
    SCOPE = "list_screen"
    TITLE = ""
    LINES = ListLines

    def compose(self) -> ComposeResult:
        yield StatusBar(self._model, self._options.title)
        yield Banner(self._model)
        yield Static("", id="list-head")
        yield Pane("list", self.TITLE, [self.LINES()])
        yield KeyLine(self._model)

    def on_mount(self) -> None:
        self.lines.focus()
        self.show()
        self.ask()

    @property
    def lines(self) -> ListLines:
        """The lines."""
        return self.query_one(ListLines)

    def show_lines(
        self,
        head: Content,
        lines: Sequence[Sequence[Span]],
        state: PaneState | None,
        *,
        at_end: bool = False,
        keys: Sequence[str] | None = None,
    ) -> None:
        """Show these lines, or `state` if there are none, below a line of `head`; `at_end` and `keys` as in `set_lines`."""
        self.query_one("#list-head", Static).update(Content.assemble((f" {self.TITLE} ", "bold $accent"), "  ", head))
        self.lines.set_lines(lines, at_end=at_end, keys=keys)
        self.query_one(Pane).show(None if lines else state)
        self.refresh_keys()

    def show(self) -> None:
        """Draw the list from the data at hand."""

    def ask(self) -> None:
        """Ask the peer for the data."""

    def sync(self, news: News) -> None:
        super().sync(news)
        self.show()

    def hint(self, action_id: str, label: str) -> str:
        """The label of a key in the footer; "" for the key that opens a line of an empty list."""
        return "" if action_id == "open" and not self.lines.count else super().hint(action_id, label)

    def action_back(self) -> None:
        self.dismiss(None)

    def action_retry(self) -> None:
        self.ask()

    def on_line_list_opened(self, event: LineList.Opened) -> None:
        event.stop()
        if self.lines.count:
            self.open(event.row)

    def open(self, row: int) -> None:
        """Look closer at a line."""
