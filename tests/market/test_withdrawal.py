"""The signed withdrawal of a listing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import ListingError
from betar_tui.market.listing import decode
from betar_tui.market.provenance import Signer
from betar_tui.market.withdrawal import MAX_TIMESTAMP, withdrawal, withdrawn_at
from betar_tui.replica import keys
from tests.market.values import NOW, SIGNER, key, value, winner

OTHER = Signer(b"\x07" * 32)
ID = f"{SIGNER.peer_id}/swift-ocr"
KEY = keys.of_withdrawal(ID)
GOLDEN = (
    b'{"id":"12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB/swift-ocr","seller_id":"12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB","timestamp":1795390401'
    b',"signature":{"alg":"ed25519","key":"A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",'
    b'"sig":"ZoVj1KdnnjvYe9/l+V6h+hnnx29M9cAx5+aIng/0/dNDrQmo2Tei+i1oyfqIJGrp7VYiF2ALeQjZ6czXky30Ag=="}}'
)


def made(signer: Signer = SIGNER, **fields: object) -> bytes:
    """A document that is signed as a withdrawal is, whatever it says."""
    document = {"id": ID, "seller_id": SIGNER.peer_id, "timestamp": NOW, **fields}
    return json.dumps({**document, "signature": signer.sign(document)}, separators=(",", ":")).encode()


def test_golden_vector() -> None:
    assert "/withdrawn/" + key().removeprefix("/agents/") == KEY
    assert withdrawal(ID, SIGNER, NOW) == GOLDEN
    assert withdrawn_at(KEY, GOLDEN) == NOW


@given(st.integers(-MAX_TIMESTAMP - 1, MAX_TIMESTAMP), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_what_is_written_is_read(timestamp: int, name: str) -> None:
    listing_id = f"{SIGNER.peer_id}/{name}"
    assert withdrawn_at(keys.of_withdrawal(listing_id), withdrawal(listing_id, SIGNER, timestamp)) == timestamp


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(made(OTHER), id="signed by another"),
        pytest.param(made(OTHER, seller_id=OTHER.peer_id), id="another's word about it, well signed"),
        pytest.param(made(id=ID + "x"), id="of another id"),
        pytest.param(made(id="did:key:z6MkTest"), id="of an id in nobody's name space"),
        pytest.param(made(timestamp=NOW + 0.5), id="a float"),
        pytest.param(made(timestamp=True), id="a truth value"),
        pytest.param(made(timestamp=str(NOW)), id="a text"),
        pytest.param(made(timestamp=1 << 63), id="an integer that nothing holds"),
        pytest.param(made(more=1), id="a field more"),
        pytest.param(value(), id="the listing itself"),
        pytest.param(made().replace(b'"timestamp":', b'"timestamp":0,"timestamp":'), id="a name twice"),
        pytest.param(made().replace(b'"signature"', b'"signatur\\u0065"'), id="a name in disguise"),
        pytest.param(made().replace(str(NOW).encode(), str(NOW + 1).encode()), id="a later time"),
        pytest.param(b'{"id":"%s"}' % ID.encode(), id="unsigned"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b'"signature"', id="no JSON"),
        pytest.param(b'{"signature":1e400}', id="an endless number"),
    ],
)
def test_a_forged_withdrawal_withdraws_nothing(forged: bytes) -> None:
    assert withdrawn_at(KEY, forged) is None


@pytest.mark.parametrize("other", [keys.of_withdrawal(ID + "x"), key(), "/withdrawn", f"{KEY}=", f"{KEY}/x", "/other"])
def test_it_counts_under_its_own_key_alone(other: str) -> None:
    assert withdrawn_at(other, withdrawal(ID, SIGNER, NOW)) is None


def test_a_withdrawal_is_no_listing() -> None:
    with pytest.raises(ListingError):
        decode(key(), winner(withdrawal(ID, SIGNER, NOW)), 0.0, SIGNER.peer_id)
