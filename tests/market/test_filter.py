"""The filter grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import FilterError
from betar_tui.market.filter import NEW_FOR, STALE_AFTER, parse, unfinished
from betar_tui.market.marketplace import Listing, Provenance
from tests.market.values import matches

NOW = 1_000_000.0


def listing(**fields):
    values = {
        "id": "12D3KooWabc/swift-ocr",
        "name": "Swift-OCR",
        "price": 0.5,
        "metadata": {"tier": "Gold", "tags": ["nlp", "two words"], "limits": {"pages": 50.0}, "fast": True},
        "seller_id": "12D3KooWabcdefXYZ9",
        "addrs": (),
        "protocols": ("/x402/libp2p/1.0.0",),
        "timestamp": int(NOW - 10),
        "token_id": "token-42",
        "provenance": Provenance.VERIFIED,
        "mine": False,
        "cid": "bafy",
        "height": 1,
        "description": "Reads scanned pages",
        "seen_at": NOW - 10,
    }
    return Listing(**{**values, **fields})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "ocr",
        "OCR",
        "scanned",
        "12d3koowabc",
        "ocr scanned",
        '"scanned pages"',
        "!beta",
        '!"scanned photos"',
        "price<0.6",
        "price<=0.5",
        "price>=0.5",
        "price=0.5",
        "price:0.5",
        "price!=1",
        "PRICE>0.4",
        "price<1e3",
        "!price>1",
        "seller:12D3KooW",
        "seller:xyz9",
        "seller:12D3…XYZ9",
        "seller:12D3…oow",
        "proto:x402",
        "!proto:mcp",
        "state:verified",
        "state:new",
        "!state:stale",
        "!state:mine",
        "ocr price<1 state:verified !beta",
        "name:OCR",
        "!name:scanned",
        "description:scanned",
        "!description:ocr",
        "seen<1m",
        "AGE>=10s",
        "!seen>1h",
        "id:/swift",
        "tag:NLP",
        "!tag:nl",
        'tag:"two words"',
        "meta.tier:gold",
        "meta.Limits.pages:50",
        "meta.fast:true",
        "meta.tags:nlp",
        "token:42",
        "zebra or ocr",
        "ocr or zebra",
        "ocr OR zebra price<0.1",
        "zebra or price<0.1 or tag:nlp ocr",
        '"or" or ocr',
    ],
)
def test_matches(text):
    assert matches(parse(text), listing(), NOW)


@pytest.mark.parametrize(
    "text",
    [
        "zebra",
        "ocr zebra",
        '"pages scanned"',
        "!ocr",
        "price<0.5",
        "price>0.5",
        "!price<1",
        "seller:12D3…XYZ8",
        "proto:mcp",
        "state:unsigned",
        "state:mine",
        "state:stale",
        "name:scanned",
        "name:12d3",
        "description:ocr",
        "seen>1m",
        "seen<10s",
        "id:swift-ocr2",
        "tag:nl",
        "tag:gold",
        "meta.tier:gol",
        "meta.limits:50",
        "meta.tier:nlp",
        "token:43",
        "zebra or price<0.1",
        "zebra or ocr price<0.1",
        '"or"',
        "or ocr",
    ],
)
def test_does_not_match(text):
    assert not matches(parse(text), listing(), NOW)


def test_states():
    assert matches(parse("state:mine"), listing(mine=True), NOW)
    assert matches(parse("state:unsigned"), listing(provenance=Provenance.UNSIGNED), NOW)
    assert matches(parse("state:stale"), listing(timestamp=int(NOW - STALE_AFTER - 1)), NOW)
    assert not matches(parse("state:new"), listing(seen_at=NOW - NEW_FOR - 1), NOW)


def test_a_refresh_does_not_make_a_listing_new():
    assert not matches(parse("state:new"), listing(seen_at=NOW), NOW, first_seen=NOW - NEW_FOR - 1)


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("ocr price<", 10, "price< needs a number"),
        ("price<cheap", 6, "'cheap' is not a number"),
        ("price<nan", 6, "is not a number"),
        ("price<1_0", 6, "is not a number"),
        ("ocr state:fresh", 10, "no state 'fresh'; there are verified"),
        ("seller:", 7, "seller: needs a value"),
        ("colour:red", 0, "no field colour; there are price<"),
        ("ocr nmae:x", 4, r"no field nmae; did you mean name:\?"),
        ("prize<0.5", 0, r"no field prize; did you mean price<0.5\?"),
        ("!pice>=1", 1, r"no field pice; did you mean price>=1\?"),
        ("name<", 4, "name is not compared, it is looked for: name:"),
        ("prize<", 0, r"no field prize; did you mean price<\?"),
        ("aged<2h", 0, r"no field aged; there are price<"),
        ("seeen<2h", 0, r"no field seeen; did you mean seen<2h\?"),
        ("cost<=.5", 0, "no field cost; there are price<"),
        ("tier=3", 0, "no field tier; there are price<"),
        ("name=ocr", 4, "name is not compared, it is looked for: name:ocr"),
        ("meta.pages>5", 10, "meta.pages is not compared, it is looked for: meta.pages:5"),
        ("ocr !", 4, "! needs a word"),
        ('ocr "two words', 4, "quotation mark"),
    ],
)
def test_what_is_wrong_and_where(text, position, message):
    with pytest.raises(FilterError, match=message) as caught:
        parse(text)
    assert caught.value.position == position


@pytest.mark.parametrize("text", ["a<b", "tier=gold", "c++=17", "x=", "name=", "<3", "a=b=c", '"prize<0.5"'])
def test_what_is_no_comparison_is_a_word(text):
    assert parse(text).terms[0].kind == "word"


def test_ids_with_colons_are_words():
    assert parse("did:key:z6Mk").terms[0].kind == "word"


TEXTS = st.text(st.sampled_from('ab!":<>=. price seller:state:new…'), max_size=30)


@given(TEXTS)
def test_any_text_is_a_filter_or_a_filter_error(text):
    try:
        parsed = parse(text)
    except FilterError as error:
        assert 0 <= error.position <= len(text)
        assert str(error)
    else:
        matches(parsed, listing(), NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ocr pri", ("ocr ", "price<0.5")),
        ("ocr !sell", ("ocr ", "seller:12D3")),
        ("ocr", ("", "")),
        ("ocr price ", ("", "")),
        ("p", ("", "")),
        ("price", ("", "price<0.5")),
        ("ocr !proto:", ("ocr ", "proto:x402")),
        ("price<0.5", ("", "")),
        ("!proto:x402", ("", "")),
        ("seller:12", ("", "")),
        ("", ("", "")),
        ("ocr tag", ("ocr ", "tag:nlp")),
        ("ocr meta.ti", ("ocr ", "meta.tier:gold")),
        ("meta.tier:", ("", "")),
        ("ocr or pri", ("ocr ", "price<0.5")),
        ("ocr or or pri", ("ocr or ", "price<0.5")),
    ],
)
def test_unfinished(text, expected):
    assert unfinished(text) == expected


def test_a_lone_or_is_a_word():
    """Else "oracle" could not be typed."""
    assert [(term.kind, term.value) for term in parse("or").terms] == [("word", "or")]
    assert [len(terms) for terms in parse("or or a b").alternatives] == [1, 2]


def test_each_alternative_is_muted():
    parsed = parse("ocr or state:muted").muting(frozenset(["12D3KooWabcdefXYZ9"]))
    assert matches(parsed, listing(), NOW)
    assert not matches(parsed, listing(seller_id="me", name="a"), NOW)
    assert matches(parsed, listing(seller_id="me"), NOW)
    assert not matches(parse("ocr or zebra").muting(frozenset(["12D3KooWabcdefXYZ9"])), listing(), NOW)


def test_you_are_a_seller_too():
    """As the table calls it."""
    assert parse("seller:you").terms == parse("state:mine").terms
    assert parse("!seller:You").terms == parse("!state:mine").terms
    assert parse("seller:your").terms != parse("state:mine").terms
