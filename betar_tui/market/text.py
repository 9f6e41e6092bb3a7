"""Making text from the network safe to show.

Everything a peer wrote passes through here before a terminal sees it. What could act on the terminal, reorder the
line or hide is written out instead, so that a person sees that it is there: ESC becomes "␛", an override of the
writing direction becomes "\\u202e". Joiners are letters inside words of the scripts that are written with them, and
inside emoji; anywhere else they hide. Console markup is not handled here: the interface shows text as plain content
and never parses it as markup."""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

MAX_COMBINING = 3
"""Maximum marks on one letter; no language needs more, and a tall pile draws over other lines."""
_ASCII_PLAIN = re.compile(r"[ -~]*\Z")

_LINE_BREAKS = re.compile(r"\r\n|[\n\r\u2028\u2029\x85]")

# Jamo that make up syllables; written as syllables their width is beyond dispute. A run is taken whole, with or without
# the vowels that change it: to look for one inside costs the square of its length.
_HANGUL = re.compile("[\u1100-\u11ff\uac00-\ud7a3]+")
# Two of these letters are a flag, one alone takes one column here and two there.
_FLAGS = re.compile("([\U0001f1e6-\U0001f1ff]{2})|[\U0001f1e6-\U0001f1ff]")
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))

# Vowels and finals that belong to no syllable: they draw over their neighbours.
_LOOSE_JAMO = ((0x1161, 0x11FF), (0xD7B0, 0xD7FB))
# Trigrams, hexagrams, counting rods: one column wide before Unicode 16, two since; and marks two columns wide.
_DISPUTED = (
    (0x2630, 0x2637),
    (0x268A, 0x268F),
    (0x302E, 0x302F),
    (0x4DC0, 0x4DFF),
    (0x16FF0, 0x16FF1),
    (0x1D300, 0x1D376),
)

# Letters by category that draw nothing, yet take a column or join their neighbours.
_BLANK_LETTERS = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u034f\u180b\u180c\u180d\u180f")

# Cc control, Cf format (bidi, zero width, soft hyphen, tags), Co private use, Cs surrogate, Cn unassigned.
_UNSAFE_CATEGORIES = frozenset(("Cc", "Cf", "Co", "Cs", "Cn"))
_JOINER, _NON_JOINER = "\u200d", "\u200c"
JOINERS = frozenset((_JOINER, _NON_JOINER))
"""The joiner and the non-joiner: letters where `letters_of` leaves them."""
# Arabic and its relatives, whose letters join: Syriac, N'Ko, Mandaic, Mongolian, Adlam.
_JOINING_SCRIPTS = (
    (0x0620, 0x06FF),
    (0x0700, 0x077F),
    (0x07C0, 0x07FF),
    (0x0840, 0x08FF),
    (0x1820, 0x18AF),
    (0xFB50, 0xFDFF),
    (0xFE70, 0xFEFC),
    (0x1E900, 0x1E95F),
)
_VIRAMA = 9
"""The combining class of the signs that silence an Indic letter, which then joins the next one."""
_VARIATION_SELECTORS = frozenset("\ufe0e\ufe0f")
_SKIN_TONES = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")


def beginning(text: str, most: int) -> str:
    """A text as it is quoted in a message: one of more than `most` characters ends with "…"."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def neutralise(text: str, limit: int = 0) -> str:
    """`text` as one line that is safe to show; more than `limit` characters end in "…" (0: no limit).

    Line breaks and tabs become spaces. The result has nothing left to neutralise: doing it twice changes nothing."""
    return _limited(_line, text, limit)


def neutralise_lines(text: str, limit: int = 0) -> str:
    """The same for text of several lines: line breaks stay, everything else is as in `neutralise`."""
    return _limited(_lines, text, limit)


def letters_of(text: str) -> str:
    """`text` of one line with everything in it that a person may have written: also what `neutralise` leaves out since
    terminals do not agree how wide it is, the joiner and the forms of emoji."""
    return text if _ASCII_PLAIN.match(text) else _escape(text.replace("\r\n", " "), exact=True)


def letters_of_lines(text: str) -> str:
    """The same for text of several lines."""
    return "\n".join(map(letters_of, _LINE_BREAKS.split(text)))


def _limited(make_safe: Callable[[str], str], text: str, limit: int) -> str:
    if limit <= 0:
        return make_safe(text)
    # Only the start of a huge text is looked at; where that becomes shorter when made safe, more of it.
    taken = limit + 1
    # Whether a joiner is a letter depends on the next one.
    taken += text[limit : limit + 1] in JOINERS
    while len(safe := make_safe(text[:taken])) <= limit and taken < len(text):
        taken *= 2
    if len(safe) <= limit:
        return safe
    kept = safe[: limit - 1]
    half_a_flag = (len(kept) - len(kept.rstrip(_FLAG_LETTERS))) % 2
    return kept[: len(kept) - half_a_flag].rstrip(_NON_JOINER) + "…"


def _line(text: str) -> str:
    return text if _ASCII_PLAIN.match(text) else _escape(text.replace("\r\n", " "))


def _lines(text: str) -> str:
    return "\n".join(map(_line, _LINE_BREAKS.split(text)))


def _escape(text: str, *, exact: bool = False) -> str:
    text = _HANGUL.sub(lambda found: unicodedata.normalize("NFC", found[0]), text)
    text = _FLAGS.sub(lambda found: found[1] or _written_out(found[0]), text)
    out: list[str] = []
    combining = 0
    previous = base = ""  # `base` is the letter or symbol that the marks before this character stand on
    for at, char in enumerate(text):
        if char in JOINERS:
            joins = _joins(char, previous, base, text[at + 1 : at + 2])
            # Terminals do not agree whether what follows a joiner takes columns of its own: it is shown without one.
            shown = (char if exact or char == _NON_JOINER else "") if joins else _written_out(char)
            previous = char
        elif unicodedata.category(char) in ("Mn", "Me", "Mc") and char not in _VARIATION_SELECTORS:
            combining += 1
            # An accent needs a letter to stand on: at the start it would draw on the text before it.
            fits = previous and combining <= MAX_COMBINING
            shown = char if fits else _written_out(char)
            previous, base = (char, base) if fits else ("", "")
        elif char in _VARIATION_SELECTORS or char in _SKIN_TONES:
            # They ask for another form of the symbol before them; anywhere else they hide, or are as wide as one likes.
            form = _is_symbol(previous)
            combining, previous = 0, char
            shown = (char if exact else "") if form else _written_out(char)
            base = base if form else ""
        else:
            combining, previous, base = 0, char, char
            shown = _replacement(char)
        out.append(shown)
    return "".join(out)


def _joins(joiner: str, previous: str, base: str, following: str) -> bool:
    """Whether a joiner is part of a word or of an emoji: between two letters that join, at the sign that silences an Indic
    letter, or between two symbols."""
    if not base or previous in JOINERS:
        return False
    if joiner == _JOINER and _is_symbol(base) and _is_symbol(following):
        return True
    if not _is_letter(base):
        return False
    silenced = unicodedata.combining(previous) == _VIRAMA
    if joiner == _NON_JOINER:
        return _is_letter(following) and (silenced or (_is_joining(base) and _is_joining(following)))
    return silenced or _is_joining(base) or (following != "" and unicodedata.combining(following) == _VIRAMA)


def _is_letter(char: str) -> bool:
    """Whether a character is a letter without case that is shown as it is."""
    return char != "" and unicodedata.category(char) == "Lo" and _replacement(char) == char


def _is_joining(letter: str) -> bool:
    return any(first <= ord(letter) <= last for first, last in _JOINING_SCRIPTS)


def _is_symbol(char: str) -> bool:
    return bool(char) and unicodedata.category(char) in ("So", "Sm")


@lru_cache(maxsize=4096)
def _replacement(char: str) -> str:
    if char in "\n\r\t\v\f\x85\u2028\u2029":
        return " "
    if char in _BLANK_LETTERS:
        return _written_out(char)
    if any(first <= ord(char) <= last for first, last in (*_LOOSE_JAMO, *_DISPUTED)):
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
