"""The listings table: a clickable header and a `LineList` of rows that keep still while the person moves.

The rows are those of the model's window; outside of it a row is "…" until its page comes. While the person moves, rows
stay where they are: changes are drawn in place, new rows wait, removed ones are struck out. When the person rests, or asks
for it, the window is asked for again; the cursor stays on its listing and, as far as possible, on its line of the
screen."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from betar_tui.tui.keybindings import bindings
from betar_tui.tui.model import MarketModel
from betar_tui.tui.table import Taken, anchor
from betar_tui.tui.widgets import columns
from betar_tui.tui.widgets.cells import cells
from betar_tui.tui.widgets.columns import Layout
from betar_tui.tui.widgets.lines import LineList, Span
from betar_tui.tui.window import Cause, Kind, Request, View, page_size

SPARE = 4
"""Number of rows below those in sight that a person waits for too, so that a move at once finds them there."""


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
        sort, descending = self._model.table.window.view.order
        return columns.header(self.size.width - 1, sort, descending, self._rows.current_layout)

    def on_click(self, event: events.Click) -> None:
        width, layout = self.size.width - 1, self._rows.current_layout
        if by := columns.scroll_at(width, event.x, layout):
            self._rows.action_columns(by)
        elif column := columns.column_at(width, event.x, layout):
            self.post_message(self.Sort(column))


@dataclass(frozen=True, slots=True)
class Position:
    """Where cursor and screen are before other rows come: the cursor's row and listing, the first row in sight, and a
    listing that stays in its place, with its row. `seen` says whether the cursor is in sight, `at_top` whether that is so at
    the beginning of the table."""

    cursor: int
    listing_id: str
    y: int
    anchor: str
    anchor_row: int
    seen: bool
    at_top: bool


class ListingRows(LineList):
    """The rows of the table. `ask` asks for a page at once, or for whatever is missing if it is given None."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("table", first=True)]

    class Scrolled(Message):
        """Other columns are in sight."""

    def __init__(self, model: MarketModel, ask: Callable[[Request | None], None]) -> None:
        super().__init__(id="rows")
        self._model, self._ask = model, ask
        self._skip = 0
        # Whether signed and unsigned listings are among the rows, so that a word has to tell them apart.
        self._mixed = False
        self._touched_at = float("-inf")
        # The listing that the cursor keeps once the person has moved, and that of its row, which the window may leave.
        self._following = False
        self._cursor_id = ""
        self._left = (-1, "")

    @property
    def count(self) -> int:
        """Number of rows, those included that are not loaded."""
        return self._model.table.window.count

    @property
    def new_count(self) -> int:
        """Number of new listings that wait to be shown."""
        return len(self._model.table.new)

    @property
    def current(self) -> str:
        """The id of the listing under the cursor, or nothing."""
        if found := self.at(self.cursor):
            return found
        row, listing_id = self._left
        return listing_id if row == self.cursor < self.count else ""

    def listing_of(self, row: int) -> str:
        """The id of the listing of a row, also of the cursor's while it is not loaded; or nothing."""
        return self.current if row == self.cursor else self.at(row)

    def at(self, row: int) -> str:
        """The id of the listing of a row, or nothing where it is not loaded."""
        return self._model.table.window.id_at(row)

    def spans(self, row: int, width: int) -> Sequence[Span]:
        """The cells of one listing."""
        model = self._model
        listing = model.table.window.listings.get(self.at(row))
        if listing is None:
            return [("  …", "dim")]
        # Columns always leave room for the scrollbar, so that they never jump.
        mark, at = model.mark(listing.id), model.clock()
        return cells(listing, mark, at, model.own_id, self.size.width - 2, self.current_layout, self._mixed)

    def recount(self) -> None:
        listings = self._model.table.window.listings.values()
        self._mixed = len({listing.provenance for listing in listings}) > 1
        super().recount()

    @property
    def current_layout(self) -> Layout:
        """The columns of the settings, as they are scrolled now."""
        settings = self._model.settings.now
        layout = Layout(settings.columns, columns.GAPS[settings.density])
        if not self._skip:
            return layout
        most = columns.max_skip(self.size.width - 1, layout)
        return Layout(layout.chosen, layout.gap, min(self._skip, most))

    async def action_versions(self) -> None:
        """Let the screen show the versions of the listing under the cursor."""
        await self.screen.run_action("versions")

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
        self._following, self._cursor_id = True, self.current
        self._remember()

    def idle_for(self) -> float:
        """Seconds since the person last moved; without end if the clock was set back since."""
        idle = self._model.clock() - self._touched_at
        return idle if idle >= 0 else math.inf

    # Asking for rows

    @property
    def _height(self) -> int:
        return self.scrollable_content_region.height or self.app.size.height

    def next_request(self, idle: float) -> Request | None:
        """What is missing on the screen, or the rows once more: after a load, or after changes and `idle` seconds without a
        move. None if there is nothing to ask for."""
        table = self._model.table
        if not table.window.loaded or table.reload or table.wanted != table.window.view:
            return self._again(Cause.LOAD) if table.reload else None
        top, height = self.scroll_offset.y, self._height
        if request := table.window.next_request(top, height, page_size(height)):
            return request
        return self._again(Cause.EVENTS) if table.dirty and self.idle_for() >= idle else None

    def take_in(self) -> None:
        """Show what is new, now."""
        self._ask(self._again(Cause.PERSON))

    def _again(self, cause: Cause) -> Request:
        """The rows about those in sight, or the first ones."""
        table, limit = self._model.table, page_size(self._height)
        around, kind, skip = self._cursor_id, Kind.FIRST, 0
        if table.wanted == table.window.view:
            around = self.position().anchor if self._following or self.scroll_offset.y else ""
            skip = 0 if around or not table.window.start else table.window.start
        if around or skip:
            kind = Kind.AROUND if around else Kind.SKIP
        return Request(table.wanted, kind, limit, cause, around=around, skip=skip)

    def show_view(self, view: View, *, target: str = "", may_miss: bool = False) -> None:
        """Ask for the rows of a view. The cursor goes to the listing `target`, which the filter `may_miss`; else it stays
        on its listing if that is among them, or goes to the one next to it if its seller is muted."""
        self._model.table.wanted = view
        around = target or self._heard(self._cursor_id, view.muted)
        kind = Kind.AROUND if around else Kind.FIRST
        # A person waits for what is in sight; the rest of a page follows.
        limit = page_size(self._height) if around else self._height + SPARE
        request = Request(view, kind, limit, Cause.PERSON, around=around, target=target, may_miss=may_miss)
        self._ask(request)

    def _heard(self, listing_id: str, muted: Sequence[str]) -> str:
        """The listing, or if its seller is muted the next one in the window whose seller is not; or the one before."""
        window = self._model.table.window
        row = window.row_of(listing_id) if listing_id else None
        if row is None or not muted:
            return listing_id
        near = (*range(row, window.end), *range(row - 1, window.start - 1, -1))
        ids = (window.id_at(each) for each in near)
        return next((each for each in ids if window.listings[each].seller_id not in muted), listing_id)

    def action_edge(self, which: int) -> None:
        """Go to the first or the last row, which may not be loaded yet."""
        window = self._model.table.window
        if which < 0 and not window.at_start:
            kind = Kind.FIRST
        elif which > 0 and not window.at_end:
            kind = Kind.LAST
        else:
            super().action_edge(which)
            return
        self._touched_at = self._model.clock()
        request = Request(self._model.table.wanted, kind, page_size(self._height), Cause.PERSON, top=which < 0)
        self._ask(request)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._ask(None)

    def on_resize(self) -> None:
        self._ask(None)

    # Showing rows

    def position(self) -> Position:
        """Where cursor and screen are now."""
        y, height = self.scroll_offset.y, self.scrollable_content_region.height
        in_sight = y <= self.cursor < y + max(height, 1)
        kept, row = anchor(self._model.table, self.cursor if in_sight else y)
        return Position(self.cursor, self.current, y, kept, row, in_sight, y == 0 and in_sight)

    def place(self, before: Position, taken: Taken) -> None:
        """Show the rows that have come, with cursor and screen where they were before, or where the request says."""
        request = taken.request
        if taken.shift is not None:
            self.shift(taken.shift)
        elif request.target or request.top or request.kind is Kind.LAST and request.cause is Cause.PERSON:
            self._go(request)
        elif request.kind in (Kind.SKIP, Kind.LAST) or request.cause is Cause.SCROLL:
            self.recount()
        else:
            self._keep(before, taken)
        self._model.forget_gone(before.listing_id)
        if self._following and self.current:
            self._cursor_id = self.current
        if self.current != before.listing_id:
            self._post_moved(False)
        self._remember()

    def shift(self, by: int) -> None:
        """All rows have other numbers, because an estimate was wrong: move cursor and screen with them."""
        y = self.scroll_offset.y
        if not by:
            self.recount()
            return
        row, listing_id = self._left
        self._left = (row + by, listing_id)
        self.set_reactive(LineList.cursor, max(0, self.cursor + by))
        self.recount()
        self.scroll_to(y=max(0, y + by), animate=False, immediate=True, force=True)
        super().refresh()

    def _go(self, request: Request) -> None:
        window = self._model.table.window
        self.recount()
        row = window.row_of(request.target) if request.target else None
        if request.kind is Kind.LAST:
            row = self.count - 1
        self._left = (-1, "")
        self.cursor = row or 0
        if row is None:
            self.scroll_to(y=0, animate=False)
        else:
            self.touch()
            self.call_after_refresh(self.show_cursor)

    def _keep(self, before: Position, taken: Taken) -> None:
        window, kept = self._model.table.window, self._cursor_id
        row = window.row_of(kept) if kept else None
        moved = window.row_of(before.anchor) if before.anchor else None
        by = 0 if moved is None else moved - before.anchor_row
        cursor, y = before.cursor + by, before.y + by
        near = window.row_of(taken.request.around) if taken.request.around else None
        if taken.refiltered and row is None and near is not None:
            # Its row has gone: the one next to it takes its place.
            cursor, y = near, near - (before.cursor - before.y)
        elif taken.refiltered and row is None or not (self._following or before.y):
            cursor = y = 0
        elif row is not None:
            cursor = row
            y = row - (before.cursor - before.y) if before.seen or taken.refiltered or moved is None else y
        elif before.seen and moved is not None:
            # The next listing has taken its place, or there is none but the one before.
            cursor = moved if before.anchor_row >= before.cursor else moved + 1
            y = cursor - (before.cursor - before.y)
        if before.at_top and cursor < self.scrollable_content_region.height:
            y = 0
        away = self._following and not before.seen and not taken.refiltered
        self._left = (cursor, kept) if away and row is None else (-1, "")
        self.recount()
        self.cursor = cursor
        if max(0, y) != self.scroll_offset.y:
            self.scroll_to(y=max(0, y), animate=False)

    def _remember(self) -> None:
        """Keep the listing under the cursor, whose row may leave the window."""
        listing_id = self.current
        listing = self._model.listing(listing_id) if listing_id else None
        self._left = (self.cursor, listing_id) if listing else (-1, "")
        if listing is not None and self._model.table.is_listed(listing_id):
            self._model.table.remember(listing)

    def go_to(self, listing_id: str) -> bool:
        """Put the cursor on a listing of the window; False if it is not there."""
        row = self._model.table.window.row_of(listing_id)
        if row is None or not self._model.table.stands(listing_id):
            return False
        self.cursor = row
        self.touch()
        self.call_after_refresh(self.show_cursor)
        return True


class ListingTable(Vertical):
    """Header and rows."""

    def __init__(self, model: MarketModel, ask: Callable[[Request | None], None]) -> None:
        super().__init__(id="table")
        self._model, self._ask = model, ask

    def compose(self) -> ComposeResult:
        rows = ListingRows(self._model, self._ask)
        yield TableHeader(self._model, rows)
        yield rows

    def on_listing_rows_scrolled(self, event: ListingRows.Scrolled) -> None:
        event.stop()
        self.query_one(TableHeader).redraw()
