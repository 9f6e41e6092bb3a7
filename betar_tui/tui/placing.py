"""Keeps everything on its column although terminals do not agree how wide some letters are.

The vowel signs of India that stand on their own (category Mc) take a column in some terminals, tmux among them, and none in
others; so do emoji that are joined or have a form of their own. A name in Hindi would move the rest of its row. Where such
letters are on their way to the terminal, what follows them is put on its column by a sequence of its own, and the columns
that they may take are emptied before. Pure, apart from the driver."""

import re
import unicodedata
from functools import cache
from typing import Any

from rich.cells import cell_len
from textual.driver import Driver

_SPACING = re.compile("[\u0900-\u109f\u1700-\u1cff\ua800-\uabff\U00011000-\U0001bfff\U0001d165-\U0001d172]")
"""The letters of the scripts that have such vowel signs: quicker to look for than the signs, of which there are hundreds."""
_FORMS = "\u200d\ufe0f\U0001f3fb-\U0001f3ff"
_DISPUTED = re.compile(f"{_SPACING.pattern}|[{_FORMS}]")
_PLACE = re.compile(r"(\x1b\[\d+;\d+H)")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_PIECES = re.compile(rf"{_STYLE.pattern}|.", re.DOTALL)
# From the beginning of a word with such a letter to a gap of two spaces, a border, or the end.
_RUN = re.compile(f"[^ \u2500-\u257f]*(?:{_DISPUTED.pattern}).*?(?=  |[\u2500-\u257f]|$)")


def place(data: str) -> str:
    """What is written to the terminal, with everything after disputed letters put on its column.

    Only text that follows a sequence that says where it begins, on the same line, is looked at."""
    if data.isascii() or not _DISPUTED.search(data):
        return data
    out = _PLACE.split(data)
    for n in range(1, len(out), 2):
        line, _, column = out[n][2:-1].partition(";")
        text, end, rest = out[n + 1].partition("\n")
        if _DISPUTED.search(text) and "\x1b" not in _STYLE.sub("", text):
            out[n + 1] = _placed(text, int(column), int(line)) + end + rest
    return "".join(out)


def _placed(text: str, x: int, y: int) -> str:
    """Text with styles in it, which begins at column `x` of line `y`, both counted from 1."""
    plain = _STYLE.sub("", text)
    before, after, skipped = {}, {}, set()
    for run in _RUN.finditer(plain):
        start, end, letters = x + cell_len(plain[: run.start()]), run.end(), run[0]
        spare = len(plain) - end - len(plain[end:].lstrip(" "))
        more = max(0, min(spare, _most(letters) - cell_len(letters)))
        cells = cell_len(letters) + more
        before[run.start()] = f"{' ' * cells}\x1b[{y};{start}H"
        after[end] = f"\x1b[{y};{start + cells}H"
        skipped |= set(range(end, end + more))
    out: list[str] = []
    at = 0
    for piece in _PIECES.findall(text):
        if piece.startswith("\x1b"):
            out.append(piece)
            continue
        out += [after.get(at, ""), before.get(at, ""), "" if at in skipped else piece]
        at += 1
    return "".join(out) + after.get(at, "")


def _most(letters: str) -> int:
    """Maximum columns that letters take in any terminal."""
    return sum(1 if unicodedata.category(char) == "Mc" else cell_len(char) for char in letters)


@cache
def placing(driver: Any) -> type[Driver]:
    """The driver that places what it writes."""

    class PlacingDriver(driver):  # type: ignore[misc]
        def write(self, data: str) -> None:
            """Write to the terminal."""
            super().write(place(data))

    return PlacingDriver
