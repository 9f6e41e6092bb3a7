"""Tables and paragraphs in terminals of any width, and letters that a terminal lacks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui import layout
from betar_tui.layout import (
    Column,
    aligned_at_the_point,
    cell_len,
    cut,
    cut_id,
    cut_middle,
    filled,
    table_lines,
    whole,
)
from betar_tui.market.names import short_form
from betar_tui.market.prices import price_text
from betar_tui.market.text import neutralise
from betar_tui.stdout import legible
from betar_tui.wording import cut_ids
from tests.tui.fake import peer_id

TEXTS = st.text().map(neutralise)
WIDTHS = st.integers(8, 200)
COLUMNS = (Column("NAME", cut, 12), Column("PRICE", whole), Column("STATE", cut, 8, rank=2), Column("ID", cut_id, 16))
ROWS = st.lists(st.tuples(TEXTS, st.from_regex(r"[0-9]{1,6}", fullmatch=True), TEXTS, TEXTS), max_size=5)


@given(ROWS, st.integers(20, 200))
def test_no_line_of_a_table_is_wider_than_the_terminal(rows, width):
    lines = list(table_lines(COLUMNS, rows, width))
    assert len(lines) == len(rows) + 1
    assert all(cell_len(line) <= width for line in lines)


@given(ROWS)
def test_nothing_of_a_table_is_cut_without_a_width(rows):
    _, *lines = table_lines(COLUMNS, rows, None)
    for line, row in zip(lines, rows, strict=True):
        assert all(cell.rstrip() in line for cell in row)


@given(ROWS, st.integers(40, 200))
def test_what_fits_is_not_cut(rows, width):
    whole = list(table_lines(COLUMNS, rows, None))
    if all(cell_len(line) <= width for line in whole) and max(map(cell_len, whole)) + 8 <= width:
        assert list(table_lines(COLUMNS, rows, 400)) == whole


def test_the_columns_of_least_worth_are_left_out_first():
    row = ("swift-ocr", "0.05", "verified", "12D3KooW/swift-ocr")
    assert [line.split() for line in table_lines(COLUMNS, [row], 60)][0] == ["NAME", "PRICE", "STATE", "ID"]
    head, line = table_lines(COLUMNS, [row], 34)
    assert head.split() == ["NAME", "PRICE", "ID"]
    assert line == "swift-ocr  0.05   12D3KooW…ift-ocr"


@given(TEXTS, WIDTHS)
def test_filled_lines_fit_and_lose_nothing(text, width):
    lines = list(filled(text, width))
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert list(filled(text, None)) == [text]


@pytest.mark.parametrize("letter", ["x", "é", "文", "\u0301"])
def test_a_word_without_end_is_measured_in_pieces(letter, monkeypatch):
    measured = []
    measure = layout.cell_len

    def counted(text):
        measured.append(len(text))
        return measure(text)

    monkeypatch.setattr(layout, "cell_len", counted)
    assert "".join(line.strip() for line in filled(letter * 20_000, 40)) == letter * 20_000
    assert sum(measured) < 20_000 * 20


def test_a_paragraph_is_filled_with_an_indent():
    assert list(filled("one two three four", 10)) == ["one two", "  three", "  four"]
    assert list(filled("a-very-long-word", 8)) == ["a-very-l", "  ong-wo", "  rd"]
    assert list(filled("文書要約 文書", 8)) == ["文書要約", "  文書"]


@given(TEXTS, st.integers(1, 60), st.sampled_from(["…", "..."]))
def test_cuts_fit(text, width, mark):
    for shorten in (cut, cut_middle, cut_id):
        assert cell_len(shorten(text, width, mark)) <= width
    if cell_len(text) <= width:
        assert cut(text, width, mark) == cut_middle(text, width, mark) == cut_id(text, width, mark) == text


def test_ids_are_cut_to_the_form_that_commands_understand():
    peer = peer_id(1)
    assert cut_id(peer, 30) == short_form(peer)
    assert cut_id(peer, 12) == cut_id(peer, 9) == short_form(peer)[4:]
    assert cut_id(peer, 6) == f"…{short_form(peer)[-5:]}"
    assert cut_id(f"{peer}/swift-ocr", 40) == f"{short_form(peer)}/swift-ocr"
    assert cut_id(f"{peer}/swift-ocr", 18) == cut_id(f"{peer}/swift-ocr", 11) == "…/swift-ocr"
    assert cut_id(f"{peer}/swift-ocr", 8) == "…ift-ocr"
    assert cut_id(f"{peer}/swift-ocr", 10) == "…swift-ocr"
    assert cut_id(peer, 30, "...") == short_form(peer).replace("…", "...")
    assert cut_ids(f"{peer}/swift-ocr and 303 more", 34, "…") == "…/swift-ocr and 303 more"
    assert cut_middle("bafybeiamxoi57psjpm", 11) == "bafyb…psjpm"


@pytest.mark.parametrize(
    ("price", "text"),
    [(0.5, "0.5"), (0.00001, "0.00001"), (12, "12"), (3.0, "3"), (1234567.89, "1234567.89"), (1e300, "1e+300")],
)
def test_prices_are_what_was_typed(price, text):
    assert price_text(price) == text


def test_prices_are_aligned_at_the_point():
    assert aligned_at_the_point(["0.05", "12.5", "250", "1"]) == ["  0.05", " 12.5", "250", "  1"]
    assert aligned_at_the_point([]) == []


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("a → b… “c”", "ascii", 'a -> b... "c"'),
        ("Übersetzer ß Łódź é", "ascii", "Ubersetzer ss Lodz e"),
        ("Übersetzer ß", "latin-1", "Übersetzer ß"),
        ("перевод é…", "koi8-r", "перевод e..."),
        ("перевод", "latin-1", "???????"),
        ("文書 ﬁ Ａ", "ascii", "?? fi A"),
        ("文書", "no-such-encoding", "??"),
    ],
)
def test_letters_that_are_not_there_are_replaced_legibly(text, encoding, shown):
    assert legible(text, encoding) == shown


@given(st.text(), st.sampled_from(["ascii", "latin-1", "koi8-r", "cp1252", "utf-8"]))
def test_what_is_legible_can_be_written(text, encoding):
    safe = legible(neutralise(text), encoding)
    assert safe.encode(encoding).decode(encoding) == safe
    assert legible(safe, encoding) == safe
