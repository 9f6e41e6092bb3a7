"""Writing to stdout: what it can show, how wide it is, and what happens when it cannot be written to.

Imports next to nothing: help is printed by this, too."""

import os
import sys
from contextlib import suppress

from betar_tui.errors import STDOUT_CLOSED, OutputError

MIN_WIDTH = 20
"""Minimum columns of a terminal that output is made to fit."""
_DRAWN = str.maketrans(
    {
        "…": "...", "–": "-", "—": "-", "−": "-", "→": "->", "←": "<-", "↑": "^", "↓": "v", "‘": "'", "’": "'", "“": '"',
        "”": '"', "„": '"', "«": '"', "»": '"', "•": "*", "·": ".", "×": "x", "≥": ">=", "≤": "<=", "€": "EUR",
        "£": "GBP", "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE",
        "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "ı": "i",
    }
)  # fmt: skip
"""What stands for a letter that is not there, where Unicode does not say it."""


def write(text: str) -> None:
    """Print a text as it is, but for letters that the terminal lacks. Raises OutputError, and BrokenPipeError if the reader
    has gone."""
    if sys.stdout is None:
        raise OutputError(STDOUT_CLOSED)
    try:
        sys.stdout.write(legible(text))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(error) from error


def unwritable(error: OSError) -> OutputError:
    """The error of output that could not be written."""
    discard_stdout()  # else the flush at exit fails with the same error
    return OutputError(f"the output cannot be written: {error}")


def fill_descriptors() -> None:
    """Open /dev/null as stdin, stdout or stderr where that is closed: else the next file that is opened would be it, and
    what a library prints would go there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def discard_stdout() -> None:
    """Send stdout, whose reader has gone, to /dev/null, so that the flush at exit does not fail."""
    with suppress(AttributeError, OSError, ValueError):  # stdout is missing or is not a file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def width() -> int | None:
    """The columns of the terminal that stdout is, as COLUMNS says if it is set; None for a pipe or a file, where nothing
    is cut."""
    try:
        if not sys.stdout.isatty():
            return None
        columns = os.environ.get("COLUMNS", "")
        found = int(columns) if columns.isdigit() else 0
        return max(found or os.get_terminal_size(sys.stdout.fileno()).columns or 80, MIN_WIDTH)
    except (AttributeError, OSError, ValueError):  # stdout is missing or is not a file
        return None


def legible(text: str, encoding: str | None = None) -> str:
    """The text in letters that an encoding has, by default that of stdout: "…" becomes "...", "é" becomes "e", and what has
    nothing like it "?"."""
    if text.isascii():
        return text
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        return text.encode(encoding).decode(encoding)
    except (UnicodeError, LookupError):
        return "".join(each if each.isascii() else _replaced(each, encoding) for each in text)


def _replaced(letter: str, encoding: str) -> str:
    import unicodedata  # deferred: few terminals lack a letter

    plain = "".join(each for each in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(each))
    for each in (letter, letter.translate(_DRAWN), plain):
        with suppress(UnicodeError, LookupError):
            return each.encode(encoding).decode(encoding)
    return "?"
