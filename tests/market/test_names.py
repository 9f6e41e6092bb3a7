"""Peer ids as text, and whose name space an id is in."""

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.market.names import MAX_PEER_ID, is_peer_id, name_space, short_form
from betar_tui.market.provenance import peer_id_of
from tests.market.values import SIGNER

ME = SIGNER.peer_id
HASHED = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
SECP256K1 = "16Uiu2HAm1pMGzRVvHHWCdQ5MXf8oVTfLsRjBVVqkvXjbqvv3MbXr"


@given(st.binary(min_size=32, max_size=32))
def test_an_ed25519_peer_id_is_one_and_has_a_name_space(key: bytes) -> None:
    peer_id = peer_id_of(key)
    assert is_peer_id(peer_id)
    assert name_space(f"{peer_id}/a/b") == peer_id


def test_a_hashed_key_has_a_name_space() -> None:
    assert is_peer_id(HASHED)
    assert name_space(f"{HASHED}/x") == HASHED
    raw = b"\x00\x25\x08\x02\x12\x21" + bytes(33)
    assert is_peer_id(base58.b58encode(raw).decode())


@pytest.mark.parametrize(
    "text",
    ["", "you", "12D3KooWSeller", f"{ME[:8]}…{ME[-4:]}", ME[:-1], ME + "1", "1" + ME, f" {ME}", f"{ME} ", f"{ME}\n",
     ME.lower(), ME.upper(), ME.replace("o", "о"), ME.replace("K", "\u212a"), ME.replace("D", "\uff24"), "did:key:z6MkTest",
     "z" * MAX_PEER_ID, "z" * (MAX_PEER_ID + 1), "1" * 60, "Qm", "0OIl"],
)  # fmt: skip
def test_what_only_looks_like_one_is_none(text: str) -> None:
    assert not is_peer_id(text)
    assert name_space(f"{text}/a") == ""


@given(st.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", max_size=60) | st.text(max_size=60))
def test_decoding_is_that_of_base58(text: str) -> None:
    try:
        raw = base58.b58decode(text)
    except ValueError:
        raw = b""
    sizes = {b"\x00\x24\x08\x01\x12\x20": 38, b"\x00\x25\x08\x02\x12\x21": 39}
    valid = sizes.get(raw[:6]) == len(raw) or (raw[:2] == b"\x12\x20" and len(raw) == 34)
    assert is_peer_id(text) == (valid and base58.b58encode(raw).decode() == text)


def test_a_short_form_shows_where_keys_differ() -> None:
    assert short_form(ME) == f"12D3…{ME[8:16]}"
    assert short_form(HASHED) == f"QmYy…{HASHED[2:10]}"
    assert short_form("12D3KooWSeller") == short_form(ME[:-1]) == ""


def test_an_id_without_a_slash_is_in_nobodys_name_space() -> None:
    for nobodys in ("", "/", ME, f"/{ME}/a", f"x{ME}/a", f"{ME}%2Fa", f"{ME}\\a", f"{ME}∕a", "a/" + ME):
        assert name_space(nobodys) == ""
