"""Who pays for gossip: an author its excess, a neighbour the unknown authors that it brings, and nobody pays for others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from betar_tui.p2p import budgets
from betar_tui.p2p.gossip_ledger import (
    EXCESS,
    MAX_AUTHORS,
    STANDING,
    STRANGERS,
    GossipLedger,
)

RELAY, OTHER, SELLER, FLOOD = b"relay", b"other", b"seller", b"flood"


def send(ledger: GossipLedger, neighbour: bytes, author: bytes, number: int, now: float, size: int = 300) -> int:
    """How many of so many messages are let through."""
    passed = 0
    for _ in range(number):
        if refusal := ledger.refusal(neighbour, author, size, now):
            ledger.refuse(neighbour, refusal)
        else:
            ledger.signed(neighbour, author, size, now)
            passed += 1
    return passed


def test_an_authors_excess_is_dropped_and_nobody_elses_messages() -> None:
    ledger = GossipLedger()
    for second in range(60):
        flood = send(ledger, RELAY, FLOOD, 2000, float(second))
        assert flood <= budgets.AUTHOR_MESSAGES.burst if second == 0 else flood <= budgets.AUTHOR_MESSAGES.rate + 1
        assert send(ledger, RELAY, SELLER, 5, float(second)) == 5
        assert send(ledger, OTHER, OTHER, 5, float(second)) == 5
    assert ledger.refused(RELAY)[EXCESS] > 100_000
    assert not ledger.refused(OTHER)


def test_old_messages_of_an_author_use_up_nothing_elsewhere() -> None:
    ledger = GossipLedger()
    send(ledger, RELAY, SELLER, 10_000, 0.0)
    assert send(ledger, OTHER, SELLER, 100, 0.0) == 100
    assert send(ledger, SELLER, SELLER, 100, 0.0) == 100


def test_a_message_may_be_looked_at_after_its_wait() -> None:
    ledger = GossipLedger()
    send(ledger, RELAY, SELLER, 10_000, 0.0)
    assert ledger.refusal(RELAY, SELLER, 300, 0.0) == EXCESS
    assert not ledger.refusal(RELAY, SELLER, 300, ledger.wait(RELAY, SELLER, 0.0) + 1e-6)


def test_new_authors_are_charged_to_the_neighbour_that_keeps_bringing_them() -> None:
    ledger = GossipLedger()
    send(ledger, OTHER, SELLER, 1, 0.0)
    passed = 0
    for step in range(1000):
        now = step / 100
        passed += send(ledger, RELAY, b"new %d" % step, 10, now)
        passed += send(ledger, RELAY, b"newer %d" % step, 10, now)
        if not step % 100:  # an honest neighbour brings somebody new each second
            assert send(ledger, OTHER, b"honest %d" % step, 1, now) == 1
            assert send(ledger, RELAY, SELLER, 1, now) == 1
            assert send(ledger, RELAY, RELAY, 1, now) == 1
    assert passed <= 10 * (budgets.NEW_AUTHORS.burst * 2 + 12 * budgets.NEW_AUTHORS.rate * 1.5)
    assert ledger.refused(RELAY)[STRANGERS] > 5_000
    assert not ledger.refused(OTHER)[STRANGERS]


def test_who_comes_back_has_used_what_it_used_before() -> None:
    """Nothing that a neighbour does makes the ledger forget it but time."""
    ledger = GossipLedger()
    ledger.time.spend(RELAY, 3.0, 0.0)
    send(ledger, RELAY, SELLER, 1, 0.0)
    for number in range(2 * budgets.MAX_USERS):
        ledger.time.spend(b"throw-away %d" % number, 1e-6, 0.1)
        assert len(ledger.time) <= budgets.MAX_USERS
    assert ledger.time.wait(RELAY, 0.1) > 0
    ledger.time.spend(OTHER, 1.0, 100.0)
    assert len(ledger.time) == 1


def test_nonsense_of_throw_away_keys_soon_costs_the_neighbour_all_new_authors() -> None:
    ledger = GossipLedger()
    read = 0
    for step in range(1200):
        now, author = step / 100, b"key %d" % step
        if not ledger.refusal(RELAY, author, 1000, now):
            ledger.signed(RELAY, author, 1000, now)
            ledger.nonsense(RELAY, author, now)
            read += 1
    assert read <= (budgets.NEW_AUTHORS.burst + 12 * budgets.NEW_AUTHORS.rate) / budgets.NONSENSE_AUTHORS + 5


def test_one_key_may_send_little_nonsense() -> None:
    ledger = GossipLedger()
    read = 0
    while not ledger.refusal(RELAY, FLOOD, 1000, 0.0):
        ledger.signed(RELAY, FLOOD, 1000, 0.0)
        ledger.nonsense(RELAY, FLOOD, 0.0)
        read += 1
    assert read <= 10


@given(
    st.lists(
        st.tuples(st.binary(max_size=2), st.binary(max_size=2), st.integers(0, 600_000), st.floats(0, 1)), max_size=200
    )
)
def test_a_silent_author_is_let_through_whatever_others_send(
    messages: list[tuple[bytes, bytes, int, float]],
) -> None:
    ledger, now = GossipLedger(), 0.0
    assert send(ledger, SELLER, SELLER, 1, now) == 1
    for neighbour, author, size, pause in messages:
        now += pause
        send(ledger, b"n" + neighbour, b"a" + author, 1, now, size)
    assert send(ledger, SELLER, SELLER, 1, now) == 1
    assert send(ledger, b"quiet", SELLER, 1, now) == 1


def test_what_is_remembered_is_bounded() -> None:
    ledger = GossipLedger()
    for number in range(MAX_AUTHORS * 2):
        neighbour = b"n%d" % number
        send(ledger, neighbour, b"a%d" % number, 1, number * 10.0)
        ledger.refuse(neighbour, EXCESS)
    assert len(ledger._accounts) <= MAX_AUTHORS
    assert len(ledger._known) <= MAX_AUTHORS
    assert len(ledger._refused) <= MAX_AUTHORS
    assert len(ledger._strangers) <= budgets.MAX_USERS


def test_an_author_is_in_good_standing_after_a_while_and_a_neighbour_at_once() -> None:
    ledger = GossipLedger()
    assert ledger.is_standing(SELLER, SELLER, 0.0)
    assert not ledger.is_standing(RELAY, SELLER, 0.0)
    send(ledger, RELAY, SELLER, 1, 0.0)
    assert not ledger.is_standing(RELAY, SELLER, 1.0)
    assert ledger.is_standing(RELAY, SELLER, STANDING)
    assert not ledger.is_standing(RELAY, FLOOD, STANDING)
