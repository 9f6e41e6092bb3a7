import json

from betar_tui.market.compose import render
from betar_tui.market.listing import BETAR_GO, DOCUMENTS
from betar_tui.market.provenance import Signer
from betar_tui.market.republish import LONGEST_RETRY, OwnListing, RepublishPolicy, RepublishReason, Said
from tests.market.values import ADDRS, NOW, SIGNER, document, key, value

OWN = {key(): OwnListing(document(), NOW)}
HOUR = 3600.0


def announcer(refresh: float = HOUR) -> RepublishPolicy:
    def made(listing, dialect, at, addrs):
        return render(listing, dialect, SIGNER, at, addrs).value

    return RepublishPolicy(refresh, made)


def due(values, now=NOW + 10.0, dialect=DOCUMENTS, addrs=ADDRS, own=OWN, by=None, said=None):
    return (by or announcer()).due(own, values, said or {}, dialect, addrs, now)


def test_a_listing_that_stands_and_is_young_is_left_alone():
    assert due({key(): value()}) == {}
    assert due({key(): value(dialect=BETAR_GO)}, dialect=BETAR_GO) == {}


def test_an_old_timestamp_is_refreshed():
    assert due({key(): value()}, now=NOW + HOUR) == {key(): RepublishReason.STALE}


def test_a_removed_listing_is_put_back():
    assert due({}) == {key(): RepublishReason.MISSING}


def test_a_replaced_listing_is_put_back():
    forged = json.loads(value())
    forged["addrs"] = ["/ip4/198.51.100.66/tcp/1"]
    for other in (b"junk", json.dumps(forged).encode(), json.dumps({**forged, "timestamp": 2**60}).encode()):
        assert due({key(): other}) == {key(): RepublishReason.REPLACED}


def test_an_older_word_of_the_seller_is_a_replay_and_a_newer_one_is_taken_over():
    old, new = value(price=9, timestamp=NOW - 100), value(price=9, timestamp=NOW + 5)
    assert due({key(): old}, said={key(): Said(NOW)}) == {key(): RepublishReason.REPLACED}
    assert due({key(): new}, said={key(): Said(NOW + 5)}) == {key(): RepublishReason.ADOPTED}
    later = value(price=9, timestamp=NOW + 5000)
    assert due({key(): later}, said={key(): Said(NOW + 5000)}) == {key(): RepublishReason.ADOPTED}, (
        "a clock that is ahead"
    )


def test_the_newest_word_counts_wherever_it_stands():
    new = value(price=9, timestamp=NOW + 5)
    for in_map in ({}, {key(): b"junk"}, {key(): value(price=9, timestamp=NOW - 5)}, {key(): value()}):
        assert due(in_map, said={key(): Said(NOW + 5, value=new)}) == {key(): RepublishReason.ADOPTED}
    assert due({key(): b"junk"}, said={key(): Said(NOW + 5)}) == {key(): RepublishReason.REPLACED}, "just replaced"


def test_a_withdrawal_by_another_device_is_taken_over():
    for said in (Said(None, NOW + 1), Said(NOW, NOW + 1), Said(NOW + 1, NOW + 1)):
        assert due({key(): value()}, said={key(): said}) == {key(): RepublishReason.WITHDRAWN}
        assert due({}, said={key(): said}) == {key(): RepublishReason.WITHDRAWN}
    assert due({key(): value()}, said={key(): Said(NOW, NOW)}) == {}, "published again since"


def test_the_same_word_from_another_device_stands_whenever_it_was_said():
    assert due({key(): value(timestamp=NOW + 5)}, said={key(): Said(NOW + 5)}) == {}
    assert due({key(): value(timestamp=NOW + 5)}, said={key(): Said(NOW + 5, value=value(timestamp=NOW + 5))}) == {}
    assert due({key(): value(timestamp=NOW - 5)}, said={key(): Said(NOW)}) == {}


def test_somebody_elses_signature_is_no_newer_word():
    other = Signer(b"\x07" * 32)
    forged = render(document(price=9), DOCUMENTS, other, NOW + 5, ADDRS).value
    assert due({key(): forged}, said={key(): Said(NOW)}) == {key(): RepublishReason.REPLACED}


def test_changed_addresses_of_the_peer_are_published():
    moved = ("/ip4/192.0.2.99/tcp/4001",)
    assert due({key(): value()}, addrs=moved) == {key(): RepublishReason.ADDRESSED}
    assert due({key(): value()}, addrs=()) == {}, "offline there is nothing better to say"
    fixed = {key(): OwnListing(document(addrs=["/dns4/agent/tcp/1"]), NOW)}
    assert due({key(): value(addrs=["/dns4/agent/tcp/1"])}, addrs=moved, own=fixed) == {}


def test_the_other_dialect_is_rewritten():
    assert due({key(): value()}, dialect=BETAR_GO) == {key(): RepublishReason.DIALECT}


def test_repairs_that_do_not_last_come_less_often():
    made = announcer()
    times = [t for t in range(4000) if due({}, now=NOW + t, by=made)]
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert gaps == [5, 10, 20, 40, 80, 160, 320, 640, 1280]


def test_patience_returns_after_a_quiet_time():
    made = announcer()
    for t in range(100):
        due({}, now=NOW + t, by=made)
    later = NOW + 10 * LONGEST_RETRY
    assert due({}, now=later, by=made)
    assert not due({}, now=later + 4, by=made)
    assert due({}, now=later + 5, by=made)


def test_a_listing_that_is_not_own_any_more_is_left_alone():
    assert due({}, own={}) == {}
