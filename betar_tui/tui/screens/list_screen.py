"""A place of its own beside the market: status, a line of what it is about, lines to walk through, keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from betar_tui.tui.keybindings import bindings
from betar_tui.tui.listing_actions import ListingActions
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.screens.beside import BesideScreen
from betar_tui.tui.widgets.banner import Banner
from betar_tui.tui.widgets.keyline import KeyLine
from betar_tui.tui.widgets.lines import LineList, Span
from betar_tui.tui.widgets.pane import Pane, PaneState
from betar_tui.tui.widgets.status import StatusBar


class PlaceLines(LineList):
    """Lines that a place gives it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("placelines", first=True)]

    def __init__(self) -> None:
        super().__init__(id="place-lines")
        self._lines: Sequence[Sequence[Span]] = ()

    @property
    def count(self) -> int:
        """How many lines."""
        return len(self._lines)

    def spans(self, row: int, width: int) -> Sequence[Span]:
        """One line."""
        return self._lines[row]

    def tell(self, lines: Sequence[Sequence[Span]], *, at_end: bool = False) -> None:
        """Show these lines; `at_end` follows the last one while the cursor is there."""
        follow = at_end and self.cursor >= self.count - 1
        self._lines = lines
        self.recount()
        self.cursor = self.count - 1 if follow else self.cursor
        if follow:
            self.show_cursor()


class ListScreen(BesideScreen[None]):
    """The base of the places."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("place", first=True)]
    SCOPE = "place"
    TITLE = ""
    LINES = PlaceLines

    def __init__(self, model: MarketModel, actions: ListingActions, options: TuiOptions) -> None:
        super().__init__()
        self._model, self._actions, self._options = model, actions, options

    def compose(self) -> ComposeResult:
        """The parts."""
        yield StatusBar(self._model, self._options.title)
        yield Banner(self._model)
        yield Static("", id="place-head")
        yield Pane("place", self.TITLE, [self.LINES()])
        yield KeyLine(self._model)

    def on_mount(self) -> None:
        """Show what is known, and ask for the rest."""
        self.lines.focus()
        self.show()
        self.ask()

    @property
    def lines(self) -> PlaceLines:
        """The lines."""
        return self.query_one(PlaceLines)

    def tell(self, head: Content, lines: Sequence[Sequence[Span]], state: PaneState | None, **how: bool) -> None:
        """Fill in the place; `state` takes the lines' place where there are none."""
        self.query_one("#place-head", Static).update(Content.assemble((f" {self.TITLE} ", "bold $accent"), "  ", head))
        self.lines.tell(lines, **how)
        self.query_one(Pane).show(None if lines else state)

    def show(self) -> None:
        """Draw the place from what is known."""

    def ask(self) -> None:
        """Ask the peer for what the place shows."""

    def sync(self, news: News) -> None:
        """Follow the model."""
        self.query_one(StatusBar).refresh()
        self.show()

    def tick(self) -> None:
        """A second has passed."""
        self.query_one(StatusBar).refresh()

    def action_back(self) -> None:
        """Back to the market."""
        self.dismiss(None)

    def action_retry(self) -> None:
        """Ask again."""
        self.ask()

    def on_line_list_opened(self, event: LineList.Opened) -> None:
        """A line was chosen."""
        event.stop()
        if self.lines.count:
            self.open(event.row)

    def open(self, row: int) -> None:
        """Look closer at a line."""
