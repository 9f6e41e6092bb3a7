"""`ListLines`: a `LineList` of lines that are all at hand."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from betar_tui.tui.keybindings import bindings
from betar_tui.tui.widgets.lines import LineList, Span


class ListLines(LineList):
    """The lines that it was given last."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list_lines", first=True)]

    def __init__(self) -> None:
        super().__init__(id="list-lines")
        self._lines: Sequence[Sequence[Span]] = ()

    @property
    def count(self) -> int:
        """Number of lines."""
        return len(self._lines)

    def spans(self, row: int, width: int) -> Sequence[Span]:
        """One line."""
        return self._lines[row]

    def set_lines(self, lines: Sequence[Sequence[Span]], *, at_end: bool = False) -> None:
        """Show these lines; `at_end` follows the last one while the cursor is there."""
        follow = at_end and self.cursor >= self.count - 1
        self._lines = lines
        self.recount()
        self.cursor = self.count - 1 if follow else self.cursor
        if follow:
            self.show_cursor()
