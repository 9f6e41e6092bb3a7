"""The book: what merges make of the market, and what it remembers of signatures."""

import json

import pytest

from betar_tui.errors import FilterError, ListingError
from betar_tui.ipld import cid
from betar_tui.market.catalogue import Catalogue
from betar_tui.market.marketplace import ChangeKind, Provenance
from betar_tui.replica import Applied, Effect
from betar_tui.replica.facts import Winner
from tests.market.values import NOW, SIGNER, key, value, winner


def book_after(*effects: Effect) -> tuple[Catalogue, list]:
    book = Catalogue(SIGNER.peer_id)
    changes = []
    for effect in effects:
        changes += book.apply(book.decode(Applied((), (effect,), "peer", 5.0)))
    return book, changes


def test_put_update_refresh_and_delist_are_told_apart():
    one, other, later = winner(value(), 1), winner(value(price=9), 2), winner(value(price=9, timestamp=NOW + 9), 3)
    book, changes = book_after(
        Effect(key(), None, one), Effect(key(), one, other), Effect(key(), other, later), Effect(key(), later, None)
    )
    assert [each.kind for each in changes] == [
        ChangeKind.PUT,
        ChangeKind.UPDATE,
        ChangeKind.REFRESH,
        ChangeKind.DELIST,
    ]
    assert len(book) == 0


def test_a_hidden_listing_is_counted_and_reported_only_when_it_was_shown():
    one, junk = winner(value(), 1), winner(b"junk", 2)
    tampered = winner(json.dumps({**json.loads(value()), "price": 0}).encode(), 3)
    book, changes = book_after(
        Effect(key(), None, one), Effect(key(), one, junk), Effect(key(), junk, tampered), Effect("/other", None, one)
    )
    assert [each.kind for each in changes] == [ChangeKind.PUT, ChangeKind.DELIST]
    assert (book.invalid, len(book.unreadable)) == (1, 0)


def test_a_verdict_serves_the_value_it_was_found_for_and_no_other_in_the_same_block():
    good = value("good")
    forged = json.dumps({**json.loads(value("forged")), "price": 0}).encode()
    block = cid.of(b"one block with both")
    values = [(key("good"), Winner(1, good, block), 1.0), (key("forged"), Winner(1, forged, block), 1.0)]
    first = Catalogue(SIGNER.peer_id)
    first.fill(values, {})
    again = Catalogue(SIGNER.peer_id)
    again.fill(values, first.signature_cache())
    for book in (first, again):
        assert (len(book), book.invalid) == (1, 1)
        assert book.get(f"{SIGNER.peer_id}/good").provenance is Provenance.VERIFIED
    # That a verdict is used at all shows where it is wrong.
    wrong = dict.fromkeys(first.signature_cache(), "invalid")
    believed = Catalogue(SIGNER.peer_id)
    believed.fill(values, wrong)
    assert (len(believed), believed.invalid) == (0, 2)


def test_an_own_value_is_not_checked_and_all_others_are():
    mine, forged = (json.dumps({**json.loads(value()), "price": price}).encode() for price in (1, 2))
    book = Catalogue(SIGNER.peer_id, {mine}.__contains__)
    for found, listed in ((mine, (1, 0)), (forged, (0, 1))):
        book.apply(book.decode(Applied((), (Effect(key(), None, winner(found)),), "", 5.0)))
        assert (len(book), book.invalid) == listed


def test_who_is_muted_is_not_known_outside_the_interface():
    with pytest.raises(FilterError, match="setting of the interface"):
        Catalogue(SIGNER.peer_id).page("state:muted", "", 0, 0.0)


def pointing(name: str, metadata: str, height: int = 1) -> Winner:
    fields = {**json.loads(value(name)), "metadata": metadata}
    del fields["signature"]
    return winner(json.dumps(fields).encode(), height)


def test_a_metadata_file_is_kept_as_long_as_a_listing_points_at_it():
    ids = [f"{SIGNER.peer_id}/{name}" for name in "ab"]
    one, two = pointing("a", "cid"), pointing("b", "cid")
    book, _ = book_after(Effect(key("a"), None, one))
    assert book.lacks("cid")
    (described,) = book.describe("cid", b'{"description":"reads scans","more":[1]}')
    assert (described.id, described.description) == (ids[0], "reads scans")
    assert not book.lacks("cid")
    book.apply(book.decode(Applied((), (Effect(key("b"), None, two),), "peer", 6.0)))
    for listing_id in ids:
        listing = book.get(listing_id)
        assert listing.description == "reads scans"
        assert book.document(listing) == {"description": "reads scans", "more": [1]}
    for name in "ab":
        assert book._documents.keys() == {"cid"}
        book.apply(book.decode(Applied((), (Effect(key(name), one, None),), "peer", 7.0)))
    assert not book._documents
    assert not book._keys_by_metadata


def test_a_metadata_file_that_nothing_points_at_is_not_taken_in():
    book, _ = book_after(Effect(key("a"), None, pointing("a", "cid")))
    assert book.describe("other", b'{"description":"x"}') == ()
    book.give_up("another")
    assert not book._documents
    book.give_up("cid")
    assert not book.lacks("cid")
    assert book.document(book.get(f"{SIGNER.peer_id}/a")) == {}


def test_a_metadata_file_takes_no_more_room_than_its_bytes():
    book, _ = book_after(Effect(key("a"), None, pointing("a", "cid")))
    book.describe("cid", b'{"description":"x","a":[%s]}' % b",".join([b"{}"] * 4000))
    (kept,) = book._documents.values()
    assert (kept.attributes, type(kept.content)) == ({"description": "x"}, bytes)


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{", b"\xff", b'{"a":NaN}', b'{"description":"\\ud800"}', b'{"a":[%s]}' % b",".join([b"[]"] * 5000)],
)
def test_a_metadata_file_is_read_as_strictly_as_a_listing(content):
    book, _ = book_after(Effect(key("a"), None, pointing("a", "cid")))
    with pytest.raises(ListingError, match="metadata file cid"):
        book.describe("cid", content)
    assert not book._documents
