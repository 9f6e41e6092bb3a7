"""`LineList`: a list of any length drawn line by line (Textual's Line API), with a cursor, keys and mouse.

Only visible lines are drawn, so the cost does not depend on the length of the list. A subclass gives the number of
lines and the spans of each.

Strips are cached by their content, together with what Textual derives from them on their way to the terminal, so a line
is drawn once. Textual's own cache, bypassed here, has lines by their position, which changes with scrolling."""

from collections.abc import Sequence
from typing import ClassVar, Self, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from betar_tui.tui.keybindings import bindings

Line = TypeVar("Line")

Span = tuple[str, str]
"""A piece of a line: text, and the names of its component classes without "lines--", separated by spaces."""

WHOLE = 10_000
"""More cells than any line has: the rest of the line."""
MAX_STRIPS = 500
"""Maximum strips in the cache, several screens full; the cache is cleared when it is full."""


class LineList(ScrollView, can_focus=True):
    """The base of the listings table and the activity log."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("lines", first=True)]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"lines--{name}"
        for name in ("cursor", "dim", "good", "warn", "bad", "accent", "strong", "flash", "gone", "bar")
    }

    cursor = reactive(0, repaint=False)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._drawn: dict[int, tuple[int, Sequence[Span]]] = {}
        # Colours are computed from all ancestors, so they are cached until a style changes.
        self._styles_by_name: dict[str, Style] = {}
        self._strips: dict[tuple[tuple[Span, ...], bool, bool, int, int], Strip] = {}
        # The valid strips in sight by their y, and the size for which they were drawn.
        self._visible: dict[int, Strip] = {}
        self._visible_size = Size()

    class Moved(Message, bubble=False):
        """The cursor is on another line, or was moved by the person. Posted to the screen only."""

        def __init__(self, lines: "LineList", by_person: bool) -> None:
            super().__init__()
            self.lines = lines
            self.by_person = by_person

    class Opened(Message):
        """A line was chosen. `row` is kept because keys typed ahead may move the cursor on."""

        def __init__(self, lines: "LineList") -> None:
            super().__init__()
            self.lines = lines
            self.row = lines.cursor

    # For subclasses

    @property
    def count(self) -> int:
        """Number of lines. The base class is empty."""
        return 0

    def spans(self, row: int, width: int) -> Sequence[Span]:
        """The spans of line `row`, which are cut or filled to the width."""
        return ()

    # Drawing

    def recount(self) -> None:
        """Adapt to a changed `count`, and redraw."""
        size = Size(self.scrollable_content_region.width or self.size.width, self.count)
        old = self.virtual_size.height
        if size.height != old:
            height = self.scrollable_content_region.height
            if (old > height) == (size.height > height) or not height:
                # The scrollbar neither comes nor goes: no layout is needed. A hidden list is laid out when it is shown.
                self.set_reactive(Widget.virtual_size, size)
                self._scroll_update(size)
            else:
                self.virtual_size = size
        self.redraw()

    def redraw(self) -> None:
        """Draw again only the cells whose content has changed."""
        top, width = self.scroll_offset.y, self.scrollable_content_region.width
        regions = []
        for y in range(self.scrollable_content_region.height):
            row = y + top
            spans = self.spans(row, width - 1) if row < self.count else ()
            drawn = self._drawn.get(y)
            if drawn is None or drawn[0] != width:
                regions.append(Region(0, y, width, 1))
            else:
                for start, end in _differences(drawn[1], spans):
                    regions.append(Region(1 + start, y, min(end, width - 1) - start, 1))
        if regions:
            self.refresh(*regions)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """All the width of the container."""
        return container.width

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Draw these regions again, or all without regions."""
        if regions:
            for region in regions:
                for y in region.line_range:
                    self._visible.pop(y, None)
        else:
            self._visible.clear()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The strips of a part of the widget, which has neither border nor padding."""
        size = self.region.size
        if size != self._visible_size:
            self._visible.clear()
            self._visible_size = size
        if missing := [y for y in crop.line_range if y not in self._visible]:
            width, background = self.scrollable_content_region.width, self.background_colors[1]
            for y in missing:
                strip = self._line(y, width, size.width)
                for line_filter in self.get_line_filters():
                    strip = strip.apply_filter(line_filter, background)
                self._visible[y] = strip
        strips = [self._visible[y] for y in crop.line_range]
        start, end = crop.column_span
        return strips if (start, end) == (0, size.width) else [strip.crop(start, end) for strip in strips]

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Move the lines, and the scrollbar if its thumb moves by an eighth of a cell."""
        if by := round(new_value) - round(old_value):
            visible, drawn = _scrolled(self._visible, by), _scrolled(self._drawn, by)
            self.refresh(self.size.region)
            self._visible, self._drawn = visible, drawn
        if self.show_vertical_scrollbar:
            bar = self.vertical_scrollbar
            eighths = 8 * self.size.height / max(1, self.max_scroll_y)
            if int(bar.position * eighths) != int(new_value * eighths):
                bar.position = new_value

    def render_line(self, y: int) -> Strip:
        return self._line(y, self.scrollable_content_region.width, self.region.width)

    def _line(self, y: int, width: int, outer: int) -> Strip:
        row = y + self.scroll_offset.y
        spans = self.spans(row, width - 1) if row < self.count else ()
        self._drawn[y] = (width, spans)
        key = (tuple(spans), row == self.cursor and row < self.count, self.has_focus, width, outer - width)
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) >= MAX_STRIPS:
                self._strips.clear()
            strip = self._strips[key] = self._draw(*key)
        return strip

    def _draw(self, spans: Sequence[Span], selected: bool, focused: bool, width: int, scrollbar: int) -> Strip:
        base = self._style_of("")
        if not spans and not selected:
            return Strip.blank(width + scrollbar, base)
        if selected:
            base += self._style_of("cursor")
            if focused:
                base += Style(bold=True)
        bar = ("▌" if focused else "▏") if selected else " "
        segments = [Segment(bar, base + self._style_of("bar") if selected else base)]
        left = width - 1
        for text, names in cut(spans, left):
            piece = Segment(text, base + self._style_of(names) if names else base)
            segments.append(piece)
            left -= piece.cell_length
        if left > 0:
            segments.append(Segment(" " * left, base))
        if scrollbar:
            # The cells of the scrollbar, shown or not.
            segments.append(Segment(" " * scrollbar, self._style_of("")))
        return Strip(segments, width + scrollbar)

    def notify_style_update(self) -> None:
        """Clear the caches: colours may have changed."""
        self._styles_by_name.clear()
        self._strips.clear()
        self._visible.clear()
        super().notify_style_update()

    def _style_of(self, names: str) -> Style:
        """The combined style of these component classes; the style of the list itself if there are none."""
        style = self._styles_by_name.get(names)
        if style is None:
            style = self._styles_by_name[names] = self._combine_styles(names) if names else self.rich_style
        return style

    def _combine_styles(self, names: str) -> Style:
        style = Style.null()
        for name in names.split():
            # The full style has its colours blended with the background; the partial one shows which were set.
            full = self.get_component_rich_style(f"lines--{name}")
            asked = self.get_component_rich_style(f"lines--{name}", partial=True)
            colours = Style(color=asked.color and full.color, bgcolor=asked.bgcolor and full.bgcolor)
            style += Style(bold=asked.bold, strike=asked.strike, reverse=asked.reverse) + colours
        return style

    # Moving

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor on a line."""
        return max(0, min(cursor, self.count - 1))

    def watch_cursor(self, old: int, new: int) -> None:
        self.refresh_line(old)
        self.refresh_line(new)
        self._post_moved(self._by_person)

    def show_cursor(self) -> None:
        """Scroll until the cursor is in sight."""
        height = self.scrollable_content_region.height
        top = round(self.scroll_target_y)
        if height <= 0:
            return
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)

    def action_move(self, by: int) -> None:
        self._move_by_person(self.cursor + by)
        self.show_cursor()

    _by_person = False

    def _move_by_person(self, row: int) -> None:
        """Move the cursor for the person; to stay at an end counts as a move too."""
        before = self.cursor
        self._by_person = True
        self.cursor = row
        self._by_person = False
        if self.cursor == before:
            self._post_moved(True)

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.scrollable_content_region.height - 1))

    def action_half_page(self, by: int) -> None:
        self.action_move(by * max(1, self.scrollable_content_region.height // 2))

    def action_edge(self, which: int) -> None:
        self.action_move(-self.count if which < 0 else self.count)

    def action_open(self) -> None:
        if self.count:
            self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        row = event.y + self.scroll_offset.y
        if not 0 <= row < self.count:
            return
        # A first click only takes the focus: it must not open the line that happens to be under the cursor.
        again = row == self.cursor and self._was_focused
        self._move_by_person(row)
        if again or event.chain >= 2:
            self.action_open()

    _was_focused = False

    def on_mouse_down(self) -> None:
        """Remember whether the list had the focus before this click."""
        self._was_focused = self.has_focus and self._clicked
        self._clicked = True

    _clicked = False

    def on_blur(self) -> None:
        self._clicked = False
        self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_mouse_scroll_down(self) -> None:
        """Report scrolling as a move, so that the table keeps its order for a while."""
        self._post_moved(True)

    on_mouse_scroll_up = on_mouse_scroll_down

    def _post_moved(self, by_person: bool) -> None:
        self.screen.post_message(self.Moved(self, by_person))


def cut(spans: Sequence[Span], width: int) -> Sequence[Span]:
    """The spans that fit in `width` cells; where letters are lost, the last cell is "…"."""
    reach = at = 0
    for text, _ in spans:
        if letters := text.rstrip():
            reach = at + cell_len(letters)
        at += cell_len(text)
    if at <= width:
        return spans
    left, end = (width, "") if reach <= width else (width - 1, "…")
    kept: list[Span] = []
    for text, names in spans:
        if (cells := cell_len(text)) >= left:
            kept.append((set_cell_size(text, left) + end, names))
            break
        kept.append((text, names))
        left -= cells
    return kept


def _scrolled(lines: dict[int, Line], by: int) -> dict[int, Line]:
    """Lines by their y, after scrolling `by` lines."""
    return {y - by: line for y, line in lines.items() if y >= by}


def _differences(old: Sequence[Span], new: Sequence[Span]) -> list[tuple[int, int]]:
    """The ranges of changed cells as (start, end); after a span of another width all cells have moved."""
    if old == new:
        return []
    if len(old) != len(new):
        return [(0, WHOLE)]
    found: list[tuple[int, int]] = []
    at = 0
    for before, now in zip(old, new, strict=True):
        cells = cell_len(now[0])
        if before != now:
            if cell_len(before[0]) != cells:
                return [*found, (at, WHOLE)]
            found.append((at, at + cells))
        at += cells
    return found
