"""Who was seen to hold our heads: how far behind a peer is, when it is asked, and since when it waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.replica import DagNode
from betar_tui.sync.levels import (
    ASK_AFTER,
    LONGEST_ASK_PAUSE,
    MAX_HEADS,
    MAX_HEIGHTS,
    MAX_HELD,
    PATIENCE,
    Levels,
)
from tests.simulation.lab import node


def chain(length: int, name: str = "a") -> list[DagNode]:
    nodes: list[DagNode] = []
    for height in range(1, length + 1):
        nodes.append(node(nodes[-1:], [(f"/agents/{name}", b"%d" % height)], (), height))
    return nodes


def levels_with(nodes: list[DagNode], *heads: DagNode) -> Levels:
    levels = Levels({})
    levels.applied(nodes)
    levels.heads_are({head.cid: head.delta.priority for head in heads or nodes[-1:]})
    levels.joined("alice")
    return levels


NODES = chain(10)
HEAD = NODES[-1]


def test_a_peer_is_level_once_it_holds_all_heads() -> None:
    levels = levels_with(NODES)
    assert levels.behind("alice") is None
    levels.holds("alice", [NODES[6].cid], 0.0)
    assert levels.behind("alice") == 3
    levels.holds("alice", [HEAD.cid], 0.0)
    assert levels.behind("alice") == 0
    levels.holds("alice", [NODES[2].cid], 0.0)  # an old one changes nothing
    assert levels.behind("alice") == 0


def test_a_peer_that_lacks_a_lower_head_is_not_level() -> None:
    """As a Go peer that does not hear us: what it writes itself is higher, and not built on ours."""
    apart = chain(12, "b")
    levels = levels_with([*NODES, *apart], HEAD, apart[-1])
    levels.holds("alice", [apart[-1].cid], 0.0)
    assert levels.behind("alice") == 1
    levels.holds("alice", [HEAD.cid], 0.0)
    assert levels.behind("alice") == 0


def test_a_head_announced_before_it_is_here_counts_once_it_is() -> None:
    levels = levels_with(NODES[:9])
    levels.holds("alice", [HEAD.cid], 0.0)
    assert levels.behind("alice") is None
    levels.applied([HEAD])
    levels.heads_are({HEAD.cid: 10})
    assert levels.behind("alice") == 0


def test_nothing_is_known_of_others_and_without_heads() -> None:
    assert Levels({}).behind("alice") is None
    levels = levels_with(NODES)
    levels.holds("bob", [HEAD.cid], 0.0)
    assert levels.behind("bob") is None
    levels.joined("bob")
    assert levels.behind("bob") is None
    levels.heads_are({})
    assert levels.questions(0.0) == []
    assert levels.next_question() == float("inf")


def test_a_peer_is_asked_after_a_moment_and_at_growing_pauses() -> None:
    levels = levels_with(NODES)
    assert levels.questions(0.0) == []
    asked = []
    now = 0.0
    while now < 200:
        now = levels.next_question()
        (question,) = levels.questions(now)
        assert (question.peer, question.heads, question.unanswered) == ("alice", (HEAD.cid,), bool(asked))
        asked.append(now)
    pauses = [b - a for a, b in zip(asked, asked[1:], strict=False)]
    assert asked[0] == ASK_AFTER
    assert pauses[:3] == pytest.approx([1.0, 2.0, 4.0])
    assert pauses[-1] == pytest.approx(LONGEST_ASK_PAUSE)
    levels.holds("alice", [HEAD.cid], now)
    assert levels.questions(now + 100) == []
    assert levels.next_question() == float("inf")


def test_a_peer_that_keeps_up_in_a_busy_market_is_not_waiting() -> None:
    """There is always a newer head, and always a sign."""
    nodes = chain(200)
    levels = levels_with(nodes[:1])
    for n, each in enumerate(nodes[1:], 1):
        now = n / 2
        levels.applied([each])
        levels.heads_are({each.cid: n + 1})
        assert len(levels.questions(now)) <= 1
        levels.holds("alice", [nodes[n - 1].cid], now)
        assert levels.behind("alice") == 1
        assert levels.waiting_since("alice", now) is None


def test_a_silent_peer_waits_since_its_last_sign() -> None:
    levels = levels_with(NODES)
    levels.questions(10.0)
    assert levels.waiting_since("alice", 10.0 + PATIENCE - 0.1) is None
    assert levels.waiting_since("alice", 10.0 + PATIENCE) == 10.0
    levels.holds("alice", [NODES[5].cid], 20.0)  # it walks
    assert levels.waiting_since("alice", 20.0 + PATIENCE) == 20.0
    levels.holds("alice", [HEAD.cid], 30.0)
    assert levels.waiting_since("alice", 100.0) is None
    assert levels.waiting_since("bob", 100.0) is None


def test_one_that_has_caught_up_is_not_waiting_when_the_next_head_comes() -> None:
    levels = levels_with(NODES[:9])
    now = 0.0
    while now < 40:
        levels.questions(now)
        now = levels.next_question()
    levels.holds("alice", [NODES[8].cid], 40.0)
    assert levels.next_question() == float("inf")
    levels.applied([HEAD])
    levels.heads_are({HEAD.cid: 10})
    assert levels.questions(55.0) == []
    assert levels.next_question() == 55.0 + ASK_AFTER
    assert levels.waiting_since("alice", 55.2) is None
    assert levels.lacked_for("alice", HEAD.cid, 55.5) == 0.5


def test_a_sign_brings_the_next_question_forward() -> None:
    levels = levels_with(NODES)
    now = 0.0
    while now < 40:
        levels.questions(now)
        now = levels.next_question()
    assert levels.holds("alice", [NODES[5].cid], 40.0)
    assert levels.next_question() == 40.0 + ASK_AFTER
    assert not levels.holds("alice", [NODES[5].cid], 41.0)
    assert levels.next_question() == 40.0 + ASK_AFTER


def test_what_a_peer_lacks_counts_from_when_it_could_have_fetched_it() -> None:
    levels = levels_with(NODES)
    levels.questions(10.0)
    assert levels.lacked_for("alice", HEAD.cid, 10.0) == 0
    assert levels.lacked_for("alice", HEAD.cid, 12.0) == 2
    assert levels.lacked_for("alice", NODES[0].cid, 20.0) == 0  # not a head any more
    assert levels.lacked_for("bob", HEAD.cid, 20.0) == 0
    levels.joined("bob")
    levels.questions(20.0)
    assert levels.lacked_for("bob", HEAD.cid, 21.0) == 1
    levels.holds("alice", [HEAD.cid], 21.0)
    assert levels.lacked_for("alice", HEAD.cid, 22.0) == 0


def test_a_fresh_head_is_not_lacked_since_an_older_one_was() -> None:
    levels = levels_with(NODES[:9])
    levels.questions(10.0)
    levels.applied([HEAD])
    levels.heads_are({HEAD.cid: 10})
    assert levels.lacked_for("alice", HEAD.cid, 50.0) == 0  # not looked at yet
    levels.questions(50.0)
    assert levels.lacked_for("alice", HEAD.cid, 50.5) == 0.5


def test_a_peer_that_leaves_is_forgotten() -> None:
    levels = levels_with(NODES)
    levels.holds("alice", [HEAD.cid], 0.0)
    levels.left("alice")
    assert levels.behind("alice") is None
    levels.joined("alice")
    assert levels.behind("alice") is None


def test_the_height_of_a_block_that_is_not_remembered_any_more_still_counts() -> None:
    nodes = chain(MAX_HELD + 5)
    levels = levels_with(nodes)
    levels.holds("alice", [nodes[-5].cid], 0.0)
    levels.holds("alice", [each.cid for each in nodes[:MAX_HELD]], 0.0)
    assert nodes[-5].cid not in levels._peers["alice"].held
    assert levels.behind("alice") == 4


def test_what_a_peer_brings_does_not_make_it_lack_our_heads() -> None:
    levels = levels_with(NODES)
    levels.holds("alice", [HEAD.cid], 0.0)
    levels.holds("alice", [b"brought %d" % n for n in range(2 * MAX_HELD)], 1.0)
    assert levels.behind("alice") == 0
    levels.heads_are({b"head %d" % n: n + 1 for n in range(MAX_HEADS)})
    levels.holds("alice", [b"head %d" % n for n in range(MAX_HEADS)], 2.0)
    levels.holds("alice", [b"brought then %d" % n for n in range(2 * MAX_HELD)], 3.0)
    assert levels.behind("alice") == 0
    assert len(levels._peers["alice"].held) == MAX_HELD


@given(st.lists(st.integers(0, 2000), max_size=20))
def test_its_memory_is_bounded(sizes: list[int]) -> None:
    levels = levels_with(NODES)
    for size in sizes:
        levels.holds("alice", [b"held %d" % n for n in range(size)], 0.0)
    assert len(levels._peers["alice"].held) <= MAX_HELD
    levels._heights = {n.to_bytes(4): 1 for n in range(MAX_HEIGHTS)}
    levels.applied(NODES)
    assert len(levels._heights) == MAX_HEIGHTS
    assert levels._heights[HEAD.cid] == 10
    levels.heads_are({n.to_bytes(4): n for n in range(1, 1000)})
    (question,) = levels.questions(1.0) or levels.questions(1.0 + ASK_AFTER)
    assert len(question.heads) == MAX_HEADS
    assert question.heads[0] == (999).to_bytes(4)
    assert len(levels._since) == MAX_HEADS
