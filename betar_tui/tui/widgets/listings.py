"""The listings table: a header to click and a `LineList` of rows that keep their place.

The index orders all listings at any moment; the table holds the order it last took over. While the person moves, rows
stay where they are: changes are drawn in place, new rows gather, removed ones are struck out. `settle` takes over the
index's order, with the cursor staying on its listing and, as far as possible, on its line of the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from betar_tui.tui.actions import bindings
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.widgets import columns
from betar_tui.tui.widgets.lines import LineList, Span


class TableHeader(Widget):
    """The titles of the columns; a click sorts."""

    ALLOW_SELECT = False

    class Sort(Message):
        """A column was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, model: MarketModel) -> None:
        super().__init__()
        self._model = model

    def render(self) -> Content:
        """The titles, the sorted one with its direction."""
        sort, descending = self._model.index.sort
        parts = columns.header(self.size.width - 1, sort, descending)
        return Content.assemble(*((text, "bold" if here else "") for text, here in parts))

    def on_click(self, event: events.Click) -> None:
        """Sort by the column under the mouse."""
        if column := columns.column_at(self.size.width - 1, event.x):
            self.post_message(self.Sort(column))


class ListingRows(LineList):
    """The rows."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("table")]

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="rows")
        self._model = model
        self._held: list[str] = []
        self._known: set[str] = set()
        self._new: set[str] = set()
        self._generation = -1
        self._touched_at = float("-inf")
        self._cursor_id = ""

    @property
    def count(self) -> int:
        """How many rows are held."""
        return len(self._held)

    @property
    def held(self) -> Sequence[str]:
        """The ids of the rows as shown."""
        return self._held

    @property
    def new_count(self) -> int:
        """How many rows wait to be shown."""
        return len(self._new)

    @property
    def current(self) -> str:
        """The id of the listing under the cursor, or nothing."""
        return self._held[self.cursor] if 0 <= self.cursor < len(self._held) else ""

    def spans(self, row: int, width: int) -> Sequence[Span]:
        """One listing."""
        listing_id = self._held[row]
        listing = self._model.listing(listing_id)
        if listing is None:
            return [("  …", "dim")]
        model = self._model
        # The scrollbar may or may not be there; columns are placed as if it were, so that they never jump.
        return columns.cells(listing, model.mark(listing_id), model.clock(), model.own_id, self.size.width - 2)

    def touch(self) -> None:
        """The person is moving: keep the rows still from now on."""
        self._touched_at = self._model.clock()
        self._cursor_id = self.current

    def idle_for(self) -> float:
        """Seconds since the person last moved."""
        return self._model.clock() - self._touched_at

    def take(self, news: News, settle: float) -> None:
        """Follow news of the model: in place, or by taking over the order where nobody is moving."""
        if news.replaced or not self._held or self.idle_for() >= settle:
            self.settle()
            return
        index = self._model.index
        for listing_id in news.ids:
            if listing_id not in self._known and index.shows(listing_id):
                self._new.add(listing_id)
            else:
                self._new.discard(listing_id)
        self.refresh()

    def settle(self, *, top: bool = False, other: bool = False) -> None:
        """Take over the index's order. `top` puts the cursor on the first row; `other` says that these are other rows,
        so that a cursor whose listing is gone begins anew."""
        self._new.clear()
        generation = self._model.index.generation
        if generation == self._generation and not top:
            self.refresh()
            return
        self._generation = generation
        line = self.cursor - self.scroll_offset.y
        at_top = self.scroll_offset.y == 0
        current = "" if top else self._cursor_id
        self._held = list(self._model.index.rows)
        self._known = set(self._held)
        self._model.forget_gone(self.current)
        lost = 0 if top or other or not current else self.cursor
        position = self._held.index(current) if current in self._known else lost
        self.recount()
        height = self.scrollable_content_region.height
        self.cursor = position
        if top or (at_top and self.cursor < height):
            self.scroll_to(y=0, animate=False)
        else:
            self.scroll_to(y=max(0, self.cursor - line), animate=False)
        if current and current not in self._known:
            self._cursor_id = self.current
        self._moved(False)

    def go_to(self, listing_id: str) -> bool:
        """Put the cursor on a listing; False if no row shows it."""
        if listing_id not in self._known:
            self.settle()
        if listing_id not in self._known:
            return False
        self.cursor = self._held.index(listing_id)
        self.touch()
        self.call_after_refresh(self.show_cursor)
        return True


class ListingTable(Vertical):
    """Header and rows."""

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="table")
        self._model = model

    def compose(self) -> ComposeResult:
        """Header above rows."""
        yield TableHeader(self._model)
        yield ListingRows(self._model)
