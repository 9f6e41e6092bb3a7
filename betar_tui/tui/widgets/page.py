"""`Page`: text that scrolls without a cursor, by the keys that move in lists."""

from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll

from betar_tui.tui.keybindings import bindings


class Page(VerticalScroll, can_focus=True):
    """The base of the page of a listing, of the page of a peer, and of the help."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("page", first=True)]

    def action_move(self, by: int) -> None:
        self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.scrollable_content_region.height - 1))

    def action_half_page(self, by: int) -> None:
        self.action_move(by * max(1, self.scrollable_content_region.height // 2))

    def action_edge(self, which: int) -> None:
        self.scroll_to(y=0 if which < 0 else self.max_scroll_y, animate=False)
