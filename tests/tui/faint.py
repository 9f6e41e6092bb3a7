"""What is on the screen and cannot be told from its ground."""

from __future__ import annotations

from collections.abc import Iterator

from rich.color import Color
from rich.segment import Segment
from textual.strip import Strip

from betar_tui.tui.contrast import DRAWN, TEXT, Rgb, as_shown, contrast, is_drawn
from tests.tui.ui import Ui

XTERM = (
    "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff"
)
LINUX = (
    "000000 aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa aaaaaa 555555 ff5555 55ff55 ffff55 5555ff ff55ff 55ffff ffffff"
)
PALETTES = {name: text.split() for name, text in (("xterm", XTERM), ("linux", LINUX))}
GROUNDS = {True: ("ffffff", "000000"), False: ("000000", "ffffff")}
"""The default colours, of text and of its ground, by whether the theme is dark."""


def hex_rgb(text: str) -> Rgb:
    """The colour of six hexadecimal digits."""
    return int(text[:2], 16), int(text[2:4], 16), int(text[4:], 16)


def shown(colour: Color | None, ui: Ui, palette: str, *, text: bool) -> Rgb:
    """The colour that the terminal shows."""
    if colour is not None and colour.triplet is not None:
        depth = ui.app.console.color_system
        return as_shown((colour.triplet.red, colour.triplet.green, colour.triplet.blue), depth or "")
    if colour is None or colour.is_default:
        return hex_rgb(GROUNDS[ui.app.current_theme.dark][0 if text else 1])
    return hex_rgb(PALETTES[palette][colour.number or 0])


def pieces(ui: Ui) -> Iterator[Segment]:
    """All that is in sight, with the screen behind a dialogue."""
    update = ui.app.screen._compositor.render_update(full=True, screen_stack=ui.app._background_screens)
    for line in update.strips:  # type: ignore[union-attr]
        yield from Strip.join(line)


def faint(ui: Ui, palette: str = "xterm") -> list[str]:
    """The pieces with too little contrast."""
    found: dict[str, None] = {}
    for piece in pieces(ui):
        style = piece.style
        if not piece.text.strip() or style is None:
            continue
        ratio = contrast(shown(style.color, ui, palette, text=True), shown(style.bgcolor, ui, palette, text=False))
        if ratio < (DRAWN if is_drawn(piece.text) else TEXT):
            found[f"{ratio:.2f} {style} {piece.text.strip()[:40]!r}"] = None
    return list(found)
