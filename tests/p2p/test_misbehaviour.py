"""Counting misbehaviours, banning peers for them, and reporting them."""

from __future__ import annotations

from betar_tui.p2p.misbehaviour import (
    FORGIVEN,
    MAX_BAN,
    MAX_REMEMBERED,
    RECURRING,
    MisbehaviourLedger,
    MisbehaviourReports,
)

ALICE = "12D3KooWRkZhiRhsqmrQ28rt73K7V3aCBpqKrLGSXmZ99PTcTZby"
BOB = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"


def test_misbehaviours_beyond_the_budget_of_a_window_ban_for_a_while() -> None:
    now = 0.0
    ledger = MisbehaviourLedger(budget=2, window=10, ban_time=60, clock=lambda: now)
    assert [ledger.penalize(BOB) for _ in range(3)] == [False, False, True]
    assert ledger.banned(BOB)
    assert not ledger.penalize(BOB)  # it is banned already
    now = 60.0
    assert not ledger.banned(BOB)
    assert [ledger.penalize(BOB), ledger.penalize(BOB)] == [False, False]
    now = 75.0
    assert not ledger.penalize(BOB)  # the window has moved on
    assert ledger.totals() == {BOB: 7}
    assert [ledger.penalize(ALICE) for _ in range(3)][-1]
    ledger.unban(ALICE)
    assert not ledger.banned(ALICE)


def test_misbehaviours_of_countless_peers_are_forgotten() -> None:
    ledger = MisbehaviourLedger(budget=2, window=10, ban_time=60, clock=lambda: 0.0)
    for number in range(MAX_REMEMBERED * 2):
        ledger.penalize(str(number))
    assert len(ledger.totals()) <= MAX_REMEMBERED + 1


def test_misbehaviours_of_one_peer_are_reported_at_once_and_then_folded() -> None:
    now = 0.0
    reports = MisbehaviourReports(lambda: now, fold=1.0)
    assert [reports.note(BOB, str(number)) for number in range(5)] == [True, False, False, False, False]
    assert reports.note(ALICE, "hers")
    assert reports.due() == []
    now = 1.0
    assert reports.due() == [(BOB, "4 (and 3 more)")]
    assert not reports.note(BOB, "within the next second")
    now = 2.0
    assert reports.due() == [(BOB, "within the next second")]
    now = 3.0
    assert reports.due() == []
    assert reports.note(BOB, "much later")


def test_bans_grow_when_they_recur_and_are_forgiven_in_time() -> None:
    now = 1000.0
    ledger = MisbehaviourLedger(budget=0, window=10, ban_time=60, clock=lambda: now)
    lengths = []
    for _ in range(6):
        assert ledger.penalize(BOB)
        (ban,) = ledger.bans()
        lengths.append(ban.until - now)
        now = ban.until
    assert lengths == [60, 480, 3840, 30_720, MAX_BAN, MAX_BAN]
    now += 100 * FORGIVEN
    assert ledger.bans() == ()
    assert ledger.penalize(BOB)
    assert ledger.bans()[0].until - now == 60


def test_bans_go_on_in_another_run() -> None:
    now = 1000.0
    ledger = MisbehaviourLedger(budget=0, window=10, ban_time=60, clock=lambda: now)
    ledger.penalize(BOB)
    again = MisbehaviourLedger(budget=0, window=10, ban_time=60, clock=lambda: now, bans=ledger.bans())
    assert again.banned(BOB)
    now += 60
    assert not again.banned(BOB)
    assert again.penalize(BOB)
    assert again.bans()[0].until - now == 480


def test_an_address_is_barred_while_bans_of_its_peers_recur() -> None:
    now = 1000.0
    ledger = MisbehaviourLedger(budget=0, window=10, ban_time=60, clock=lambda: now)
    for number in range(RECURRING):
        assert not ledger.barred("8.8.8.8")
        ledger.penalize(f"peer {number}", "8.8.8.8")
    assert ledger.barred("8.8.8.8")
    assert not ledger.barred("8.8.4.4")
    assert not ledger.barred("")
    now += 61
    assert not ledger.barred("8.8.8.8")
    ledger.penalize("another", "8.8.8.8")
    assert ledger.barred("8.8.8.8")
    now += FORGIVEN + 1
    ledger.penalize("much later", "8.8.8.8")
    assert not ledger.barred("8.8.8.8")


def test_all_addresses_of_a_customer_are_barred_together() -> None:
    ledger = MisbehaviourLedger(budget=0, window=10, ban_time=60, clock=lambda: 1000.0)
    for number in range(RECURRING):
        ledger.penalize(f"peer {number}", f"2a00:1450:4001:80{number}::{number}")
    assert ledger.barred("2a00:1450:4001:80f::1")
    assert not ledger.barred("2a00:1450:4001:900::1")
