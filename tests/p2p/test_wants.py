"""The planner of wants, driven by a clock of our own: examples of its policy, and properties under any sequence."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from betar_tui.ipld.cid import of
from betar_tui.p2p.bitswap import wants as module
from betar_tui.p2p.bitswap.ledger import MAX_BLOCK, Ledgers
from betar_tui.p2p.bitswap.messages import WantlistEntry
from betar_tui.p2p.bitswap.wants import Wants

A, B, C = "alice", "bob", "carol"
X, Y = b"x", b"y"


def wants(*peers: str, per_peer: int = 512) -> Wants:
    planner = Wants(stall=1.0, retry_min=2.0, retry_max=8.0, per_peer=per_peer)
    for peer in peers:
        planner.peer_up(peer, True, 0.0)
    return planner


def block(cid: bytes) -> WantlistEntry:
    return WantlistEntry(cid, have=False, send_dont_have=True)


def have(cid: bytes) -> WantlistEntry:
    return WantlistEntry(cid, have=True, send_dont_have=True)


def cancel(cid: bytes) -> WantlistEntry:
    return WantlistEntry(cid, cancel=True)


def test_the_announcer_alone_is_asked_for_the_block() -> None:
    planner = wants(A, B, C)
    planner.want([X], B, 0.0)
    assert planner.dirty() == (B,)
    assert planner.take(B) == [block(X)]
    assert planner.take(A) == planner.take(C) == []
    assert planner.received(B, X, 0.1)
    assert len(planner) == 0
    assert planner.take(B) == []


def test_what_is_empty_of_a_want_costs_nothing() -> None:
    planner = wants(A, B)
    planner.want([b"%d" % n for n in range(100)], None, 0.0)
    planner.take(A)
    planner.peer_down(A, 0.5)
    for now in (5.0, 50.0, 500.0):
        planner.tick(now)
    planner.peer_down(B, 501.0)
    assert len(planner) == 100
    empty = {id(each) for want in planner._wants.values() for each in (want.failed, want.sent_to) if not each}
    assert len(empty) == 1


def test_when_it_has_not_got_it_the_others_are_asked_and_a_have_is_used_at_once() -> None:
    planner = wants(A, B, C)
    planner.want([X], B, 0.0)
    planner.take(B)
    planner.dont_have(B, X, 0.1)
    assert planner.take(A) == planner.take(C) == [have(X)]
    assert planner.take(B) == []
    planner.have(C, X, 0.2)
    assert planner.take(C) == [block(X)]
    planner.have(A, X, 0.3)
    assert planner.take(A) == []
    planner.dont_have(C, X, 0.4)
    assert planner.take(A) == [block(X)]
    assert planner.received(A, X, 0.5)
    assert planner.take(B) == [cancel(X)]
    assert planner.take(C) == [cancel(X)]


def test_a_stalled_announcer_is_passed_over_but_may_still_deliver() -> None:
    planner = wants(A, B)
    planner.want([X], A, 0.0)
    planner.take(A)
    assert planner.next_deadline() == 1.0
    planner.tick(0.9)
    assert planner.take(B) == []
    planner.tick(1.0)
    assert planner.take(B) == [have(X)]
    assert planner.received(A, X, 1.1)
    assert planner.take(B) == [cancel(X)]
    assert planner.next_deadline() == float("inf")


def test_a_peer_that_delivers_other_blocks_is_given_time() -> None:
    planner = wants(A, B)
    planner.want([X, Y], A, 0.0)
    planner.take(A)
    planner.received(A, Y, 0.8)
    planner.tick(1.0)
    assert planner.take(B) == []
    assert planner.next_deadline() == 1.8
    planner.tick(1.8)
    assert planner.take(B) == [have(X)]


def test_a_peer_that_goes_is_replaced() -> None:
    planner = wants(A, B)
    planner.want([X], A, 0.0)
    planner.take(A)
    planner.peer_down(A, 0.1)
    assert planner.take(B) in ([have(X)], [block(X)])


def test_a_peer_that_comes_is_asked_and_the_announcer_for_the_block() -> None:
    planner = wants()
    planner.want([X], C, 0.0)
    planner.peer_up(A, True, 0.1)
    assert planner.take(A) == [block(X)]  # the only one
    planner.dont_have(A, X, 0.2)
    planner.peer_up(B, True, 0.3)
    assert planner.take(B) == [have(X)]
    planner.peer_up(C, True, 0.4)
    assert planner.take(C) == [block(X)]


def test_without_a_provider_all_are_asked_again_and_again_with_growing_pauses() -> None:
    planner = wants(A, B)
    planner.want([X], A, 0.0)
    now, pauses = 0.0, []
    for _ in range(5):
        for peer in (A, B):
            for _entry in planner.take(peer):
                planner.dont_have(peer, X, now)
        for peer in (A, B):
            for _entry in planner.take(peer):
                planner.dont_have(peer, X, now)
        pauses.append(planner.next_deadline() - now)
        now = planner.next_deadline()
        planner.tick(now)
    assert pauses == [2.0, 4.0, 8.0, 8.0, 8.0]
    assert X in planner


def test_old_peers_are_asked_for_blocks_only() -> None:
    planner = wants(A)
    planner.peer_up(B, False, 0.0)
    planner.want([X], A, 0.0)
    planner.take(A)
    planner.dont_have(A, X, 0.1)
    assert planner.take(B) == [block(X)]


def test_entries_in_flight_are_bounded_and_follow_as_answers_come() -> None:
    planner = wants(A, per_peer=3)
    cids = [b"%d" % number for number in range(10)]
    planner.want(cids, A, 0.0)
    assert [entry.cid for entry in planner.take(A)] == cids[:3]
    assert planner.take(A) == []
    planner.dirty()
    planner.received(A, cids[0], 0.1)
    assert planner.dirty() == (A,)
    assert [entry.cid for entry in planner.take(A)] == [cids[3]]


def test_after_a_lost_stream_unanswered_entries_are_sent_again() -> None:
    planner = wants(A)
    planner.want([X, Y], A, 0.0)
    planner.take(A)
    planner.received(A, X, 0.1)
    planner.resend(A)
    assert planner.take(A) == [block(Y)]


def test_a_new_announcer_helps_a_want_that_searches() -> None:
    planner = wants(A, B, C)
    planner.want([X], A, 0.0)
    planner.take(A)
    planner.dont_have(A, X, 0.1)
    planner.take(B)
    planner.want([X], B, 0.2)
    assert planner.take(B) == [block(X)]


def test_a_new_announcer_that_is_not_connected_is_asked_for_the_block_when_it_comes() -> None:
    planner = wants(A)
    planner.want([X], None, 0.0)
    planner.take(A)
    planner.dont_have(A, X, 0.1)
    planner.want([X], B, 0.2)
    planner.peer_up(B, True, 0.3)
    assert planner.take(B) == [block(X)]


def test_a_peer_that_comes_while_all_are_asked_is_asked_too() -> None:
    planner = wants(A, B)
    planner.want([X], B, 0.0)
    planner.take(B)
    planner.dont_have(B, X, 0.1)
    planner.peer_up(C, True, 0.2)
    assert planner.take(C) == [have(X)]


def test_the_announcer_is_not_forgotten_when_anybody_may_be_asked() -> None:
    planner = wants(A)
    planner.want([X], B, 0.0)
    planner.take(A)
    planner.dont_have(A, X, 0.1)
    planner.want([X], None, 0.2)
    planner.peer_up(B, True, 0.3)
    assert planner.take(B) == [block(X)]


def test_no_peer_is_asked_twice_in_one_round() -> None:
    planner = wants(A, B, C)
    planner.want([X], B, 0.0)
    for peer in (B, A):
        planner.take(peer)
        planner.dont_have(peer, X, 0.1)
        assert planner.take(C) == ([have(X)] if peer == B else [])


def test_a_block_of_exactly_the_allowed_size_is_sent_and_a_larger_one_is_not() -> None:
    for size, sent in ((MAX_BLOCK, True), (MAX_BLOCK + 1, False)):
        data = bytes(size)
        cid = of(data)
        ledgers = Ledgers()
        ledgers.receive(A, [block(cid)], False)
        blocks, presences = ledgers.answer(A, ledgers.take_lookups(A, 9), {cid: data})
        assert (len(blocks), len(presences)) == ((1, 0) if sent else (0, 1))


def test_a_cancelled_entry_beyond_the_limit_is_not_answered() -> None:
    data = b"more than fits"
    cid = of(data)
    ledgers = Ledgers(1)
    ledgers.receive(A, [block(of(b"other")), block(cid)], False)
    asked = ledgers.take_lookups(A, 9)
    ledgers.receive(A, [cancel(cid)], False)
    assert ledgers.answer(A, {cid: asked[cid]}, {cid: data}) == ([], [])


def test_entries_that_are_never_answered_keep_no_other_waiting() -> None:
    planner = wants(A, per_peer=4)
    silent = [b"%d" % number for number in range(4)]
    planner.want([*silent, X], A, 0.0)
    assert planner.take(A) == [block(each) for each in silent]
    planner.dirty()
    planner.tick(1.0)
    assert planner.dirty() == (A,)
    assert planner.take(A) == [block(X)]
    assert planner.received(A, silent[0], 1.1), "a late block is as good as any"


def test_a_favourite_that_answers_no_guess_is_asked_for_blocks_it_announces() -> None:
    planner = wants(A, B, per_peer=4)
    planner.want([b"good"], A, 0.0)
    planner.take(A)
    planner.received(A, b"good", 0.1)
    planner.want([b"%d" % number for number in range(40)], None, 0.2)  # asked of A, which delivered last
    assert planner.take(A) == [block(b"0"), block(b"1")], "half of the places"
    now = 0.2
    for n in range(20):
        now += 1.1
        planner.tick(now)
        planner.take(A)
        name = b"announced %d" % n
        planner.want([name], A, now)
        assert block(name) in planner.take(A), n
        assert planner.received(A, name, now)


def test_guesses_that_a_peer_never_answers_leave_room_for_its_announcements() -> None:
    planner = wants(A, B, per_peer=4)
    invented = [b"%d" % number for number in range(20)]
    planner.want(invented, A, 0.0)
    while entries := planner.take(A):
        for entry in entries:
            planner.dont_have(A, entry.cid, 0.1)
    assert planner.take(B) == [have(each) for each in invented[:2]]
    planner.want([X, Y], B, 0.2)
    assert planner.take(B) == [block(X), block(Y)]
    planner.dirty()
    planner.dont_have(B, invented[0], 0.3)
    assert planner.dirty() == (B,)
    assert planner.take(B) == [have(invented[2])]


def test_an_entry_given_up_unsent_does_not_precede_announcements() -> None:
    planner = wants(A, B, per_peer=4)
    planner.want([b"%d" % number for number in range(40)], A, 0.0)
    assert len(planner.take(A)) == 4
    planner.tick(1.0)
    planner.want([X], A, 1.0)
    assert planner.take(A) == [block(X), block(b"4"), block(b"5")]


def test_announcements_precede_waiting_guesses() -> None:
    planner = wants(A, B, per_peer=4)
    planner.want([b"1", b"2"], A, 0.0)
    for entry in planner.take(A):
        planner.dont_have(A, entry.cid, 0.1)
    planner.want([X], B, 0.1)
    assert planner.take(B) == [block(X), have(b"1"), have(b"2")]


def test_a_cancel_is_sent_only_to_peers_that_were_asked() -> None:
    planner = wants(A, B)
    planner.want([X], A, 0.0)
    planner.take(A)
    planner.want([Y], A, 0.0)
    planner.cancel([X, Y, b"never"])
    assert planner.take(A) == [cancel(X)]
    assert planner.take(B) == []
    assert planner.was_wanted(X)
    assert not planner.was_wanted(b"never")
    assert not planner.received(A, X, 0.1)


def test_a_block_that_came_is_cancelled_where_it_was_asked_for_and_is_still_expected() -> None:
    planner = wants(A, B, C)
    planner.want([X], A, 0.0)
    planner.take(A)
    planner.dont_have(A, X, 0.1)
    assert planner.take(B) == [have(X)]
    planner.dirty()
    assert planner.received(C, X, 0.2)
    assert planner.dirty() == (A, B), "C was not sent the entry that waited"
    assert (planner.take(A), planner.take(B), planner.take(C)) == ([cancel(X)], [cancel(X)], [])
    assert not planner.received(B, X, 0.3)
    assert not planner.received("a stranger", X, 0.3)
    assert planner.take(A) == planner.take(B) == []


def test_a_block_from_an_unknown_peer_is_taken_too() -> None:
    planner = wants(A)
    planner.want([X], A, 0.0)
    planner.take(A)
    assert planner.received("a stranger", X, 0.1)
    assert (len(planner), X in planner, planner.was_wanted(X)) == (0, False, True)
    assert planner.take(A) == [cancel(X)]


def test_a_finished_want_disturbs_only_peers_that_it_concerns() -> None:
    planner = wants(A, B, per_peer=2)
    planner.want([b"1", b"2", b"3"], B, 0.0)
    assert planner.take(B) == [block(b"1"), block(b"2")]
    planner.want([X], A, 0.0)
    planner.take(A)
    planner.dirty()
    assert planner.received(A, X, 0.1)
    assert planner.dirty() == ()
    planner.cancel([b"3"])
    assert planner.dirty() == ()
    planner.want([b"4"], B, 0.1)
    planner.dirty()
    planner.cancel([b"1"])
    assert planner.dirty() == (B,)
    assert planner.take(B) == [cancel(b"1"), block(b"4")]


def test_a_cid_wanted_again_before_its_cancel_is_sent_is_not_cancelled() -> None:
    planner = wants(A)
    planner.want([X], A, 0.0)
    planner.take(A)
    planner.cancel([X])
    assert (planner.was_wanted(X), X in planner) == (True, False)
    planner.want([X], A, 0.1)
    assert (planner.was_wanted(X), X in planner) == (False, True)
    assert planner.take(A) == [block(X)]
    planner.cancel([X])
    assert planner.take(A) == [cancel(X)]


def test_the_latest_finished_wants_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.MAX_DONE == 8192
    monkeypatch.setattr(module, "MAX_DONE", 3)
    planner = wants(A)
    cids = [b"%d" % number for number in range(5)]
    for number, cid in enumerate(cids):
        planner.want([cid], A, 0.0)
        planner.cancel([cid, b"never wanted"])
        assert [each for each in cids if planner.was_wanted(each)] == cids[max(0, number - 2) : number + 1]


PEERS = st.sampled_from([A, B, C, "dave"])
KEYS = st.sampled_from([b"%d" % number for number in range(8)])


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: limits hold, cancels follow, and a want with peers is never forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.planner = Wants(stall=1.0, retry_min=2.0, retry_max=8.0, per_peer=3)
        self.up: set[str] = set()
        self.lists: dict[str, dict[bytes, bool]] = {}
        self.wanted: set[bytes] = set()

    @rule(peer=PEERS, presences=st.booleans())
    def comes(self, peer: str, presences: bool) -> None:
        self.planner.peer_up(peer, presences, self.now)
        self.up.add(peer)
        self.lists.setdefault(peer, {})

    @rule(peer=PEERS)
    def goes(self, peer: str) -> None:
        self.planner.peer_down(peer, self.now)
        self.up.discard(peer)
        self.lists.pop(peer, None)

    @rule(cid=KEYS, first=st.one_of(st.none(), PEERS))
    def want(self, cid: bytes, first: str | None) -> None:
        self.planner.want([cid], first, self.now)
        self.wanted.add(cid)

    @rule(cid=KEYS)
    def cancel(self, cid: bytes) -> None:
        self.planner.cancel([cid])
        self.wanted.discard(cid)

    @rule(peer=PEERS, cid=KEYS, answer=st.sampled_from(["have", "dont_have", "received"]))
    def answers(self, peer: str, cid: bytes, answer: str) -> None:
        result = getattr(self.planner, answer)(peer, cid, self.now)
        if answer == "received":
            assert result == (cid in self.wanted)
            self.wanted.discard(cid)
            if peer in self.lists:
                self.lists[peer].pop(cid, None)

    @rule(peer=PEERS)
    def breaks(self, peer: str) -> None:
        self.planner.resend(peer)

    @rule(seconds=st.floats(0.0, 20.0))
    def waits(self, seconds: float) -> None:
        self.now += seconds
        self.planner.tick(self.now)
        assert self.planner.next_deadline() > self.now

    @rule()
    def sends(self) -> None:
        self.planner.dirty()
        for peer in self.up:
            for entry in self.planner.take(peer):
                if entry.cancel:
                    assert entry.cid in self.lists[peer]
                    del self.lists[peer][entry.cid]
                else:
                    self.lists[peer][entry.cid] = entry.have

    @invariant()
    def consistent(self) -> None:
        assert len(self.planner) == len(self.wanted)
        if self.wanted:
            assert self.planner.next_deadline() < float("inf")
        for state in self.planner._peers.values():
            assert len(state.unanswered) <= 3
            assert {*state.unanswered, *state.announced, *state.guesses} <= self.wanted
            assert sum(state.unanswered.values()) <= 1
            assert not (state.announced.keys() | state.unanswered.keys()) & state.guesses.keys()
            assert not state.announced.keys() & state.unanswered.keys()
        for peer, sent in self.lists.items():
            # An entry in a peer's list is still wanted, or its cancel waits to be sent.
            waiting = self.planner._peers[peer].cancels
            assert all(cid in self.wanted or cid in waiting for cid in sent)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_any_order = AnyOrder.TestCase


def test_a_ledger_answers_as_boxo_does() -> None:
    ledgers = Ledgers(max_wants=3)
    small, large = b"s" * 10, b"l" * 5000
    cid = {name: b"\x01\x70\x12\x20" + name.encode().ljust(32, b"_") for name in ("small", "large", "none", "quiet")}
    entries = [
        WantlistEntry(cid["small"], have=True, send_dont_have=True),
        WantlistEntry(cid["large"], have=True),
        WantlistEntry(cid["none"], send_dont_have=True),
        WantlistEntry(cid["quiet"]),
    ]
    assert ledgers.receive(A, entries, False)
    asked = ledgers.take_lookups(A, 10)
    blocks, presences = ledgers.answer(A, asked, {cid["small"]: small, cid["large"]: large})
    assert [bytes(each.data) for each in blocks] == [small]
    assert [(each.cid, each.have) for each in presences] == [(cid["large"], True), (cid["none"], False)]
    assert list(ledgers._ledgers[A].wants) == [cid["none"]]  # the missing block may come later
    assert ledgers.arrived(cid["none"]) == (A,)
    blocks, presences = ledgers.answer(A, ledgers.take_lookups(A, 10), {cid["none"]: small})
    assert len(blocks) == 1
    assert ledgers.arrived(cid["none"]) == ()


def test_entries_beyond_a_full_ledger_are_answered_all_the_same() -> None:
    ledgers = Ledgers(max_wants=2)
    cids = [b"\x01\x70\x12\x20" + b"%032d" % number for number in range(6)]
    ledgers.receive(A, [WantlistEntry(cid, send_dont_have=True) for cid in cids], False)
    asked = ledgers.take_lookups(A, 10)
    assert list(asked) == cids[:4], "as much again may wait for its answer"
    blocks, presences = ledgers.answer(A, asked, {cids[3]: b"block"})
    assert [bytes(each.data) for each in blocks] == [b"block"]
    assert [(each.cid, each.have) for each in presences] == [(cid, False) for cid in cids[:3]]
    assert list(ledgers._ledgers[A].wants) == cids[:2]
    assert not ledgers._ledgers[A].excess
    assert ledgers.arrived(cids[2]) == ()


def test_entries_beyond_a_ledger_may_be_changed_cancelled_or_replaced() -> None:
    ledgers = Ledgers(max_wants=1)
    cid = b"\x01\x70\x12\x20" + b"%032d" % 7
    ledgers.receive(A, [WantlistEntry(X), WantlistEntry(cid, have=True)], False)
    ledgers.receive(A, [WantlistEntry(X, cancel=True), WantlistEntry(cid)], False)
    blocks, presences = ledgers.answer(A, ledgers.take_lookups(A, 10), {cid: b"l" * 5000})
    assert (len(blocks), presences) == (1, []), "the block, though it only asked whether it is here before"
    ledgers.receive(A, [WantlistEntry(X), WantlistEntry(Y)], False)
    ledgers.receive(A, [WantlistEntry(Y, cancel=True)], False)
    assert list(ledgers.take_lookups(A, 10)) == [X]
    ledgers.receive(A, [WantlistEntry(Y)], False)
    ledgers.receive(A, [WantlistEntry(cid)], True)
    assert list(ledgers.take_lookups(A, 10)) == [cid]


def test_two_own_peers_get_a_block_past_more_invented_ones_than_a_ledger_keeps() -> None:
    planner, ledgers = wants(A, per_peer=32), Ledgers(max_wants=64)
    cids = [b"\x01\x70\x12\x20" + b"%032d" % number for number in range(200)]
    found = {cids[-1]: b"block"}
    planner.want(cids, A, 0.0)
    while entries := planner.take(A):
        ledgers.receive(A, entries, False)
        asked = ledgers.take_lookups(A, 100)
        blocks, presences = ledgers.answer(A, asked, found if cids[-1] in asked else {})
        for each in presences:
            planner.dont_have(A, each.cid, 0.1)
        for _ in blocks:
            assert planner.received(A, cids[-1], 0.1)
    assert cids[-1] not in planner
    assert not planner._peers[A].unanswered


def test_a_full_wantlist_replaces_and_a_cancel_removes() -> None:
    ledgers = Ledgers()
    ledgers.receive(A, [WantlistEntry(X), WantlistEntry(Y)], False)
    ledgers.receive(A, [WantlistEntry(Y)], True)
    assert ledgers.arrived(X) == ()
    assert ledgers.arrived(Y) == (A,)
    ledgers.receive(A, [WantlistEntry(Y, cancel=True)], False)
    assert not ledgers._ledgers[A].wants
    assert ledgers.take_lookups(A, 10) == {}
    ledgers.receive(A, [WantlistEntry(X)], False)
    ledgers.forget(A)
    assert ledgers.arrived(X) == ()
