"""When a head that a peer lacks is announced again: soon, ever more rarely, and not for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.sync.reannouncing import MAX_LACKED, MAX_TIMES, REANNOUNCE_AFTER, Reannouncing

HEADS = [b"head %d" % n for n in range(4)]
PEERS = ["alice", "bob", "carol"]


def reannouncing() -> Reannouncing:
    return Reannouncing(lambda: 1.0)


def test_what_a_peer_lacks_for_good_is_announced_four_times() -> None:
    again = reannouncing()
    announced = []
    for tick in range(2000):
        now = tick / 4
        again.lacks("alice", HEADS[0], 0.0)
        if again.take(now, HEADS) == HEADS[:1]:
            announced.append(now)
    assert announced == [3.0, 9.0, 21.0, 45.0]
    assert again.next_due() == float("inf")


def test_it_must_say_so_again_after_each_time() -> None:
    again = reannouncing()
    again.lacks("alice", HEADS[0], 0.0)
    assert again.next_due() == 3.0
    assert again.take(2.9, HEADS) == []
    assert again.take(3.0, HEADS) == HEADS[:1]
    assert again.next_due() == float("inf")
    again.lacks("alice", HEADS[0], 0.0)
    assert again.next_due() == 9.0


def test_all_that_is_lacked_goes_into_one_broadcast() -> None:
    again = reannouncing()
    for n, head in enumerate(HEADS):
        again.lacks(PEERS[n % 3], head, n / 4)
    assert sorted(again.take(3.0, HEADS)) == HEADS
    assert again.next_due() == float("inf")


def test_another_peer_that_announces_it_speaks_for_us() -> None:
    again = reannouncing()
    again.lacks("alice", HEADS[0], 0.0)
    again.announced(HEADS[:1], 1.0)  # as at first, and it has said so since
    assert again.next_due() == 3.0
    again.announced(HEADS[:1], 2.9)
    again.lacks("alice", HEADS[0], 0.0)
    assert again.next_due() == pytest.approx(8.9)


def test_one_that_holds_it_or_leaves_and_heads_that_are_none_any_more_are_forgotten() -> None:
    again = reannouncing()
    for peer, head in zip(PEERS, HEADS, strict=False):
        again.lacks(peer, head, 0.0)
    again.holds("alice", HEADS[:2])
    again.left("bob")
    assert again.take(3.0, HEADS[:2]) == []
    assert again._lacked == {}


def test_its_memory_is_bounded() -> None:
    again = reannouncing()
    for n in range(2 * MAX_LACKED):
        again.lacks("alice", b"%d" % n, 0.0)
    assert len(again._lacked) == MAX_LACKED


ACTIONS = st.tuples(
    st.floats(0, 2), st.sampled_from(["lacks", "holds", "left", "announced"]), st.sampled_from(PEERS), st.sampled_from(HEADS)
)  # fmt: skip


@given(st.lists(ACTIONS, max_size=60), st.randoms(use_true_random=False))
def test_whatever_peers_say_broadcasts_are_rare_and_end(actions, random) -> None:
    again = Reannouncing(lambda: random.uniform(0.8, 1.2))
    now, came = 0.0, {}
    broadcasts: list[float] = []
    for_one: dict[bytes, int] = {}
    for pause, what, peer, head in actions:
        now += pause
        if what == "lacks":
            came.setdefault((peer, head), now)
            again.lacks(peer, head, came[peer, head])
        elif what == "holds":
            again.holds(peer, [head])
        elif what == "left":
            again.left(peer)
        else:
            again.announced([head], now)
        if heads := again.take(now, HEADS):
            broadcasts.append(now)
            assert len(set(heads)) == len(heads)
    assert all(b - a >= REANNOUNCE_AFTER for a, b in zip(broadcasts, broadcasts[1:], strict=False))
    # From here on all lack all for good.
    for _ in range(400):
        now += 1.0
        for peer in PEERS:
            for head in HEADS:
                again.lacks(peer, head, now - 1)
        for head in again.take(now, HEADS):
            for_one[head] = for_one.get(head, 0) + 1
    assert all(times <= MAX_TIMES * len(PEERS) for times in for_one.values())
    assert again.next_due() == float("inf")
