"""What else of a listing is searched: each fact is a line that no other can be taken for."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from betar_tui.market.facts import MAX_FACT, MAX_FACTS, SEPARATOR, facts_text, scalar_text
from betar_tui.market.listing import decode
from betar_tui.market.marketplace import Listing
from tests.market.values import SIGNER, key, value, winner

scalars = st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False) | st.none()
metadata = st.dictionaries(
    st.text(), st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), max_size=8
)


def listing(**fields: object) -> Listing:
    return decode(key(), winner(value(**fields)), 0.0, SIGNER.peer_id)


def test_the_facts_of_a_listing():
    found = listing(
        protocols=["/X402/1.0", "/b"],
        token_id="Seven",
        metadata={
            "description": "d",
            "tags": ["NLP", 5, ["deep"]],
            "tier": "Gold",
            "limits": {"rpm": 60.0, "free": True},
        },
    )
    lines = facts_text(found).split("\n")
    assert lines[0] == lines[-1] == ""
    assert [line.split(SEPARATOR) for line in lines[1:-1]] == [
        ["token", "seven"],
        ["proto", "/x402/1.0"],
        ["proto", "/b"],
        ["tag", "nlp"],
        ["tag", "5"],
        ["meta.description", "d"],
        ["meta.tags", "nlp"],
        ["meta.tags", "5"],
        ["meta.tags", "deep"],
        ["meta.tier", "gold"],
        ["meta.limits.rpm", "60"],
        ["meta.limits.free", "true"],
    ]


def test_a_metadata_file_has_the_facts_of_metadata():
    bare = listing(metadata="cid")
    assert facts_text(bare) == ""
    assert facts_text(bare, {"tier": "gold"}) == f"\nmeta.tier{SEPARATOR}gold\n"


@given(metadata)
def test_facts_are_few_short_and_lines_of_their_own(content):
    found = facts_text(listing(metadata="cid"), content)
    lines = found.split("\n")[1:-1]
    assert len(lines) <= MAX_FACTS
    for line in lines:
        name, fact = line.split(SEPARATOR)
        assert name == "tag" or name.startswith("meta.")
        assert max(len(name), len(fact)) <= 3 * MAX_FACT, "a letter may have a longer lower case"
        assert line == line.lower()


def test_scalars():
    assert [scalar_text(each) for each in (True, 5, 5.0, 0.5, "X", None, [1])] == [
        "true",
        "5",
        "5",
        "0.5",
        "X",
        None,
        None,
    ]


def test_the_parts_of_an_id_that_no_other_text_has() -> None:
    plain = replace(
        listing(), id="12D3Seller/Swift-OCR", name="Swift-OCR", seller_id="12D3Seller", protocols=(), metadata=None
    )
    assert facts_text(plain) == ""
    other = replace(
        listing(), id="did:key:Z6\nk/Swift-OCR/§", name="swift-ocr", seller_id="12D3Seller", protocols=(), metadata=None
    )
    assert facts_text(other) == f"\nid{SEPARATOR}did:key:z6 k\nid{SEPARATOR}§\n"
