"""Delivery statuses, and their changes as peers show that they have a delta."""

from betar_tui.market.marketplace import DelistReceipt, Receipt, Seen
from betar_tui.tui.receipts import MAX_REMEMBERED, Receipts


def test_sent_then_seen():
    receipts = Receipts()
    (first,) = receipts.stored(Receipt("a", "c1", 5, 3)).values()
    assert (first.text, first.sign, first.pending) == ("stored, sent to 3 peers", "✓", False)
    (second,) = receipts.seen(Seen("c1", ("a",), 2)).values()
    assert second.text == "seen by 2 of 3"
    assert receipts.get("a") == second


def test_only_changed_statuses_are_returned():
    receipts = Receipts()
    receipts.stored(Receipt("a", "c1", 5, 3))
    assert receipts.seen(Seen("c1", ("a",), 2))
    assert receipts.seen(Seen("c1", ("a",), 2)) == {}
    assert receipts.seen(Seen("c1", ("a",), 1)) == {}


def test_seen_may_come_before_the_receipt():
    receipts = Receipts()
    assert receipts.seen(Seen("c1", ("a",), 1))["a"].text == "seen by 1 peer"
    assert receipts.stored(Receipt("a", "c1", 5, 3))["a"].text == "seen by 1 of 3"


def test_more_peers_than_it_was_sent_to_may_have_it():
    receipts = Receipts()
    receipts.stored(Receipt("a", "c1", 5, 1))
    assert receipts.seen(Seen("c1", ("a",), 4))["a"].text == "seen by 4 of 4"


def test_pending_until_a_peer_is_there():
    receipts = Receipts()
    receipts.stored(Receipt("a", "c1", 5, 0))
    assert receipts.get("a").text == "pending: waits for a peer"
    assert receipts.pending == ("a",)
    assert receipts.pending_sent(0) == {}
    assert receipts.pending_sent(2)["a"].text == "stored, sent to 2 peers"
    assert receipts.pending == ()


def test_only_the_newest_delta_counts():
    receipts = Receipts()
    receipts.stored(Receipt("a", "c1", 5, 3))
    receipts.stored(Receipt("a", "c2", 6, 3))
    assert receipts.seen(Seen("c1", ("a",), 3)) == {}
    assert receipts.get("a").text == "stored, sent to 3 peers"
    receipts.stored(DelistReceipt("a", "c3", 7, 1, 0))
    assert receipts.get("a").pending


def test_a_delta_of_this_peer_without_a_receipt_is_tracked():
    receipts = Receipts()
    receipts.stored(Receipt("a", "c1", 5, 3))
    assert receipts.seen(Seen("healing", ("a", "b"), 2)).keys() == {"a", "b"}
    assert receipts.get("a").text == "seen by 2 peers"


def test_memory_is_bounded():
    receipts = Receipts()
    for number in range(MAX_REMEMBERED + 10):
        receipts.stored(Receipt(str(number), f"c{number}", 1, 1))
    assert receipts.get("0") is None
    assert receipts.get(str(MAX_REMEMBERED + 9)) is not None


def test_level_peers_hold_what_was_there_before():
    receipts = Receipts()
    receipts.stored(Receipt("a", "c1", 5, 1))
    receipts.stored(Receipt("b", "c2", 6, 1))
    assert {key: each.text for key, each in receipts.level(1, 5).items()} == {"a": "seen by 1 of 1"}
    assert receipts.level(1, 5) == {}
    assert receipts.level(2, 6).keys() == {"a", "b"}
    assert receipts.level(1, 6) == {}
    assert receipts.get("b").text == "seen by 2 of 2"


def test_a_level_peer_ends_the_waiting_for_a_first_one():
    receipts = Receipts()
    receipts.stored(Receipt("a", "c1", 5, 0))
    receipts.level(1, 5)
    assert not receipts.pending
