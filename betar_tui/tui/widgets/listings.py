"""The listings table: a clickable header and a `LineList` of rows that keep still while the person moves.

The index keeps all listings in order; the table shows the order that it applied last. While the person moves, rows stay
where they are: changes are drawn in place, new rows wait, removed ones are struck out. `apply_order` shows the index's
current order; the cursor stays on its listing and, as far as possible, on its line of the screen."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from betar_tui.tui.keybindings import bindings
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.widgets import columns
from betar_tui.tui.widgets.cells import cells
from betar_tui.tui.widgets.columns import Layout
from betar_tui.tui.widgets.lines import LineList, Span


class TableHeader(Widget):
    """The titles of the columns; a click sorts by one, or scrolls at an arrow."""

    ALLOW_SELECT = False

    class Sort(Message):
        """A column was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, model: MarketModel, rows: "ListingRows") -> None:
        super().__init__()
        self._model = model
        self._rows = rows
        self._drawn: list[tuple[str, bool]] = []

    def render(self) -> Content:
        self._drawn = self._parts()
        return Content.assemble(*((text, "bold" if here else "") for text, here in self._drawn))

    def redraw(self) -> None:
        """Draw again if a title has changed."""
        if self._drawn != self._parts():
            self.refresh()

    def _parts(self) -> list[tuple[str, bool]]:
        sort, descending = self._model.index.sort
        return columns.header(self.size.width - 1, sort, descending, self._rows.current_layout)

    def on_click(self, event: events.Click) -> None:
        width, layout = self.size.width - 1, self._rows.current_layout
        if by := columns.scroll_at(width, event.x, layout):
            self._rows.action_columns(by)
        elif column := columns.column_at(width, event.x, layout):
            self.post_message(self.Sort(column))


class ListingRows(LineList):
    """The rows of the table."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("table", first=True)]

    class Scrolled(Message):
        """Other columns are in sight."""

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="rows")
        self._model = model
        self._skip = 0
        self._slots: list[int] = []
        self._slot_set: set[int] | None = None
        self._new: set[str] = set()
        self._generation = -1
        self._touched_at = float("-inf")
        self._cursor_id = ""

    @property
    def count(self) -> int:
        """Number of rows shown."""
        return len(self._slots)

    @property
    def new_count(self) -> int:
        """Number of new listings that wait to be shown."""
        return len(self._new)

    @property
    def current(self) -> str:
        """The id of the listing under the cursor, or nothing."""
        return self.at(self.cursor)

    def at(self, row: int) -> str:
        """The id of the listing of a row, or nothing."""
        listing = self._model.listing_at(self._slots[row]) if 0 <= row < len(self._slots) else None
        return listing.id if listing else ""

    def spans(self, row: int, width: int) -> Sequence[Span]:
        """The cells of one listing."""
        model = self._model
        listing = model.listing_at(self._slots[row])
        if listing is None:
            return [("  …", "dim")]
        # Columns always leave room for the scrollbar, so that they never jump.
        mark, at = model.mark(listing.id), model.clock()
        return cells(listing, mark, at, model.own_id, self.size.width - 2, self.current_layout)

    @property
    def current_layout(self) -> Layout:
        """The columns of the settings, as they are scrolled now."""
        settings = self._model.settings.now
        layout = Layout(settings.columns, columns.GAPS[settings.density])
        if not self._skip:
            return layout
        most = columns.max_skip(self.size.width - 1, layout)
        return Layout(layout.chosen, layout.gap, min(self._skip, most))

    def action_columns(self, by: int) -> None:
        most = columns.max_skip(self.size.width - 1, self.current_layout)
        skip = max(0, min(self.current_layout.skip + by, most))
        if skip != self._skip:
            self._skip = skip
            self.redraw()
            self.post_message(self.Scrolled())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown | None = None) -> None:
        """With Shift the wheel scrolls columns."""
        if event is not None and event.shift:
            self.action_columns(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp | None = None) -> None:
        """With Shift the wheel scrolls columns."""
        if event is not None and event.shift:
            self.action_columns(-1)

    def on_mouse_scroll_right(self) -> None:
        self.action_columns(1)

    def on_mouse_scroll_left(self) -> None:
        self.action_columns(-1)

    def touch(self) -> None:
        """Note that the person moves: the rows keep their order for a while."""
        self._touched_at = self._model.clock()
        self._cursor_id = self.current

    def idle_for(self) -> float:
        """Seconds since the person last moved."""
        return self._model.clock() - self._touched_at

    def apply_news(self, news: News, idle: float) -> None:
        """Show changes of the model: in place, or in the new order after `idle` seconds without a move."""
        if news.replaced or not self._slots or self.idle_for() >= idle:
            self.apply_order()
            return
        index = self._model.index
        for listing_id in news.ids:
            if not self._contains(listing_id) and index.shows(listing_id):
                self._new.add(listing_id)
            else:
                self._new.discard(listing_id)
        self.redraw()

    def _contains(self, listing_id: str) -> bool:
        """Whether a row shows this listing."""
        if self._slot_set is None:
            # Built on demand: needed only when changes arrive while the person moves.
            self._slot_set = set(self._slots)
        return self._model.index.slot(listing_id) in self._slot_set

    def apply_order(self, *, top: bool = False, refiltered: bool = False) -> None:
        """Show the index's current order.

        `top` puts the cursor on the first row; so does `refiltered` if the cursor's listing is gone."""
        self._new.clear()
        index = self._model.index
        if index.generation == self._generation and not top:
            self.redraw()
            return
        self._generation = index.generation
        line = self.cursor - self.scroll_offset.y
        at_top = self.scroll_offset.y == 0
        current = "" if top else self._cursor_id
        was_current = self.current
        self._slots, self._slot_set = index.slots(), None
        slot = index.slot(current) if current and index.shows(current) else None
        self._model.forget_gone(was_current)
        lost = 0 if top or refiltered or not current else self.cursor
        position = lost if slot is None else self._slots.index(slot)
        self.recount()
        self.cursor = position
        self._keep_line(top or (at_top and self.cursor < self.scrollable_content_region.height), line)
        if current and slot is None:
            self._cursor_id = self.current
        if self.current != was_current:
            self._post_moved(False)

    def _keep_line(self, home: bool, line: int) -> None:
        """Scroll the cursor back to its line of the screen."""
        y = 0 if home else max(0, self.cursor - line)
        if y != self.scroll_offset.y:
            self.scroll_to(y=y, animate=False)

    def go_to(self, listing_id: str) -> bool:
        """Put the cursor on a listing; False if the filter hides it."""
        if not self._contains(listing_id):
            self.apply_order()
        slot = self._model.index.slot(listing_id)
        if slot is None or not self._contains(listing_id):
            return False
        self.cursor = self._slots.index(slot)
        self.touch()
        self.call_after_refresh(self.show_cursor)
        return True


class ListingTable(Vertical):
    """Header and rows."""

    def __init__(self, model: MarketModel) -> None:
        super().__init__(id="table")
        self._model = model

    def compose(self) -> ComposeResult:
        rows = ListingRows(self._model)
        yield TableHeader(self._model, rows)
        yield rows

    def on_listing_rows_scrolled(self, event: ListingRows.Scrolled) -> None:
        event.stop()
        self.query_one(TableHeader).redraw()
