"""The records of own listings, and what a merge reports of each, field by field."""

import json

import pytest

from betar_tui.ipld import cid
from betar_tui.market.catalogue import Catalogue, DecodedChange
from betar_tui.market.listing import decode
from betar_tui.market.marketplace import Change, ChangeKind, ListingPage
from betar_tui.market.own import OwnListings, adopted_listing, records
from betar_tui.market.republish import OwnListing
from tests.market.values import NOW, SIGNER, document, key, value, winner


class Store:
    def __init__(self, own=()):
        self.records, self.files = dict(own), {}

    def own(self):
        return self.records

    def put_own(self, documents):
        self.records.update(documents)

    def drop_own(self, keys):
        for each in keys:
            del self.records[each]

    def put_files(self, files):
        self.files.update(files)


A, B = OwnListing({"name": "a"}, 5), OwnListing({"name": "b"}, 6)


async def test_records_come_back_and_follow_each_step():
    assert json.loads(records({"a": A})["a"]) == {"document": {"name": "a"}, "at": 5}
    assert json.loads(records({"b": None})["b"]) == {"document": None, "at": 0}
    store = Store(records({"a": A, "b": None, "c": None}))
    own = OwnListings(store)
    assert (own.listings, own.removals) == ({"a": A}, {"b", "c"})
    await own.keep({"b": B})
    assert (own.listings, own.removals) == ({"a": A, "b": B}, {"c"})
    assert store.records == records({"a": A, "b": B, "c": None})
    own.removing("a")
    own.removing("d")
    assert (own.listings, own.removals) == ({"b": B}, {"a", "c", "d"})
    await own.forget(["b", "c"])
    assert (own.listings, own.removals) == ({}, {"a", "d"})
    assert store.records == records({"a": A})
    await own.keep_files({b"cid": b"block"})
    assert store.files == {b"cid": b"block"}


@pytest.mark.parametrize(
    ("fields", "file", "metadata"),
    [
        ({"metadata": {"k": 1}}, {"ignored": 1}, {"k": 1}),
        ({"metadata": "cid"}, {"k": 2}, {"k": 2}),
        ({"metadata": "cid"}, None, {}),
    ],
)
def test_a_listing_of_another_device_is_adopted_whole(fields, file, metadata):
    raw = {**json.loads(value(token_id="t", colour="red")), **fields}
    listing = decode(key(), winner(json.dumps(raw).encode()), 0.0, SIGNER.peer_id)
    expected = {name: raw[name] for name in raw if name not in ("timestamp", "signature")}
    assert adopted_listing(listing, file) == OwnListing({**expected, "metadata": metadata}, NOW)


def test_a_token_that_is_absent_is_not_adopted():
    listing = decode(key(), winner(value()), 0.0, SIGNER.peer_id)
    assert adopted_listing(listing, None).document == {**document(), "addrs": list(listing.addrs)}


def test_each_field_of_a_reported_change():
    book = Catalogue(SIGNER.peer_id)
    one = decode(key(), winner(value(), 3), 5.0, SIGNER.peer_id)
    name, removal = f"{SIGNER.peer_id}/swift-ocr", cid.of(b"removal")

    def apply(now, refresh=False, removed_by=None):
        return book.apply([DecodedChange(key(), "peer", 9.0, now, refresh, removed_by, 70, 0.5)])

    for kind, refresh in ((ChangeKind.PUT, False), (ChangeKind.UPDATE, False), (ChangeKind.REFRESH, True)):
        assert apply(one, refresh) == [Change(kind, name, one.cid, 3, "peer", 9.0, one, 70, 0.5)]
    gone = ChangeKind.DELIST
    assert apply(None) == [Change(gone, name, one.cid, 3, "peer", 9.0, None, 70, 0.5)]
    apply(one)
    assert apply(None, removed_by=(removal, 8)) == [
        Change(gone, name, cid.to_str(removal), 8, "peer", 9.0, None, 70, 0.5)
    ]


def test_each_number_of_a_page():
    forged = json.dumps({**json.loads(value("f")), "price": 0}).encode()
    values = {"a": value("a"), "b": value("b"), "f": forged, "x": b"[", "y": b"[", "z": b"["}
    book = Catalogue(SIGNER.peer_id)
    book.fill([(key(name), winner(raw), 1.0) for name, raw in values.items()], {})
    a, b = (book.get(f"{SIGNER.peer_id}/{name}") for name in "ab")
    assert book.page("", "-name", 0, 1.0) == ListingPage((b, a), 2, 1, 3)
    assert book.page("", "name", 1, 1.0) == ListingPage((a,), 2, 1, 3)
    assert book.page("zebra", "", 0, 1.0) == ListingPage((), 2, 1, 3)
