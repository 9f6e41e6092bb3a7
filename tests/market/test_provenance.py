import base64
import json

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.market.marketplace import Provenance
from betar_tui.market.provenance import PREFIX, Signer, mark_of, signed_bytes, verify
from tests.market.values import SIGNER, document

OTHER = Signer(b"\x07" * 32)


def signed(signer: Signer = SIGNER, **fields: object) -> dict[str, object]:
    listing = document(**fields)
    return {**listing, "signature": signer.sign(listing)}


def verdict(listing: dict[str, object], seller_id: str = SIGNER.peer_id) -> Provenance:
    return verify(listing, str(listing["id"]), seller_id)


def test_peer_id_is_that_of_the_key():
    # The identity that libp2p derives from the same seed; the constant was computed with it.
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.peer.id import ID

    assert str(ID.from_pubkey(create_new_key_pair(bytes(range(32))).public_key)) == SIGNER.peer_id


def test_a_listing_survives_json_and_stays_verified():
    again = json.loads(json.dumps(signed(price=0.1, note="ü", nested={"b": [1, 2.5], "aa": None})))
    assert verdict(again, SIGNER.peer_id) is Provenance.VERIFIED


@pytest.mark.parametrize("field", ["name", "price", "addrs", "metadata"])
def test_a_changed_field_is_invalid(field):
    assert verdict({**signed(), field: "changed"}, SIGNER.peer_id) is Provenance.INVALID


def test_an_added_field_is_invalid():
    assert verdict({**signed(), "extra": 1}, SIGNER.peer_id) is Provenance.INVALID


def test_somebody_elses_signature_is_invalid():
    assert verdict(signed(OTHER), SIGNER.peer_id) is Provenance.INVALID
    assert verdict(signed(), OTHER.peer_id) is Provenance.INVALID


def test_an_id_belongs_to_the_peer_in_it() -> None:
    stolen = signed(OTHER, seller_id=OTHER.peer_id)
    assert stolen["id"] == f"{SIGNER.peer_id}/swift-ocr"
    assert verdict(stolen, OTHER.peer_id) is Provenance.INVALID
    for nobodys in (
        "did:key:z6MkTest",
        SIGNER.peer_id,
        f"/{SIGNER.peer_id}/a",
        f"{SIGNER.peer_id.lower()}/a",
        "a/b",
        "",
    ):
        listing = signed(id=nobodys)
        assert verdict(listing) is Provenance.UNSIGNED, "the signature is right, and says nothing about the id"
        assert verdict({**listing, "price": 2}) is Provenance.INVALID
    for own in (f"{SIGNER.peer_id}/", f"{SIGNER.peer_id}/a/b", f"{SIGNER.peer_id}//"):
        assert verdict(signed(id=own)) is Provenance.VERIFIED


def test_a_signature_has_one_form() -> None:
    listing = signed()
    signature = dict(listing["signature"])
    key, sig = signature["key"], signature["sig"]
    loose = key[:-2] + chr(ord(key[-2]) + 1) + key[-1]  # bits that base64 leaves out
    for other in (
        {"key": loose},
        {"key": key + "\n"},
        {"key": key.rstrip("=")},
        {"key": f" {key}"},
        {"key": key.replace("+", "-").replace("/", "_") + "="},
        {"sig": sig.rstrip("=")},
        {"sig": sig + "===="},
        {"sig": [sig]},
        {"more": 1},
        {"alg": "Ed25519"},
        {"alg": None},
    ):
        assert verdict({**listing, "signature": {**signature, **other}}) is Provenance.INVALID, other
    for name in signature:
        parts = {each: text for each, text in signature.items() if each != name}
        assert verdict({**listing, "signature": parts}) is Provenance.INVALID


def test_the_mark_is_the_beginning_of_the_signature() -> None:
    signature = SIGNER.sign(document())
    assert mark_of(signature) == int.from_bytes(base64.b64decode(signature["sig"])[:8], "big", signed=True)
    for none in (None, 1, [], {}, {"sig": "AAAA"}, {"sig": 7}):
        assert mark_of(none) is None


def test_without_signature_it_is_unsigned():
    assert verdict(document(), SIGNER.peer_id) is Provenance.UNSIGNED


@pytest.mark.parametrize(
    "signature",
    ["x", 7, [], {}, {"alg": "rsa"}, {"alg": "ed25519"}, {"alg": "ed25519", "key": "!", "sig": "!"},
     {"alg": "ed25519", "key": "AAAA", "sig": "AAAA"}],
)  # fmt: skip
def test_a_malformed_signature_is_invalid(signature):
    assert verdict({**document(), "signature": signature}, SIGNER.peer_id) is Provenance.INVALID


def test_what_is_signed_is_canonical_dag_cbor():
    raw = signed_bytes({"bb": 1, "a": 0.5, "c": {"y": 1, "xx": 2}, "signature": "left out"})
    assert raw.startswith(PREFIX)
    body = raw[len(PREFIX) :]
    assert list(cbor2.loads(body)) == ["a", "c", "bb"], "shorter keys first"
    assert bytes.fromhex("fb3fe0000000000000") in body, "floats are 64 bits wide"
    assert body == signed_bytes({"c": {"xx": 2, "y": 1}, "a": 0.5, "bb": 1})[len(PREFIX) :]


def test_names_are_in_the_order_of_their_utf8() -> None:
    names = ["𝄞", "abc", "é", "zz", "z", "ß", "日"]
    ordered = list(cbor2.loads(signed_bytes({"m": dict.fromkeys(names, 1)})[len(PREFIX) :])["m"])
    assert ordered == sorted(names, key=lambda name: (len(name.encode()), name.encode()))
    assert ordered == ["z", "zz", "ß", "é", "abc", "日", "𝄞"]


def test_names_that_are_not_texts_have_no_signed_form() -> None:
    with pytest.raises(ValueError, match="must be texts"):
        signed_bytes({"m": {1: 2}})


@given(st.dictionaries(st.text(max_size=4), st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)))
def test_order_of_fields_does_not_matter(fields):
    try:
        one = signed_bytes(fields)
    except ValueError:
        return
    assert one == signed_bytes(dict(reversed(fields.items())))


def test_an_integer_beyond_64_bits_has_no_signed_form():
    with pytest.raises(ValueError, match="64-bit"):
        signed_bytes({"n": 1 << 70})
    assert verdict({**signed(), "n": 1 << 70}, SIGNER.peer_id) is Provenance.INVALID


def test_a_signer_knows_the_values_it_made_once_each_and_nothing_else() -> None:
    signer = Signer(b"\x05" * 32)
    signer.remember_own_value(b"one")
    signer.remember_own_value(b"two")
    assert not signer.is_own_value(b"three")
    assert signer.is_own_value(b"one")
    assert not signer.is_own_value(b"one")
    for n in range(5000):
        signer.remember_own_value(b"%d" % n)
    assert not signer.is_own_value(b"two")
    assert signer.is_own_value(b"4999")
