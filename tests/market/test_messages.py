"""Each refusal word for word: the message, the hint under the field of the form, the field and the position."""

import json

import pytest

from betar_tui.errors import FilterError, ListingError
from betar_tui.market.compose import new_document, patched, render
from betar_tui.market.fields import (
    BETAR_GO,
    DOCUMENTS,
    FIELDS,
    MAX_DESCRIPTION,
    MAX_DOCUMENT,
    MAX_NAME,
    MAX_VALUE,
    InvalidValue,
)
from betar_tui.market.filter import parse
from betar_tui.market.json_values import MAX_DEPTH
from betar_tui.market.listing import MAX_BRACKETS, decode, dialect_of, encode, parse_value
from betar_tui.market.marketplace import ListingDraft, ListingPatch
from betar_tui.market.provenance import signed_bytes
from betar_tui.replica import keys
from tests.market.values import NOW, SIGNER, document, winner

BY_NAME = {field.name: field for field in FIELDS}
SLASHES = "the name may not contain slashes or control characters"
PRICE = "the price must be a number that is not negative, such as 0.05"
MULTIADDR = "multiaddr, such as /ip4/203.0.113.7/tcp/4001"
LONG = "x" * 60


@pytest.mark.parametrize(
    ("field", "value", "message", "hint"),
    [
        ("name", " ", "a listing needs a name; people search for it", "a listing needs a name"),
        (
            "name",
            f" {'x' * 129} ",
            "the name has 129 characters, at most 128 are allowed",
            "129 letters: 128 are allowed",
        ),
        ("name", "a/b", SLASHES, "without “/”: it separates seller and name in the id"),
        ("name", "a\x07b", SLASHES, "without control or invisible characters"),
        ("price", True, PRICE, "the price must be finite"),
        ("price", None, PRICE, "the price must be finite"),
        ("price", 10**400, PRICE, "the price must be finite"),
        ("price", float("inf"), PRICE, "the price must be finite"),
        ("price", -0.01, PRICE, "the price cannot be negative"),
        (
            "description",
            "x" * 16385,
            "the description must be a text of at most 16384 characters",
            "16,385 letters: 16,384 are allowed",
        ),
        (
            "description",
            1234,
            "the description must be a text of at most 16384 characters",
            "4 letters: 16,384 are allowed",
        ),
        ("token_id", 7, "the token id must be a text", "not a text"),
        ("addrs", ["/a", LONG], f"'{LONG}' is not a multiaddr", f"'{LONG[:39]}…' is not a {MULTIADDR}"),
        ("protocols", ["x"], "'x' is not a protocol id", "'x' is not a protocol, such as /x402/libp2p/1.0.0"),
    ],
)
def test_a_value_that_may_not_be_published(field, value, message, hint):
    with pytest.raises(InvalidValue) as caught:
        BY_NAME[field].validate(value)
    assert (str(caught.value), caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("field", "value", "written"),
    [
        ("name", f" {'x' * MAX_NAME}\n", "x" * MAX_NAME),
        ("name", "swift ocr", "swift ocr"),
        ("price", 0, 0),
        ("price", 0.5, 0.5),
        ("description", "x" * MAX_DESCRIPTION, "x" * MAX_DESCRIPTION),
        ("token_id", "two words", "two words"),
        ("addrs", ("/b", "/a", "/b"), ["/b", "/a"]),
        ("protocols", (), []),
        ("metadata", {"a": 1}, {"a": 1}),
    ],
)
def test_a_value_as_it_is_written(field, value, written):
    assert BY_NAME[field].validate(value) == written


@pytest.mark.parametrize(
    ("field", "value", "objection"),
    [
        ("name", "swift-ocr", ""),
        ("name", "a\u200bb", "without control or invisible characters"),
        ("name", "a\u200cb", "without control or invisible characters"),
        ("name", "می\u200cخواهم", ""),
        ("name", "👨\u200d👩\u200d👧 helper", ""),
        ("addrs", ["/ip4/192.0.2.1"], ""),
        ("addrs", ["/dns4/x", "/ip4", f"/{LONG}"], f"'/ip4' is not a {MULTIADDR}"),
        ("addrs", [f"/{LONG}"], f"'/{LONG[:38]}…' is not a {MULTIADDR}"),
        ("token_id", "", ""),
        ("token_id", "one", ""),
        ("token_id", "one two", "one word, without spaces"),
        ("price", -1, ""),
        ("metadata", {}, ""),
        ("description", "two words", ""),
        ("protocols", ["/x"], ""),
    ],
)
def test_an_objection(field, value, objection):
    assert BY_NAME[field].objection(value) == objection


@pytest.mark.parametrize(
    ("make", "message", "field"),
    [
        (lambda: new_document(ListingDraft("a/b", 1), "me", ()), SLASHES, "name"),
        (lambda: new_document(ListingDraft("a", -1), "me", ()), PRICE, "price"),
        (
            lambda: new_document(ListingDraft("a", 1, description="x" * 16385), "me", ()),
            "the description must be a text of at most 16384 characters",
            "description",
        ),
        (
            lambda: new_document(ListingDraft("a", 1, metadata={"x": "y" * MAX_DOCUMENT}), "me", ()),
            "the listing has more than 49152 bytes; shorten its texts",
            "metadata",
        ),
        (
            lambda: new_document(ListingDraft("a", 1, metadata={"x": {1}}), "me", ()),
            "the metadata has a value that JSON has no form for: Object of type set is not JSON serializable",
            "metadata",
        ),
        (lambda: patched(document(), ListingPatch(addrs=("x",))), "'x' is not a multiaddr", "addrs"),
        (
            lambda: render(document(metadata={"x": 1 << 64}), DOCUMENTS, SIGNER, NOW),
            "the listing has a value that cannot be signed: "
            "18446744073709551616 does not fit DAG-CBOR's 64-bit integers",
            "metadata",
        ),
        (
            lambda: encode({"a": "x" * (MAX_VALUE - 7)}),
            "the listing has 65537 bytes, at most 65536 are allowed; shorten its texts",
            "",
        ),
        (
            lambda: parse_value(b" " * (MAX_VALUE + 1)),
            "the value has 65537 bytes, more than the 65536 of a listing",
            "",
        ),
        (
            lambda: parse_value(b'{"a":[' + b",".join([b"[]"] * (MAX_BRACKETS - 1)) + b"]}"),
            "the value has more than 4096 lists and objects",
            "",
        ),
        (
            lambda: parse_value(b"[" * (MAX_DEPTH + 1) + b"1" + b"]" * (MAX_DEPTH + 1)),
            "the value is nested more than 32 deep",
            "",
        ),
        (lambda: parse_value(b"[]"), "the value is JSON but not an object: list", ""),
        (lambda: parse_value(b'{"a":NaN}'), "the value is not JSON: NaN is not JSON", ""),
        (
            lambda: parse_value(b"{"),
            "the value is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            "",
        ),
    ],
)
def test_a_listing_that_cannot_be_made_or_read(make, message, field):
    with pytest.raises(ListingError) as caught:
        make()
    assert (str(caught.value), caught.value.field) == (message, field)


def test_the_limits_themselves_are_allowed():
    assert len(encode({"a": "x" * (MAX_VALUE - 8)})) == MAX_VALUE
    assert parse_value(b"{}" + b" " * (MAX_VALUE - 2)) == {}
    many = b'{"a":[' + b",".join([b"{}"] * (MAX_BRACKETS - 2)) + b"]}"
    assert len(parse_value(many)["a"]) == MAX_BRACKETS - 2
    assert "a" in parse_value(b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"1" + b"]" * (MAX_DEPTH - 1) + b"}")
    room = MAX_DOCUMENT - len(encode(new_document(ListingDraft("a", 1, metadata={"x": ""}), "me", ())))
    full = new_document(ListingDraft("a", 1, metadata={"x": "y" * room}), "me", ())
    assert len(encode(full)) == MAX_DOCUMENT
    with pytest.raises(ListingError):
        new_document(ListingDraft("a", 1, metadata={"x": "y" * (room + 1)}), "me", ())


LISTED = {"id": "x", "name": "a", "price": 1, "seller_id": "s", "timestamp": 5}


def read(fields):
    return decode(keys.of_agent("x"), winner(json.dumps(fields, ensure_ascii=False).encode()), 0.0, "")


@pytest.mark.parametrize(
    ("change", "message", "field"),
    [
        ({"id": ""}, "id is missing or not a text", "id"),
        ({"id": "y"}, "the listing calls itself 'y', its key is another's", "id"),
        ({"name": None}, "name is missing or not a text", "name"),
        ({"seller_id": 3}, "seller_id is missing or not a text", "seller_id"),
        ({"sellerId": 3}, "sellerId is missing or not a text", "sellerId"),
        ({"token_id": 3}, "token_id is missing or not a text", "token_id"),
        ({"sellerId": "s", "tokenId": 3}, "tokenId is missing or not a text", "tokenId"),
        ({"price": True}, "price is missing or not a number", "price"),
        ({"price": 10**400}, "price is out of range", "price"),
        ({"addrs": "x"}, "addrs is not a list of texts", "addrs"),
        ({"protocols": [1]}, "protocols is not a list of texts", "protocols"),
        ({"timestamp": 1 << 63}, "timestamp is not a whole number", "timestamp"),
        ({"timestamp": -(1 << 63) - 1}, "timestamp is not a whole number", "timestamp"),
        ({"metadata": []}, "metadata is neither an object nor a CID", "metadata"),
    ],
)
def test_a_value_that_is_not_a_listing(change, message, field):
    with pytest.raises(ListingError) as caught:
        read({**LISTED, **change})
    assert (str(caught.value), caught.value.field) == (message, field)


def test_a_number_that_is_not_finite_is_refused():
    raw = json.dumps(LISTED).replace('"price": 1', '"price": 1e999').encode()
    with pytest.raises(ListingError) as caught:
        decode(keys.of_agent("x"), winner(raw), 0.0, "")
    assert (str(caught.value), caught.value.field) == ("price is not a finite number", "price")


@pytest.mark.parametrize(
    ("change", "attribute", "value"),
    [
        ({}, "token_id", None),
        ({"token_id": "t"}, "token_id", "t"),
        ({"sellerId": "go", "tokenId": "t"}, "token_id", "t"),
        ({"sellerId": "go"}, "seller_id", "go"),
        ({"sellerId": ""}, "seller_id", ""),
        ({"timestamp": (1 << 63) - 1}, "timestamp", (1 << 63) - 1),
        ({"timestamp": -(1 << 63)}, "timestamp", -(1 << 63)),
        ({"price": 2}, "price", 2.0),
        ({"addrs": ["/a"]}, "addrs", ("/a",)),
        ({"metadata": {"description": "d"}}, "description", "d"),
        ({"metadata": {"description": 3}}, "description", ""),
        ({"metadata": "cid"}, "description", ""),
        ({"signature": None, "more": 1}, "extra", {"more": 1}),
        ({"sellerId": "go", "signature": None}, "extra", {"seller_id": "s"}),
    ],
)
def test_a_field_as_it_is_read(change, attribute, value):
    assert getattr(read({**LISTED, **change}), attribute) == value


def test_a_timestamp_that_is_missing_is_zero():
    assert read({name: LISTED[name] for name in ("id", "name", "price", "seller_id")}).timestamp == 0


STATES = "verified unsigned mine new stale muted"


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ('ocr !a"b', 'a quotation mark is missing: end with "', 6),
        ("ocr !", "! needs a word after it: !beta", 4),
        ("a price<", "price< needs a number: price<0.5", 8),
        ("!price:", "price: needs a number: price:0.5", 7),
        ("price>=cheap-cheap-cheap", "'cheap-cheap…' is not a number, as in price>=0.5", 7),
        ("price=inf", "'inf' is not a number, as in price=0.5", 6),
        ("price=1_0", "'1_0' is not a number, as in price=0.5", 6),
        (
            "a !colourfulness:red",
            "no field colourfulne…; there are price< seen< name: description: seller: id: proto: tag: meta. token: state:",
            3,
        ),
        ("a or", "or needs a term after it: ocr or price<1", 2),
        ("a or or b", "or needs a term after it: ocr or price<1", 2),
        ("seen:2h", "seen needs < or >: seen<2h", 4),
        ("!age<", "age< needs an age: age<2h", 5),
        ("seen>2", "'2' is not an age, as in seen>30m, 2h, 7d", 5),
        (f"seen>{'9' * 400}w", "'99999999999…' is not an age, as in seen>30m, 2h, 7d", 5),
        ("a meta.Tier:", "meta.tier: needs a value: meta.tier:gold", 12),
        ("tag:", "tag: needs a value: tag:nlp", 4),
        (" ".join("a" * 65), "a filter has at most 64 words and terms", 128),
        ("seller:", "seller: needs a value: seller:12D3", 7),
        ("!proto:", "proto: needs a value: proto:x402", 7),
        ("state:", "state: needs a value: state:new", 6),
        ("a state:abcdefghijklm", f"no state 'abcdefghi…'; there are {STATES}", 8),
    ],
)
def test_a_filter_that_cannot_be_parsed(text, message, position):
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert (str(caught.value), caught.value.position) == (message, position)


@pytest.mark.parametrize("number", [1 << 64, -(1 << 64) - 1])
def test_an_integer_out_of_range_cannot_be_signed(number):
    with pytest.raises(ValueError, match=f"^{number} does not fit DAG-CBOR's 64-bit integers$"):
        signed_bytes({"n": [number]})
    inside = number - 1 if number > 0 else number + 1
    assert signed_bytes({"n": inside}) != signed_bytes({"n": inside // 2})


@pytest.mark.parametrize(
    ("fields", "dialect"),
    [
        ({"sellerId": "s", "seller_id": "s"}, BETAR_GO),
        ({"seller_id": "s", "metadata": "cid"}, DOCUMENTS),
        ({"metadata": "cid"}, BETAR_GO),
        ({"metadata": {}}, DOCUMENTS),
        ({}, DOCUMENTS),
    ],
)
def test_the_dialect_of_fields(fields, dialect):
    assert dialect_of(fields) == dialect
