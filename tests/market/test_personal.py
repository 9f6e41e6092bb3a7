"""A person's lists of others: read as they were written, and ids found by what people type of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import UnknownPeerError
from betar_tui.market.names import short_form
from betar_tui.market.personal import MAX_ENTRIES, full_id, old_mutes, read_list, written_list

A = "12D3KooWGRUKZ8sRKx5n3xzwtTxhsHCqDM1NXGDRYrbkkmqBKqyk"
B = "12D3KooWJVJJJPAohDNheBgMbXkq8B14uZVXKZMQqmZfdsiSWUq5"
TIMES = st.floats(0, 1e12)


@given(st.dictionaries(st.text(), TIMES, max_size=20))
def test_a_list_is_read_as_it_was_written_in_its_order(entries):
    assert list(read_list(written_list(entries)).items()) == list(entries.items())


@pytest.mark.parametrize("text", [None, "", "x", "[]", "3", '{"a": "b"}', '{"a": null}', f'{{"a": {"9" * 401}}}'])
def test_what_is_not_a_list_is_empty(text):
    assert read_list(text) == {}


def test_the_latest_entries_are_kept():
    entries = {str(n): float(n) for n in range(MAX_ENTRIES + 2)}
    assert list(json.loads(written_list(entries)))[:1] == ["2"]


def test_the_sellers_of_the_old_setting_are_read():
    assert old_mutes({"muted": [A, B, A, 3]}) == (A, B)
    assert old_mutes({"muted": "x"}) == old_mutes({}) == ()


@pytest.mark.parametrize(
    "text",
    [
        *(A, A[:12], f"{A[:4]}…{A[-4:]}", f"{A[:12]}…", short_form(A)),
        *(short_form(A)[4:], short_form(A)[-5:].rjust(6, "…"), f"…{A[-6:]}"),
    ],
    ids=["whole", "begin", "ends", "cut", "short", "narrow", "narrower", "end"],
)
def test_an_id_is_found_by_what_people_type_of_it(text):
    assert full_id(text, [A, B], "peer") == A


def test_a_whole_peer_id_may_be_of_a_stranger():
    assert full_id(A, [], "peer") == A
    with pytest.raises(UnknownPeerError, match="of a blocked peer"):
        full_id(A, [B], "blocked peer", strangers=False)


def test_a_seller_that_is_no_peer_id_has_to_be_known():
    assert full_id("you", ["you", "your"], "seller") == "you"
    with pytest.raises(UnknownPeerError, match="neither"):
        full_id("you", [A], "seller")


@pytest.mark.parametrize("text", ["", "…", A[:9] + "!"])
def test_nothing_fits_nobody(text):
    with pytest.raises(UnknownPeerError, match="neither"):
        full_id(text, [A, B], "peer")


def test_a_beginning_of_two_ids_names_them():
    with pytest.raises(UnknownPeerError, match=f"more than one id: {A}, {B}; give more"):
        full_id("12D3", [A, B], "peer")


@pytest.mark.parametrize("text", ["1", "12D3", "12D3KooW"])
def test_what_begins_every_id_means_nobody(text):
    with pytest.raises(UnknownPeerError, match="every peer id begins with"):
        full_id(text, [A], "peer")
