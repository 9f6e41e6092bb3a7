"""Letters about whose width terminals do not agree move nothing that stands after them."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from betar_tui.tui.placing import place

HINDI, TAMIL, FAMILY = "हिन्दी", "தமிழ்", "👨\u200d👩\u200d👧"


def screen(data: str, *, spacing: int, joined: int, width: int = 60) -> list[str]:
    """The first line of a terminal in which a vowel sign has `spacing` columns, and what follows a joiner `joined`."""
    cells, x, previous = [" "] * width, 0, ""
    for parameters, text in re.findall(r"\x1b\[([0-9;]*)[Hm]|([^\x1b]+)", data):
        if ";" in parameters:
            x = int(parameters.partition(";")[2]) - 1
        for char in text:
            category = unicodedata.category(char)
            columns = spacing if category == "Mc" else 0 if category in ("Mn", "Cf") else cell_len(char)
            if previous == "\u200d":
                columns *= joined
            previous = char
            if columns:
                cells[x : x + columns] = [char, *[""] * (columns - 1)]
                x += columns
    return cells


@pytest.mark.parametrize("name", [HINDI, TAMIL, FAMILY, f"{HINDI} {TAMIL}", f"a{HINDI}b", "❤\ufe0f", "👍🏽"])
@pytest.mark.parametrize(("spacing", "joined"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_what_follows_stands_on_its_column(name, spacing, joined):
    cell = name + " " * (20 - cell_len(name))
    cells = screen(place(f"\x1b[1;1H{cell}|\x1b[1m0.05|"), spacing=spacing, joined=joined)
    assert "".join(cells[20:26]) == "|0.05|"
    assert all(char in cells for char in name if cell_len(char) and unicodedata.category(char) in ("Lo",))


def test_a_name_that_fills_its_cell_moves_nothing_either():
    name = HINDI * 5
    for gap in ("  ", "│"):
        cells = screen(place(f"\x1b[1;3H{name}{gap}0.05"), spacing=1, joined=1)
        assert "".join(cells[2 + cell_len(name) + len(gap) :][:4]) == "0.05"


def test_a_name_in_a_style_of_its_own_keeps_its_letters():
    cells = screen(place(f"\x1b[1;1H\x1b[1m{HINDI}\x1b[0m  by you  x"), spacing=1, joined=1)
    assert "".join(cells).startswith("हिनदीby you  x")


def test_what_was_there_before_is_gone():
    cells = screen(f"\x1b[1;1H{'x' * 20}" + place(f"\x1b[1;1H{HINDI}{' ' * 10}|"), spacing=0, joined=0)
    assert "x" not in cells[: cell_len(HINDI) + 10]


def test_every_sign_of_its_own_is_known():
    signs = [char for code in range(sys.maxunicode + 1) if unicodedata.category(char := chr(code)) == "Mc"]
    assert [
        f"U+{ord(char):04X}" for char in signs if place(f"\x1b[1;1Ha{char}b") == f"\x1b[1;1Ha{char}b"
    ] == NEUTRALISED


NEUTRALISED = ["U+302E", "U+302F"]
"""Those that `market.text` writes out."""


@given(st.text(st.characters(max_codepoint=0x8FF)))
def test_other_text_is_written_as_it_is(text):
    assert place(f"\x1b[1;1H{text}") == f"\x1b[1;1H{text}"


@given(st.text(st.sampled_from("हि ் aா|\x1b\n\u200d👨H;[m0")))
def test_no_letter_is_lost(text):
    def letters(data: str) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[@-~]|[ ]", "", data)

    assert letters(place(f"\x1b[2;5H{text}")) == letters(f"\x1b[2;5H{text}")


def test_what_is_not_on_a_known_place_is_left_alone():
    assert place(HINDI) == HINDI
    assert place(f"\x1b[5A{HINDI}") == f"\x1b[5A{HINDI}"
