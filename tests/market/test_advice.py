"""What a filter that finds nothing was perhaps meant to say."""

import pytest

from betar_tui.market.advice import advice
from betar_tui.market.filter import parse


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("not ocr", "to leave out what has ocr, write !ocr"),
        ("pdf not ocr", "to leave out what has ocr, write !ocr"),
        ("ocr and pdf", "without and it looks for both words as well"),
        ("ocr || pdf", "for one or the other write or: ocr or pdf"),
        ("meta.", "a key of the metadata needs its value: meta.KEY:VALUE"),
        ("meta.tier", "a key of the metadata needs its value: meta.tier:VALUE"),
        ("tier=gold", "for a key of the metadata write meta.tier:gold"),
        ("ocr", "words are looked for in name, description and seller; for metadata write tag:ocr or meta.KEY:ocr"),
        ("not", "words are looked for"),
        ("|| ocr", "words are looked for"),
        ("", ""),
        ("price<1", ""),
        ("!ocr", ""),
        ("price<", ""),
    ],
)
def test_advice(text, meant):
    assert advice(text).startswith(meant) and bool(advice(text)) == bool(meant)


@pytest.mark.parametrize("text", ["price < 0.1", "price <0.1", "price< 0.1", "PRICE  <\t0.1"])
def test_a_comparison_may_have_spaces(text):
    assert parse(f"ocr {text} pdf").alternatives == parse("ocr price<0.1 pdf").alternatives


@pytest.mark.parametrize(
    ("text", "same"),
    [("!seen > 2h", "!seen>2h"), ("age <= 30m or x", "age<=30m or x"), ("price = 1", "price=1"), ("price", "price")],
)
def test_so_may_its_kin(text, same):
    assert parse(text).alternatives == parse(same).alternatives


@pytest.mark.parametrize("text", ["myprice < 1", "price x < 1", 'the "price < 1"', "price name:x"])
def test_other_words_are_not_joined(text):
    kinds = [term.kind for term in parse(text).terms]
    assert "price" not in kinds and len(kinds) > 1


def test_people_call_themselves_me():
    assert parse("seller:me").alternatives == parse("seller:you").alternatives == parse("state:mine").alternatives
