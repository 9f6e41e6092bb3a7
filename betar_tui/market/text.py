"""Making text from the network safe to show.

Everything a peer wrote passes through here before a terminal sees it. What could act on the terminal, reorder the
line or hide is written out instead, so that a person sees that it is there: ESC becomes "␛", an override of the
writing direction becomes "\\u202e". Console markup is not handled here: the interface shows text as plain content
and never parses it as markup.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAX_COMBINING = 3
"""Accents that may pile up on one letter; no language needs more, and a tall pile draws over other lines."""

_ASCII_PLAIN = re.compile(r"[ -~]*\Z")

# Letters by category that draw nothing, yet take a column or join their neighbours.
_BLANK_LETTERS = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u034f\u180b\u180c\u180d\u180f")

# Cc control, Cf format (bidi, zero width, soft hyphen, tags), Co private use, Cs surrogate, Cn unassigned.
_UNSAFE_CATEGORIES = frozenset(("Cc", "Cf", "Co", "Cs", "Cn"))
_VARIATION_SELECTORS = frozenset("\ufe0e\ufe0f")


def neutralise(text: str, limit: int = 0) -> str:
    """`text` as one line that is safe to show; more than `limit` characters end in "…" (0: no limit).

    Line breaks and tabs become spaces. The result has nothing left to neutralise: doing it twice changes nothing.
    """
    # A short limit makes the rest of a huge text irrelevant; escapes only ever make it longer.
    head = text[: limit + 1] if limit > 0 else text
    safe = head if _ASCII_PLAIN.match(head) else _escape(head.replace("\r\n", " "))
    if limit > 0 and len(safe) > limit:
        return safe[: limit - 1] + "…"
    return safe


def neutralise_lines(text: str, limit: int = 0) -> str:
    """The same for text of several lines: line breaks stay, everything else is as in `neutralise`."""
    head = text[: limit + 1] if limit > 0 else text
    lines = re.split(r"\r\n|[\n\r\u2028\u2029\x85]", head)
    safe = "\n".join(neutralise(line) for line in lines)
    if limit > 0 and len(safe) > limit:
        return safe[: limit - 1] + "…"
    return safe


def _escape(text: str) -> str:
    out: list[str] = []
    combining = 0
    previous = ""
    for char in text:
        if unicodedata.category(char) in ("Mn", "Me") and char not in _VARIATION_SELECTORS:
            combining += 1
            # An accent needs a letter to stand on: at the start it would draw on what we put before it.
            shown = char if previous and combining <= MAX_COMBINING else _written_out(char)
        else:
            combining = 0
            shown = _shown(char, previous)
        out.append(shown)
        previous = char
    return "".join(out)


def _shown(char: str, previous: str) -> str:
    if char in _VARIATION_SELECTORS:
        # It asks for the colourful or the plain form of the symbol before it; anywhere else it only hides.
        return "" if previous and unicodedata.category(previous) in ("So", "Sm") else _written_out(char)
    return _replacement(char)


@lru_cache(maxsize=4096)
def _replacement(char: str) -> str:
    if char in "\n\r\t\v\f\x85\u2028\u2029":
        return " "
    if char in _BLANK_LETTERS:
        return _written_out(char)
    category = unicodedata.category(char)
    if category == "Zs":
        return " "
    return _written_out(char) if category in _UNSAFE_CATEGORIES else char


def _written_out(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"
