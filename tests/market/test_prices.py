"""Prices are in one currency; metadata that names another is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.market.prices import other_currency


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ({"currency": "EUR"}, "EUR"),
        ({"currency": " eur "}, "eur"),
        ({"currency": "x" * 50}, "x" * 19 + "…"),
        ({"currency": "\x1b[2J"}, "␛[2J"),
        ({"currency": "USDC"}, ""),
        ({"currency": "usdc on Base"}, ""),
        ({"currency": ""}, ""),
        ({"currency": 3}, ""),
        ({"price": "EUR"}, ""),
        ("bafyfile", ""),
        (None, ""),
    ],
)
def test_what_is_said_of_a_currency(metadata, names):
    said = other_currency(metadata)
    assert said == (f"its metadata says {names}; prices on this market are USDC" if names else "")


@given(st.dictionaries(st.text() | st.just("currency"), st.text() | st.integers() | st.none()))
def test_metadata_of_anybody(metadata):
    assert "\n" not in other_currency(metadata)
