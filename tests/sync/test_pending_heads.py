"""Announced heads: kept as long as they may come, and never too many."""

import pytest

from betar_tui.sync import pending_heads
from betar_tui.sync.pending_heads import EXPIRY, PendingHeads


def name(n: int) -> bytes:
    return b"%036d" % n


def test_a_head_is_pending_until_it_arrives() -> None:
    wanted = PendingHeads(lambda: 0.0)
    assert wanted.announced([name(1), name(2)], "alice") == []
    wanted.arrived([name(1), name(9)])
    assert name(1) not in wanted
    assert name(2) in wanted
    assert wanted.expired() == []


def test_a_head_that_is_not_announced_again_expires() -> None:
    now = 0.0
    wanted = PendingHeads(lambda: now)
    wanted.announced([name(1), name(2)], "alice")
    now = EXPIRY / 2
    wanted.announced([name(1)], "bob")
    now = EXPIRY + 1
    assert wanted.expired() == [name(2)]
    assert name(1) in wanted
    now = 2 * EXPIRY
    assert wanted.expired() == [name(1)]
    assert len(wanted) == 0


def test_an_author_displaces_its_own_heads_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_heads, "MAX_PER_AUTHOR", 3)
    wanted = PendingHeads(lambda: 0.0)
    wanted.announced([name(1)], "alice")
    assert wanted.announced([name(n) for n in range(10, 15)], "mallory") == [name(10), name(11)]
    assert name(1) in wanted
    assert len(wanted) == 4


def test_many_authors_cannot_pile_up_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_heads, "MAX_PENDING", 5)
    wanted = PendingHeads(lambda: 0.0)
    dropped = [each for n in range(8) for each in wanted.announced([name(n)], f"mallory-{n}")]
    assert dropped == [name(0), name(1), name(2)]
    assert len(wanted) == 5


def test_no_peer_removes_the_head_of_another_by_announcing_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_heads, "MAX_PER_AUTHOR", 3)
    wanted = PendingHeads(lambda: 0.0)
    wanted.announced([name(1)], "alice")
    wanted.announced([name(1)], "mallory")
    assert wanted.announced([name(n) for n in range(10, 15)], "mallory") == [name(10), name(11)]
    assert name(1) in wanted
    for n in range(20):
        wanted.announced([name(1)], f"mallory-{n}")
    assert wanted.announced([name(n) for n in range(30, 33)], "alice") == []
    assert name(1) in wanted


def test_heads_of_an_earlier_run_come_before_those_announced_since(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_heads, "MAX_PENDING", 4)
    now = 0.0
    wanted = PendingHeads(lambda: now)
    wanted.announced([name(1), name(2)], "alice")
    now = 5.0
    wanted.restore({name(7): ["bob"], name(8): ["bob"], name(1): ["bob"], name(9): ["carol", "bob"]})
    assert list(wanted) == [name(8), name(9), name(1), name(2)]
    assert wanted.older_than(0) == {
        name(8): {"bob"},
        name(9): {"bob", "carol"},
        name(1): {"alice", "bob"},
        name(2): {"alice"},
    }
    assert list(wanted.older_than(1)) == [name(1), name(2)]


def test_only_an_author_that_announced_the_block_itself_counts() -> None:
    pending = PendingHeads(lambda: 0.0)
    one, two, three = (bytes([n]) * 36 for n in range(3))
    pending.announced([one], "alice")
    pending.announced([two], "alice", below=True)
    pending.announced([one], "bob", below=True)
    came = [(one, "p", ""), (two, "p", ""), (three, "q", "carol")]
    assert pending.by_announcer(came) == {("alice", "p"): [one], ("bob", "p"): [one], ("carol", "q"): [three]}
    pending.announced([two], "bob")
    assert set(pending.by_announcer([(two, "p", "")])) == {("alice", "p"), ("bob", "p")}
