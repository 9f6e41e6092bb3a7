"""Text from the network cannot act on the terminal, whatever it is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.market.text import letters_of, letters_of_lines, neutralise, neutralise_lines

SPECIAL = "\x1b\x9b\x00\x7f\r\n\t\u202e\u2066\u200b\u200c\u200d\ufeff\ud800\ue000\u0301\ufe0f☺👨🏽कषمخ\u094d"
NASTY = st.text(st.one_of(st.characters(), st.sampled_from(SPECIAL)))
UNSAFE = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


@given(NASTY)
def test_nothing_unsafe_is_left(text):
    safe = neutralise(text)
    assert not [char for char in safe if unicodedata.category(char) in UNSAFE and char != "\u200c"]
    assert all(_is_lo(safe[at + 1 :]) and _is_lo(safe[:at][::-1]) for at, char in enumerate(safe) if char == "\u200c")
    safe.encode()


def _is_lo(text: str) -> bool:
    """Whether a text begins with a letter that has no case; marks before it do not count."""
    bare = text.lstrip("".join(char for char in text if unicodedata.category(char) in ("Mn", "Mc", "Me")))
    return bare[:1] != "" and unicodedata.category(bare[0]) == "Lo"


@given(NASTY)
def test_letters_stay_letters_when_looked_at_again(text):
    assert letters_of(letters_of(text)) == letters_of(text)
    assert neutralise(letters_of(text)) == neutralise(text)
    for line in letters_of_lines(text).split("\n"):
        assert letters_of(line) == line


@given(NASTY)
def test_doing_it_twice_changes_nothing(text):
    assert neutralise(neutralise(text)) == neutralise(text)


@given(NASTY, st.integers(1, 40))
def test_limit(text, limit):
    safe = neutralise(text, limit)
    assert len(safe) <= limit
    assert safe == neutralise(text) or safe.endswith("…")


@given(NASTY)
def test_lines_are_safe_each(text):
    for line in neutralise_lines(text).split("\n"):
        assert neutralise(line) == line


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays(text):
    assert neutralise(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("a\x9b2Jb", "a\\x9b2Jb"),
        ("exe.\u202etxt", "exe.\\u202etxt"),
        ("a\u200bb", "a\\u200bb"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("\ud800", "\\ud800"),
        ("\ue000", "\\ue000"),
        ("\U000e0041", "\\U000e0041"),
        ("[red]markup[/red]", "[red]markup[/red]"),
        ("naïve café 漢字 Ω", "naïve café 漢字 Ω"),
        ("e\u0301", "e\u0301"),
        ("\u0301start", "\\u0301start"),
        ("z" + "\u0335" * 9, "z" + "\u0335" * 3 + "\\u0335" * 6),
        ("☺\ufe0f", "☺"),
        ("a\ufe0f", "a\\ufe0f"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\u1112\u1161\u11ab", "한"),
        ("\u1161\u1161", "\\u1161\\u1161"),
        ("क" + "\u093e" * 4, "क" + "\u093e" * 3 + "\\u093e"),
        ("🇩🇪🇫", "🇩🇪\\U0001f1eb"),
        ("👍🏽", "👍"),
        ("a🏽", "a\\U0001f3fd"),
        ("☰", "\\u2630"),
        # Joiners hide where nothing joins.
        ("a\u200cb", "a\\u200cb"),
        ("a\u200db", "a\\u200db"),
        ("می\u200c\u200cخواهم", "می\\u200c\\u200cخواهم"),
        ("\u200cخواهم", "\\u200cخواهم"),
        ("👨\u200d", "👨\\u200d"),
        ("👨\u200d\u200d👩", "👨\\u200d\\u200d👩"),
    ],
)
def test_examples(text, shown):
    assert neutralise(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian: I want
        ("کتاب\u200cها", "کتاب\u200cها"),
        ("क्\u200cष", "क्\u200cष"),  # Hindi, with the sign of the silenced letter
        ("क्\u200dष", "क्ष"),
        ("র\u200d্যাম", "র্যাম"),  # Bengali
        ("ශ්\u200dරී", "ශ්රී"),  # Sinhala
        ("അവന്\u200d", "അവന്"),  # Malayalam
        ("👨\u200d👩\u200d👧", "👨👩👧"),
        ("🏳\ufe0f\u200d🌈", "🏳🌈"),
        ("👩🏽\u200d💻", "👩💻"),
        ("हिन्दी में", "हिन्दी में"),
    ],
)
def test_joiners_inside_words_and_emoji_are_letters(text, shown):
    """Those that change widths are left out where widths matter, and only there."""
    assert neutralise(text) == shown
    assert letters_of(text) == text


@pytest.mark.parametrize("limit", range(2, 9))
def test_a_limit_leaves_no_joiner_at_the_end(limit):
    safe = neutralise("می\u200cخواهم", limit)
    assert len(safe) <= limit
    assert neutralise(safe) == safe


def test_a_limit_counts_what_is_shown():
    assert neutralise("☺\ufe0f" * 30, 40) == "☺" * 30


def test_lines_stay_lines():
    assert neutralise_lines("a\r\nb\n\x1bc") == "a\nb\n␛c"


@pytest.mark.parametrize("limit", range(8, 14))
def test_a_limit_cuts_no_flag_in_two(limit):
    """Half of one is written out, which makes it longer than the limit."""
    safe = neutralise("x" + "\U0001f1e9\U0001f1ea" * 100, limit)
    assert neutralise(safe) == safe
    assert len(safe) in (limit - 1, limit)
