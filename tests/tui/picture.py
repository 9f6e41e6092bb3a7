"""The screen as text: its letters line by line, and the colours of each line in runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Markdown

from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.widgets.detail import DetailView
from tests.tui.ui import Ui

CALM = 3
"""Number of equal frames in a row that count as rest."""

Frame = list[tuple[str, tuple[tuple[int, str], ...]]]
"""Each line: its letters, and its runs as (cells, style)."""


def frame(ui: Ui) -> Frame:
    """All that is in sight, with the screen behind a dialogue."""
    app = ui.app
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    return [_line(Strip.join(pieces)) for pieces in update.strips]  # type: ignore[union-attr]


def _line(strip: Strip) -> tuple[str, tuple[tuple[int, str], ...]]:
    segments = [segment for segment in strip if segment.text]
    runs = groupby(segments, lambda segment: describe(segment.style))
    text = "".join(segment.text for segment in segments).rstrip()
    return text, tuple((sum(each.cell_length for each in run), style) for style, run in runs)


@cache
def describe(style: Style | None) -> str:
    """A style in words, as far as it can be seen."""
    if style is None:
        return "plain"
    marks = ("bold", "dim", "italic", "underline", "reverse", "strike", "blink")
    words = [mark for mark in marks if getattr(style, mark)]
    if style.color:
        words.append(style.color.get_truecolor().hex)
    if style.bgcolor:
        words.append(f"on {style.bgcolor.get_truecolor().hex}")
    return " ".join(words) or "plain"


def as_text(letters: Sequence[str], frames: dict[str, Frame]) -> str:
    """A picture of one size as a file: the letters once, then the colours in each theme."""
    parts = [f"{number:2}|{line}" for number, line in enumerate(letters, 1)]
    for theme, lines in frames.items():
        parts += ["", *_colours(theme, lines)]
    return "\n".join(parts) + "\n"


def _colours(theme: str, lines: Frame) -> list[str]:
    """The styles under letters of their own, then the runs; lines of the same colours share an entry."""
    names: dict[str, str] = {}
    same: dict[str, list[int]] = {}
    for number, (_, runs) in enumerate(lines, 1):
        entry = " ".join(f"{cells}{names.setdefault(style, _name(len(names)))}" for cells, style in runs)
        same.setdefault(entry, []).append(number)
    legend = [f"  {name} {style}" for style, name in names.items()]
    return [theme, *legend, *(f"{_ranges(numbers)}: {entry}" for entry, numbers in same.items())]


def _name(number: int) -> str:
    rest, last = divmod(number, 26)
    return (_name(rest - 1) if rest else "") + chr(ord("a") + last)


def _ranges(numbers: list[int]) -> str:
    """1-3,7: the numbers, shorter."""
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if run[1:] else str(run[0]) for run in runs)


async def at_rest(ui: Ui) -> Frame:
    """Wait until nothing changes any more: every answer has come, and no cursor blinks."""
    looks: list[Frame] = []

    def calm() -> bool:
        _steady(ui)
        looks.append(frame(ui))
        return len(looks) >= CALM and all(look == looks[-1] for look in looks[-CALM:])

    await ui.until(
        lambda: all(_is_complete(ui, view) for view in ui.app.screen.query(DetailView)), "the listing in full"
    )
    await ui.until(calm, "the screen is at rest")
    return looks[-1]


def _steady(ui: Ui) -> None:
    for widget in ui.app.screen.query(Widget):
        if getattr(widget, "cursor_blink", False):
            widget.cursor_blink = False  # type: ignore[attr-defined]


def _is_complete(ui: Ui, view: DetailView) -> bool:
    """Whether the history of the listing under the cursor has come, or an error; or the fake holds it back."""
    if not view.display or not view.size.area:
        return True
    screen, listing = ui.app.screen, ui.app.model.listing(view.listing_id)
    if isinstance(screen, MainScreen) and view.listing_id != screen.current:
        return False
    if listing is not None and not any(each.children for each in view.query(Markdown)):
        return False
    if listing is None or view._error or "show" in ui.market.gates:
        return True
    return view._detail is not None and view._detail.listing == listing


def save_svg(ui: Ui, path: Path) -> None:
    """The screen for a look at it; without `xml:space` some converters swallow the spaces between columns."""
    path.write_text(ui.app.export_screenshot().replace("<text ", '<text xml:space="preserve" '))
