"""Colours that can be told from their ground. Pure, apart from the filter that Textual calls for each line.

Contrast is that of WCAG 2: 1 for equal colours, 21 for black on white. Text has at least `TEXT`, and what is only drawn
(borders, bars, sparklines) at least `DRAWN`, in every theme: `Legible` moves a foreground that has less towards white or
black. On a terminal of 256 colours what counts is the contrast of the colours that it shows."""

from collections.abc import Mapping
from functools import lru_cache

from rich.color import Color as RichColor
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

TEXT = 4.5
"""Minimum contrast of text."""
DRAWN = 3.0
"""Minimum contrast of borders, bars and whatever else is drawn."""
MARGIN = 0.05
"""Contrast beyond the minimum, because colours are rounded to whole numbers."""
STEPS = 20
"""Number of steps from a colour to white or black."""
DEPTH_256 = "256"
"""Rich's name of the colours of a terminal that has 256 of them."""

Rgb = tuple[int, int, int]


def luminance(rgb: Rgb) -> float:
    """The relative luminance of a colour, from 0 (black) to 1 (white)."""
    red, green, blue = (_linear(part / 255) for part in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast of two colours, from 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@lru_cache(4096)
def as_shown(rgb: Rgb, depth: str = "") -> Rgb:
    """The colour that a terminal of this depth shows for `rgb`."""
    if depth != DEPTH_256:
        return rgb
    return _triplet(RichColor.from_rgb(*rgb).downgrade(ColorSystem.EIGHT_BIT))


@lru_cache(4096)
def raised(colour: Rgb, ground: Rgb, minimum: float, depth: str = "") -> Rgb:
    """`colour`, or the nearest one on its way to white or black that has the contrast on this ground."""
    shown = as_shown(ground, depth)
    end = 255 if luminance(shown) < 0.18 else 0
    for step in range(STEPS + 1):
        candidate = _blend(colour, (end, end, end), step / STEPS)
        if contrast(as_shown(candidate, depth), shown) >= minimum + (MARGIN if step else 0):
            return candidate
    return (end, end, end)


def is_drawn(text: str) -> bool:
    """Whether a text consists of lines and blocks."""
    return all("\u2500" <= char <= "\u259f" or char == " " for char in text)


class Legible(LineFilter):
    """Gives every piece of a line the contrast that it needs; `depth` is Rich's name of the terminal's colour system."""

    def __init__(self, depth: str = "") -> None:
        super().__init__()
        self._depth = depth

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The pieces, those with too little contrast in another colour."""
        ground = background.rgb
        return [
            piece
            if piece.style is None or piece.control or (not piece.text.strip() and not piece.style.reverse)
            else Segment(
                piece.text, _legible(piece.style, ground, DRAWN if is_drawn(piece.text) else TEXT, self._depth)
            )
            for piece in segments
        ]


class LegibleAnsi(LineFilter):
    """For themes of the terminal's own sixteen colours. Nobody knows those, but some are too close to the ground in the
    usual palettes: others stand in for them (`_STAND_INS`), and a coloured ground becomes a reversed piece."""

    def __init__(self, *, dark: bool) -> None:
        super().__init__()
        self._dark = dark

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The pieces, in colours that can be told from the ground."""
        return [
            piece
            if piece.style is None or piece.control
            else Segment(piece.text, _legible_ansi(piece.style, self._dark), piece.control)
            for piece in segments
        ]


_DEFAULT = RichColor.default()
_RED, _BLUE, _MAGENTA = 1, 4, 5
_BRIGHT_RED, _BRIGHT_YELLOW, _BRIGHT_MAGENTA, _BRIGHT_CYAN = 9, 11, 13, 14
_STAND_INS: dict[bool, dict[int, int | None]] = {
    True: {0: None, 1: _BRIGHT_RED, 3: _BRIGHT_YELLOW, 4: _BRIGHT_CYAN, 5: _BRIGHT_MAGENTA, 8: None, 12: _BRIGHT_CYAN},
    False: {
        **dict.fromkeys((2, 6, 10, 12, 14), _BLUE),
        **dict.fromkeys((3, 11, 13), _MAGENTA),
        **dict.fromkeys((7, 8, 15), None),
        9: _RED,
    },
}
"""By whether the ground is dark: the number of the colour that stands in for another, None for the default one."""


@lru_cache(4096)
def _legible_ansi(style: Style, dark: bool) -> Style:
    if style.bgcolor is not None and not style.bgcolor.is_default:
        return style + Style(color=_DEFAULT, bgcolor=_DEFAULT, reverse=True)
    if style.reverse:
        return style + Style(color=_DEFAULT)
    number = style.color.number if style.color is not None else None
    if number not in _STAND_INS[dark]:
        return style
    other = _STAND_INS[dark][number]
    return style + Style(color=_DEFAULT if other is None else RichColor.from_ansi(other))


@lru_cache(4096)
def _legible(style: Style, background: Rgb, minimum: float, depth: str) -> Style:
    colour, ground = style.color, style.bgcolor
    if (
        colour is None
        or colour.triplet is None
        or (ground is not None and not ground.is_default and ground.triplet is None)
    ):
        return style
    before = _triplet(colour)
    after = raised(before, background if ground is None or ground.is_default else _triplet(ground), minimum, depth)
    return style if after == before else style + Style(color=RichColor.from_rgb(*after))


def shades(variables: Mapping[str, str], depth: str = "") -> dict[str, str]:
    """Further variables for a theme: `line` and `line-current` for borders, `thumb` for scrollbars, `hint` for what is said
    in passing, `cursor` and `cursor-blurred` for the ground of the line under a cursor with and without the focus.

    Those of a theme of the terminal's own colours have no shades: there signs and reversed lines do the same."""
    background = Color.parse(variables["background"])
    if background.ansi is not None:
        plain = "ansi_default"
        return {
            "line": plain,
            "line-current": variables["primary"],
            "thumb": variables["primary"],
            "hint": plain,
            "cursor": plain,
            "cursor-blurred": plain,
        }
    ground, text, primary = (Color.parse(variables[name]).rgb for name in ("background", "foreground", "primary"))
    line = raised(Color.parse(variables["panel"]).rgb, ground, DRAWN, depth)
    current = _another(primary, text, (line,), ground, depth)
    blurred = _tinted(ground, text, 0.10, (ground,), depth)
    return {
        "line": _hex(line),
        "line-current": _hex(current),
        "thumb": _hex(raised(primary, ground, DRAWN, depth)),
        "hint": _hex(raised(_blend(text, ground, 0.45), ground, TEXT + 0.7, depth)),
        "cursor": _hex(_tinted(ground, primary, 0.36, (ground, blurred), depth)),
        "cursor-blurred": _hex(blurred),
    }


def _another(colour: Rgb, end: Rgb, others: tuple[Rgb, ...], ground: Rgb, depth: str) -> Rgb:
    """`colour` or a shade on its way to `end` that the terminal shows differently from the others."""
    for step in range(STEPS + 1):
        candidate = raised(_blend(colour, end, step / STEPS), ground, DRAWN, depth)
        if as_shown(candidate, depth) not in {as_shown(other, depth) for other in others}:
            return candidate
    return end


def _tinted(ground: Rgb, tint: Rgb, share: float, others: tuple[Rgb, ...], depth: str) -> Rgb:
    """`ground` with a share of `tint`, or more of it until the terminal shows it differently from the others."""
    for step in range(STEPS + 1):
        candidate = _blend(ground, tint, share + (1 - share) * step / STEPS)
        if as_shown(candidate, depth) not in {as_shown(other, depth) for other in others}:
            return candidate
    return tint


def _blend(colour: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _triplet(colour: RichColor) -> Rgb:
    red, green, blue = colour.get_truecolor()
    return red, green, blue


def _hex(rgb: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
