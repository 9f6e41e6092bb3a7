import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import ListingError
from betar_tui.market.fields import BETAR_GO, MAX_VALUE
from betar_tui.market.listing import content_hash, decode, encode, parse_value
from betar_tui.market.marketplace import Provenance
from betar_tui.replica import keys
from tests.market.values import NOW, SIGNER, document, key, value, winner

GO_VALUE = {
    "id": "did:key:z6MkTest",
    "name": "Hagga",
    "price": 0.5,
    "metadata": "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
    "sellerId": "12D3KooWSeller",
    "addrs": ["/ip4/192.0.2.1/tcp/4101", "/ip4/192.0.2.1/udp/4101/quic-v1"],
    "protocols": ["/x402/libp2p/1.0.0"],
    "timestamp": 1795390401,
}


def read(fields: dict[str, object], at_key: str | None = None):
    raw = json.dumps(fields).encode()
    return decode(at_key or keys.of_agent(str(fields["id"])), winner(raw), 0.0, SIGNER.peer_id)


def test_own_listing_comes_back_verified():
    listing = decode(key(), winner(value(), 7), 12.5, SIGNER.peer_id)
    assert (listing.name, listing.price, listing.description) == ("swift-ocr", 0.05, "reads scans")
    assert listing.provenance is Provenance.VERIFIED
    assert listing.mine
    assert (listing.height, listing.seen_at, listing.timestamp) == (7, 12.5, NOW)


def test_what_a_go_betar_writes_is_read():
    listing = read(GO_VALUE)
    assert (listing.name, listing.price, listing.seller_id) == ("Hagga", 0.5, "12D3KooWSeller")
    assert listing.metadata == GO_VALUE["metadata"]
    assert listing.provenance is Provenance.UNSIGNED
    assert listing.token_id is None
    assert not listing.mine


def test_unknown_fields_are_kept_with_the_reputation_of_go_betar():
    reputation = {"count": 3, "score": 412, "decimals": 2}
    listing = read({**GO_VALUE, "onChainReputation": reputation, "agentApi": "x"})
    assert listing.extra == {"onChainReputation": reputation, "agentApi": "x"}


def test_null_lists_and_metadata_count_as_absent():
    listing = read({**GO_VALUE, "metadata": None, "addrs": None, "protocols": None})
    assert (listing.metadata, listing.addrs, listing.protocols) == (None, (), ())


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("name", ""),
        ("name", 7),
        ("price", "0.5"),
        ("price", True),
        ("price", None),
        ("price", 10**400),
        ("metadata", ["x"]),
        ("addrs", "/ip4/1.2.3.4"),
        ("addrs", [1]),
        ("protocols", {}),
        ("timestamp", 1.5),
        ("timestamp", 1 << 63),
        ("timestamp", True),
        ("sellerId", 3),
        ("tokenId", 3),
    ],
)
def test_a_field_of_the_wrong_type_is_refused_and_named(field, bad):
    with pytest.raises(ListingError) as error:
        read({**GO_VALUE, field: bad}, keys.of_agent("did:key:z6MkTest"))
    assert error.value.field == field


def test_a_listing_under_the_key_of_another_is_refused():
    with pytest.raises(ListingError, match="key is another's"):
        read(GO_VALUE, keys.of_agent("somebody-else"))


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff", b"[]", b'"x"', b"{", b'{"price": NaN}', b'{"price": Infinity}', b"[" * 100_000, b"1" * 5000],
)
def test_what_is_not_a_json_object_is_refused(raw):
    with pytest.raises(ListingError):
        parse_value(raw)


def test_a_value_over_the_limit_is_refused_both_ways():
    with pytest.raises(ListingError, match="bytes"):
        parse_value(b" " * (MAX_VALUE + 1))
    with pytest.raises(ListingError, match="shorten"):
        encode({"description": "x" * MAX_VALUE})


def nested(depth: int) -> dict[str, object]:
    metadata: object = "x"
    for _ in range(depth):
        metadata = [metadata]
    return {**GO_VALUE, "metadata": {"deep": metadata}}


def test_a_deeply_nested_listing_is_refused_and_a_shallow_one_read():
    assert read(nested(20)).name == "Hagga"
    for depth in (40, 600, 5000):
        raw = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(ListingError):
            parse_value(raw)


def test_half_characters_anywhere_are_refused():
    for text in ('{"metadata":{"a":"\\ud800"}}', '{"\\udfff":1}'):
        with pytest.raises(ListingError):
            parse_value(text.encode())
    assert parse_value(b'{"a":"\\u00fc"}') == {"a": "\u00fc"}


def test_a_listing_with_our_peer_id_is_mine_only_if_we_signed_it():
    stolen = {**GO_VALUE, "sellerId": SIGNER.peer_id}
    assert not read(stolen).mine


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_a_listing_error(raw):
    try:
        decode("/agents/YQ", winner(raw), 0.0, "")
    except ListingError:
        return
    pytest.fail("random bytes were read as a listing")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*GO_VALUE, "seller_id", "signature", "token_id"]), json_values))
def test_arbitrary_fields_raise_nothing_but_a_listing_error(fields):
    raw = json.dumps({**GO_VALUE, **fields}).encode()
    try:
        listing = decode(keys.of_agent("did:key:z6MkTest"), winner(raw), 0.0, "")
    except ListingError:
        return
    assert isinstance(listing.price, float)
    assert isinstance(listing.name, str)


def test_in_the_dialect_of_go_betar_everything_has_its_type():
    fields = json.loads(value(dialect=BETAR_GO))
    assert isinstance(fields["metadata"], str)
    assert fields["metadata"].startswith("bafybei")
    assert fields["sellerId"] == SIGNER.peer_id
    assert "seller_id" not in fields
    assert "tokenId" not in fields, "Go leaves an empty token out"
    listing = decode(key(), winner(value(dialect=BETAR_GO)), 0.0, SIGNER.peer_id)
    assert listing.provenance is Provenance.VERIFIED


def test_a_refresh_differs_in_nothing_but_time():
    one, later, dearer = map(parse_value, (value(), value(timestamp=NOW + 60), value(price=0.06, timestamp=NOW + 60)))
    assert content_hash(one) == content_hash(later) != content_hash(dearer)
    assert content_hash({"a": 1, "b": [{"c": 2, "d": 3}]}) == content_hash(
        {"b": [{"d": 3, "c": 2}], "a": 1, "timestamp": 9}
    )
    assert len({content_hash({"a": each}) for each in (1, True, "1", None, [1], {"1": 1}, 1.5)}) == 7
    assert all(-(1 << 63) <= content_hash({"a": n}) < 1 << 63 for n in range(100))


def test_document_keeps_fields_it_does_not_know():
    assert json.loads(value(colour="red"))["colour"] == "red"
    assert document(colour="red")["colour"] == "red"
