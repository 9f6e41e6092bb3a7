"""What a person does with the table of the main screen: filter, sort, take in what is new."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

from textual.widgets import Input

from betar_tui.market.marketplace import ListingPage
from betar_tui.market.sorting import SORT_COLUMNS
from betar_tui.market.text import neutralise
from betar_tui.tui.filtering import Filtering
from betar_tui.tui.model import News
from betar_tui.tui.screens.model_screen import ModelScreen
from betar_tui.tui.widgets.filterbar import FilterBar, FilterInput
from betar_tui.tui.widgets.listings import ListingRows, TableHeader
from betar_tui.tui.window import Cause, Kind, Request


class TableActions(ModelScreen[None]):
    """The part of the main screen that has the table and its filter."""

    _filtering: Filtering

    @property
    def _rows(self) -> ListingRows:
        return self.query_one(ListingRows)

    @abstractmethod
    def focus_pane(self, name: str) -> None:
        """Go to a pane."""

    @property
    def resting(self) -> bool:
        """Whether the person has not moved for a while, so that rows may move."""
        return all(rows.idle_for() >= self._options.settle for rows in self.query(ListingRows))

    def next_request(self) -> Request | None:
        """The page that the table needs now; None if there is none, or while the screen opens or closes."""
        return next((rows.next_request(self._options.settle) for rows in self.query(ListingRows)), None)

    def take_page(self, request: Request, page: ListingPage) -> None:
        """Show rows that have come."""
        rows, table = self._rows, self._model.table
        asked = request.cause is Cause.PERSON and request.view == table.wanted
        if asked and not page.listings and self._filtering.found_nothing():
            self._ask_for_filter()
            return
        before = rows.position()
        around = request.kind is Kind.AROUND and request.view == table.window.view
        estimate = before.anchor_row - request.limit // 2 if around else None
        taken = table.take(request, page, before.y, estimate)
        if taken is None:
            return
        rows.place(before, taken)
        if request.cause is Cause.LOAD and self._filtering.failed:
            # It could not be asked for while the peer was lost.
            self._apply_filter(self._filtering.text)
        if request.target and rows.current != request.target:
            self._missed(request)

    def counted(self, matches: int) -> None:
        """Show the exact number of matches."""
        self._rows.shift(self._model.table.window.counted(matches))
        self._show_filter()

    def filter_failed(self, error: str) -> None:
        """The peer refuses the filter, or cannot be asked."""
        self._filtering.error, self._filtering.failed = error, True
        self._show_filter()

    def _missed(self, request: Request) -> None:
        """The listing that the person wants to go to is not among the rows."""
        if request.may_miss:
            self._actions.notify("The filter hides what was just published", "warning")
        elif request.view.query:
            self.query_one(FilterBar).input.value = ""
            self._filtering.apply("")
            self._rows.show_view(replace(request.view, query=""), target=request.target)
        else:
            self._actions.notify("It is no longer listed", "warning")

    def _show_filter(self) -> None:
        table, filtering = self._model.table, self._filtering
        bar = self.query_one(FilterBar)
        new = self._rows.new_count
        waiting = f"↑ {new} new ({self._model.keys.name('show_new')})  " if new else ""
        matches = f"{table.window.matches:,}{'' if table.window.exact else '+'}"
        filtered = bool(table.window.view.query)
        bar.update_verdict(
            matches if filtered else "", table.total, filtering.error, filtering.hint, waiting, table.muted_count
        )

    def on_table_header_sort(self, event: TableHeader.Sort) -> None:
        column, descending = self._model.table.wanted.order
        self._sort(event.column, not descending if column == event.column else False)

    def on_input_changed(self, event: Input.Changed) -> None:
        if isinstance(event.input, FilterInput):
            self._apply_filter(event.value, typing=True)

    def action_show_new(self) -> None:
        self._rows.take_in()

    def action_sort(self) -> None:
        column, _ = self._model.table.wanted.order
        self._sort(SORT_COLUMNS[(SORT_COLUMNS.index(column) + 1) % len(SORT_COLUMNS)], False)

    def action_reverse(self) -> None:
        column, descending = self._model.table.wanted.order
        self._sort(column, not descending)

    def action_saved_filters(self) -> None:
        self._actions.filters.choose(self.filter_by)

    def action_save_filter(self) -> None:
        self._actions.filters.save(self.query_one(FilterBar).input.value)

    def action_forget_filter(self) -> None:
        self._actions.filters.forget()

    def _sort(self, column: str, descending: bool) -> None:
        if column not in SORT_COLUMNS:
            self._actions.notify(f"The table can be sorted by {', '.join(SORT_COLUMNS)}", "warning")
            return
        sort = f"-{column}" if descending else column
        self._model.settings.change(sort=sort)
        self._rows.show_view(replace(self._model.table.wanted, sort=sort))

    def follow(self, listing_id: str) -> None:
        """Put the cursor on a listing that was just published, unless the filter hides it."""
        if not self._rows.go_to(listing_id):
            self._rows.show_view(self._model.table.wanted, target=listing_id, may_miss=True)

    def filter_by(self, text: str | None) -> None:
        """Set the filter of the table; None leaves it as it is."""
        if text is not None:
            text = neutralise(text)
            self.query_one(FilterBar).input.value = text
            self._apply_filter(text)
            self.focus_pane("listings")

    def _apply_filter(self, text: str, *, typing: bool = False) -> None:
        before = self._filtering.error
        if self._filtering.apply(text, typing=typing):
            self._ask_for_filter()
        self._show_filter()
        if self._filtering.error != before and not self._rows.count:
            self.sync(News(status=True))  # the empty table says why it is

    def _ask_for_filter(self) -> None:
        wanted = self._model.table.wanted
        if self._filtering.query != wanted.query:
            self._rows.show_view(replace(wanted, query=self._filtering.query))

    def mute(self) -> None:
        """Show the rows without the sellers that are muted now."""
        wanted = self._model.table.wanted
        self._rows.show_view(replace(wanted, muted=self._model.settings.now.muted))
