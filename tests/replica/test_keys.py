"""Keys of the map: how they are cleaned, and which of them are keys of listings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.replica import keys


@pytest.mark.parametrize(
    ("key", "clean"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        (".", "/"),
        ("..", "/"),
        ("a", "/a"),
        ("/a", "/a"),
        ("/a/", "/a"),
        ("//a", "/a"),
        ("/a//b", "/a/b"),
        ("/a/b/", "/a/b"),
        ("a/b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a"),
        ("/a/b/c/../../d", "/a/d"),
        ("/../a", "/a"),
        ("/.a", "/.a"),
        ("/a/...", "/a/..."),
        ("/a./b", "/a./b"),
        ("/a b:c/Ä", "/a b:c/Ä"),
    ],
)
def test_a_key_is_cleaned(key: str, clean: str) -> None:
    assert keys.clean(key) == clean


@pytest.mark.parametrize(
    ("agent", "key"),
    [("a", "/agents/YQ"), ("ab", "/agents/YWI"), ("abc", "/agents/YWJj"), ("~~~???", "/agents/fn5-Pz8_")],
)
def test_an_id_has_one_key(agent: str, key: str) -> None:
    assert keys.of_agent(agent) == key
    assert keys.agent_id(key) == agent


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("/agents/", id="nothing"),
        pytest.param("/agents", id="no id"),
        pytest.param("YQ", id="no path"),
        pytest.param("/other/YQ", id="another path"),
        pytest.param("/agents/x/YQ", id="below a listing"),
        pytest.param("/agents/YQ==", id="padded"),
        pytest.param("/agents/YR", id="bits behind the end"),
        pytest.param("/agents/fn5+Pz8/", id="slash at the end"),
        pytest.param("/agents/fn5+Pz8_", id="standard alphabet"),
        pytest.param("/agents/Y!Q", id="letters outside the alphabet"),
        pytest.param("/agents/Y", id="one letter"),
        pytest.param("/agents/_w", id="not UTF-8"),
        pytest.param("/agents/YÄ", id="not ASCII"),
    ],
)
def test_other_keys_have_no_id(key: str) -> None:
    assert keys.agent_id(key) is None


@given(st.text(min_size=1))
def test_every_id_comes_back(agent: str) -> None:
    key = keys.of_agent(agent)
    assert keys.agent_id(key) == agent
    assert keys.clean(key) == key


@given(st.text(st.characters(categories=["Cs", "L"]), min_size=1))
def test_an_id_with_half_a_character_has_a_key_that_no_listing_has(agent: str) -> None:
    whole = not any("\ud800" <= each <= "\udfff" for each in agent)
    assert keys.agent_id(keys.of_agent(agent)) == (agent if whole else None)


@pytest.mark.parametrize(
    ("prefix", "bounds"),
    [("/a", ("/a/", "/a0")), ("a/", ("/a/", "/a0")), ("/", ("/", "0")), ("/a/b", ("/a/b/", "/a/b0"))],
)
def test_a_span_covers_the_keys_below_its_prefix(prefix: str, bounds: tuple[str, str]) -> None:
    low, high = keys.span(prefix)
    assert (low, high) == bounds
    base = low[:-1]
    assert all(low <= f"{base}/{rest}" < high for rest in ("", "b", "~", "\U0010ffff"))
    assert not low <= base + "b" < high
