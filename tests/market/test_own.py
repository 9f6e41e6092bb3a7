"""The records of own listings."""

import json

import pytest

from betar_tui.market.listing import decode
from betar_tui.market.own import OwnListings, adopted_listing, records, withdrawal_record
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
    assert +own.names == {"a": 1, "b": 1}
    await own.keep({"b": OwnListing({"name": "a"}, 6)})
    assert +own.names == {"a": 2}
    await own.keep({"b": B})
    assert store.records == records({"a": A, "b": B, "c": None})
    own.removing("a", "/withdrawn/YQ", 7)
    own.removing("d", "/withdrawn/ZA", 8)
    assert (own.listings, own.removals) == ({"b": B}, {"a", "c", "d"})
    await own.forget(["b", "c"])
    assert (own.listings, own.removals, +own.names) == ({}, {"a", "d"}, {})
    assert store.records == records({"a": A})
    assert own.withdrawals == {"/withdrawn/YQ": 7, "/withdrawn/ZA": 8}
    await own.keep_files({b"cid": b"block"})
    assert store.files == {b"cid": b"block"}


async def test_withdrawals_are_remembered_apart() -> None:
    store = Store({**records({"/agents/YQ": None, "/agents/Yg": B}), **withdrawal_record("/withdrawn/YQ", 9)})
    own = OwnListings(store)
    assert (own.listings, own.removals, own.withdrawals) == ({"/agents/Yg": B}, {"/agents/YQ"}, {"/withdrawn/YQ": 9})
    await own.forget(["/withdrawn/YQ"])
    assert own.withdrawals == {}
    assert store.records == records({"/agents/YQ": None, "/agents/Yg": B})


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
