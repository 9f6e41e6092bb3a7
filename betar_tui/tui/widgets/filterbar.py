"""The filter line: the filter, and at its right the number of rows that it leaves or its error."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static


class FilterInput(Input):
    """An input that returns the focus to the table."""

    # Without priority: keys typed ahead of Enter must be in the filter when it is applied.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.filter_done", "Back to the table", key_display="⏎"),
        Binding("escape,down", "screen.filter_done", "Back to the table", show=False),
    ]


class FilterBar(Horizontal):
    """The filter with its verdict, the result or the error, at the right."""

    def compose(self) -> ComposeResult:
        yield Static(" /", id="slash")
        yield FilterInput(
            placeholder="filter: words  price<0.5  seller:12D3  state:new  !word",
            compact=True,
            id="filter",
            select_on_focus=False,
        )
        yield Static("", id="verdict")

    @property
    def input(self) -> Input:
        """The input."""
        return self.query_one("#filter", Input)

    _shown: tuple[str, str] | None = None

    def update_verdict(self, shown: str, total: int, error: str, hint: str, waiting: str, muted: int = 0) -> None:
        """Show the number of rows, or the error; `shown` is empty without a filter. `waiting` announces rows that are not in
        the table yet."""
        self.set_class(bool(error), "-wrong")
        if error:
            self._show("", f"! {error} ")
        elif hint:
            self._show("dim", f"… {hint} ")
        else:
            count = f"{shown} of {total:,}" if shown else f"{total - muted:,}"
            self._show("", f"{count}, {muted:,} muted " if muted else f"{count} ", waiting)

    def _show(self, style: str, text: str, waiting: str = "") -> None:
        # The verdict is as wide as its text, so an update lays out the whole screen: only for another text.
        if self._shown != (waiting, text):
            self._shown = (waiting, text)
            verdict = self.query_one("#verdict", Static)
            verdict.update(Content.assemble((waiting, "bold $text-accent"), (text, style)))
