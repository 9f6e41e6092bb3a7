import json
import sys

import pytest

from betar_tui.errors import DecodeError, ListingError
from betar_tui.ipld import cid, protobuf, unixfs
from betar_tui.ipld.protobuf import fields, write_bytes
from betar_tui.market.compose import new_document, patched, render
from betar_tui.market.fields import BETAR_GO, BETAR_PROTOCOL, DOCUMENTS, X402_PROTOCOL
from betar_tui.market.marketplace import ListingDraft, ListingPatch
from betar_tui.market.provenance import verify
from tests.market.values import NOW, SIGNER, document


def test_a_draft_without_addresses_follows_the_peers_own():
    own = ("/ip4/192.0.2.7/tcp/4001",)
    for draft in (ListingDraft("a", 1), ListingDraft("a", 1, addrs=own)):
        made = new_document(draft, SIGNER.peer_id, own)
        assert made["addrs"] == []
        assert json.loads(render(made, DOCUMENTS, SIGNER, NOW, own).value)["addrs"] == list(own)
        moved = ("/ip4/192.0.2.9/tcp/4001",)
        assert json.loads(render(made, DOCUMENTS, SIGNER, NOW, moved).value)["addrs"] == list(moved)
    chosen = new_document(ListingDraft("a", 1, addrs=("/dns4/x/tcp/1",)), SIGNER.peer_id, own)
    assert chosen["addrs"] == ["/dns4/x/tcp/1"]
    assert made["id"] == f"{SIGNER.peer_id}/a"


def test_a_listing_claims_only_the_protocols_that_its_seller_names():
    silent = new_document(ListingDraft("a", 1), SIGNER.peer_id, ())
    assert json.loads(render(silent, DOCUMENTS, SIGNER, NOW).value)["protocols"] == []
    in_go = render(silent, BETAR_GO, SIGNER, NOW)
    assert "protocols" not in json.loads(in_go.value)
    assert json.loads(unixfs.decode_file(*in_go.file))["x402Support"] is False
    named = new_document(ListingDraft("a", 1, protocols=(X402_PROTOCOL,)), SIGNER.peer_id, ())
    in_go = render(named, BETAR_GO, SIGNER, NOW)
    assert json.loads(in_go.value)["protocols"] == [X402_PROTOCOL]
    assert json.loads(unixfs.decode_file(*in_go.file))["x402Support"] is True


def test_a_listing_of_before_keeps_its_protocols_when_it_is_put_again():
    before = document(protocols=[BETAR_PROTOCOL, X402_PROTOCOL])
    for changed in (before, patched(before, ListingPatch(price=9))):
        assert json.loads(render(changed, DOCUMENTS, SIGNER, NOW).value)["protocols"] == [BETAR_PROTOCOL, X402_PROTOCOL]
    withdrawn = patched(before, ListingPatch(protocols=()))
    assert json.loads(render(withdrawn, DOCUMENTS, SIGNER, NOW).value)["protocols"] == []


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (ListingDraft("", 1), "name"),
        (ListingDraft("a/b", 1), "name"),
        (ListingDraft("a\x1bb", 1), "name"),
        (ListingDraft("x" * 200, 1), "name"),
        (ListingDraft("a", -1), "price"),
        (ListingDraft("a", float("nan")), "price"),
        (ListingDraft("a", float("inf")), "price"),
        (ListingDraft("a", 10**400), "price"),
        (ListingDraft("a", 1, addrs=("192.0.2.7",)), "addrs"),
        (ListingDraft("a", 1, protocols=("x402",)), "protocols"),
        (ListingDraft("a", 1, description="x" * 20_000), "description"),
        (ListingDraft("a", 1, metadata={"x": "y" * 70_000}), "metadata"),
        (ListingDraft("a", 1, metadata={"x": float("nan")}), "metadata"),
    ],
)
def test_a_bad_field_is_named(draft, field):
    with pytest.raises(ListingError) as error:
        new_document(draft, SIGNER.peer_id, ())
    assert error.value.field == field


def verify_value(value, seller):
    fields = json.loads(value)
    return verify(fields, fields["id"], seller.peer_id)


def test_a_patch_changes_what_it_names_and_keeps_the_rest():
    before = document(colour="red")
    after = patched(before, ListingPatch(price=9, metadata={"lang": "en"}))
    assert after["price"] == 9
    assert after["metadata"] == {"description": "reads scans", "lang": "en"}
    assert after["colour"] == "red"
    assert after["id"] == before["id"]
    assert patched(before, ListingPatch()) == before


def test_the_metadata_file_of_the_go_dialect_holds_the_description():
    rendered = render(document(), BETAR_GO, SIGNER, NOW)
    assert rendered.file is not None
    name, block = rendered.file
    assert json.loads(rendered.value)["metadata"] == cid.to_str(name)
    assert cid.of(block) == name
    content = json.loads(unixfs.decode_file(name, block))
    assert (content["name"], content["description"]) == ("swift-ocr", "reads scans")
    assert render(document(), DOCUMENTS, SIGNER, NOW).file is None


def test_unixfs_files_come_back_and_larger_ones_are_refused():
    for content in (b"", b"x", b"y" * unixfs.MAX_FILE):
        assert unixfs.decode_file(*unixfs.encode_file(content)) == content
    with pytest.raises(DecodeError):
        unixfs.encode_file(b"x" * (unixfs.MAX_FILE + 1))
    assert unixfs.decode_file(cid.of_raw(b"leaf"), b"leaf") == b"leaf"


@pytest.mark.parametrize("block", [b"", b"\x0a\x02\x08\x01", b"\x12\x02\x08\x01", b"\x08\x01", b"\xff"])
def test_a_block_that_is_not_a_small_unixfs_file_is_refused(block):
    with pytest.raises(DecodeError):
        unixfs.decode_file(cid.of(block), block)


def test_a_block_that_is_too_large_for_metadata_is_not_parsed(monkeypatch):
    def fields(*args: object) -> object:
        raise AssertionError("parsed")

    monkeypatch.setattr(protobuf, "fields", fields)
    for block in (write_bytes(1, b"\x08\x02" * (1 << 20)), b"x" * (unixfs.MAX_FILE_BLOCK + 1)):
        for name in (cid.of(block), cid.of_raw(block)):
            with pytest.raises(DecodeError, match="exceeds"):
                unixfs.decode_file(name, block)


def test_fields_without_end_are_not_read(monkeypatch):
    read = 0

    def counted(*args):
        nonlocal read
        for each in fields(*args):
            read += 1
            yield each

    monkeypatch.setattr(protobuf, "fields", counted)
    for block in (b"\x0a\x00" * 30_000, write_bytes(1, b"\x08\x02" * 30_000)):
        read = 0
        with pytest.raises(DecodeError, match="fields"):
            unixfs.decode_file(cid.of(block), block)
        assert read <= 2 * unixfs.MAX_FIELDS
    unusual = (
        b"\x08\x02" + write_bytes(2, b"{}") + b"\x18\x02\x28\x00\x30\x00\x38\xed\x03" + write_bytes(8, b"\x08\x01")
    )
    assert unixfs.decode_file(b"", write_bytes(1, unusual)) == b"{}", "a file with its mode and time"


def test_metadata_cids_are_read_in_any_base(monkeypatch):
    name, _ = unixfs.encode_file(b"x")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "multiformats", None)
        assert unixfs.parse_cid(cid.to_str(name)) == name, "the usual form needs no general decoder"
        raw = cid.of_raw(b"x")
        assert unixfs.parse_cid(cid.to_str(raw)) == raw
    assert unixfs.parse_cid(f"f{name.hex()}") == name
    assert unixfs.parse_cid(cid.to_str(name).upper()) == name
    assert unixfs.parse_cid(cid.to_str(name)[:-1] + "b") is None, "bits are left over"
    import base58

    assert unixfs.parse_cid(base58.b58encode(name[2:]).decode()) == name, "CIDv0"
    for bad in ("", "Qm", "bafy", "not a cid", "b" * 500, "bafkqaaa"):
        assert unixfs.parse_cid(bad) is None
