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
        self._keys: list[str] = []

    @property
    def count(self) -> int:
        """Number of lines."""
        return len(self._lines)

    def spans(self, row: int, width: int) -> Sequence[Span]:
        """One line."""
        return self._lines[row]

    def set_lines(
        self, lines: Sequence[Sequence[Span]], *, at_end: bool = False, keys: Sequence[str] | None = None
    ) -> None:
        """Show these lines. `at_end` follows the last one while the cursor is there; with `keys`, one for each line, the
        cursor stays on the line of its key, as long as there is one."""
        follow = at_end and self.cursor >= self.count - 1
        key = self._keys[self.cursor] if self.cursor < len(self._keys) else ""
        self._lines, self._keys = lines, list(keys or ())
        at = self._keys.index(key) if key in self._keys else self.cursor
        by = at - self.cursor
        self.recount()
        self.cursor = self.count - 1 if follow else at
        if follow:
            self.show_cursor()
        elif by and self.scroll_offset.y:
            self.scroll_to(y=max(0, self.scroll_offset.y + by), animate=False)

    def go_to(self, key: str) -> bool:
        """Put the cursor on the line of a key; False if there is none."""
        if key not in self._keys:
            return False
        self.cursor = self._keys.index(key)
        self.show_cursor()
        return True
