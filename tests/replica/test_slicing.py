"""Merges in slices, and what is laid aside: whatever happens between them, the blocks decide what comes out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.ipld import cid
from betar_tui.replica import DagNode, Replica, ancestry, slicing
from betar_tui.store.database import open_store
from tests.simulation.crashing import open_crashing, wreck
from tests.simulation.lab import Bench, node, random_dag
from tests.simulation.memory import Crash, MemoryStorage, assert_sound, truth_of
from tests.simulation.oracle import judge


def absent(number: int, count: int) -> list[bytes]:
    """Links to blocks that nobody has."""
    return [cid.of(b"%d of %d" % (each, number)) for each in range(count)]


def large(height: int, count: int = 9, links: tuple[DagNode, ...] = ()) -> DagNode:
    return node(links, [(f"/k/{n}", b"%d" % height) for n in range(count)], (), height)


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slicing, "MAX_ITEMS", 4)
    monkeypatch.setattr(slicing, "SLICE", 4)


@pytest.fixture
def few_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ancestry, "MAX_GAPS_PER_PEER", 8)


@given(seed=st.integers(0, 1 << 32))
def test_what_comes_out_does_not_depend_on_slices_restarts_and_limits(seed: int) -> None:
    rng = random.Random(seed)
    nodes = [*random_dag(rng, 25), large(3), large(4, 12)]
    nodes.append(node(nodes[-2:], [("/k/1", b"top")], [("/k/2", nodes[-1]), ("/k/3", nodes[-2])], 9))
    storage = MemoryStorage()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slicing, "MAX_ITEMS", rng.choice([2, 5, 50]))
        patch.setattr(slicing, "SLICE", rng.choice([1, 2, 5]))
        patch.setattr(ancestry, "MAX_GAPS_PER_PEER", rng.choice([1, 3, 1000]))
        patch.setattr(ancestry, "MAX_WANTS", rng.choice([1, 3, 1000]))
        replica = Replica(storage)
        steps: list[Iterator[object]] = []
        left = nodes * 2
        rng.shuffle(left)
        while left or steps:
            if left and rng.random() < 0.5:
                steps.append(
                    replica.merging([left.pop() for _ in range(min(len(left), rng.randrange(1, 6)))], "peer", 0)
                )
            if steps:
                chosen = rng.choice(steps)
                if next(chosen, None) is None:
                    steps.remove(chosen)
            if rng.random() < 0.1:
                steps.clear()
                replica = Replica(storage)
        for _ in replica.resuming(0):
            pass
        for _ in range(20):
            for each in sorted(nodes, key=lambda each: each.delta.priority):
                if replica.missing([each.cid]):
                    replica.merge([each], "peer", 0)
    truth = assert_sound(storage, [each.data for each in nodes])
    assert replica.heads == truth.heads
    assert not replica.wants and not replica.incomplete and not replica._ancestry._parents
    assert not storage.begun and not storage.aside


@pytest.mark.usefixtures("small_slices")
def test_a_large_delta_is_no_head_before_its_last_slice(tmp_path: Path) -> None:
    below, child = node((), [("/a", b"1")]), large(2)
    store = open_store(tmp_path / "db")
    replica = Replica(store)
    replica.merge([below], "peer", 0)
    top = large(2, links=(below,))
    steps = replica.merging([top], "peer", 0)
    first = next(steps)
    (part,) = first.nodes
    assert part.cid == top.cid and part.delta.elements == top.delta.elements[: len(first.effects)]
    assert 0 < len(first.effects) < 9
    assert replica.heads == {below.cid: 1}
    assert replica.missing([top.cid]) == ()
    replica.merge([child], "peer", 0)
    store.close()

    store = open_store(tmp_path / "db")  # the rest was not merged
    replica = Replica(store)
    assert replica.incomplete == 1
    rest = list(replica.resuming(1))
    assert {step.via for step in rest} == {"peer"}
    assert replica.heads == judge([below.data, top.data, child.data]).heads
    assert_sound(store)
    store.close()


@pytest.mark.usefixtures("small_slices")
def test_a_write_between_two_slices_wins() -> None:
    bench = Bench()
    steps = bench.replica.merging([large(3)], "peer", 0)
    next(steps)
    bench.put("/k/8", b"own")
    bench.delete("/k/0")
    list(steps)
    assert bench.map["/k/7"] == b"3"
    assert "/k/0" not in bench.map
    assert_sound(bench.storage)


@pytest.mark.usefixtures("small_slices")
def test_all_tombstones_of_a_key_are_one_slice() -> None:
    old = [node((), [("/a", b"%d" % n)]) for n in range(9)]
    killer = node((), [("/b", b"1")], [("/a", each) for each in old], 2)
    bench = Bench()
    bench.merge(*old)
    steps = list(bench.replica.merging([killer], "peer", 0))
    assert len(steps) == 2
    assert bench.map == {"/b": b"1"}
    assert_sound(bench.storage)


@pytest.mark.usefixtures("few_gaps")
def test_of_the_peer_that_brought_most_gaps_the_oldest_go(tmp_path: Path) -> None:
    store = open_store(tmp_path / "db")
    replica = Replica(store)
    honest = node(absent(0, 3), [("/honest", b"1")], (), 5)
    replica.merge([honest], "honest", 0)
    hostile = [node(absent(n, 4), [(f"/{n}", b"1")], (), 5) for n in range(1, 9)]
    for each in hostile:
        replica.merge([each], "hostile", 0)
    replica.merge([], "hostile", 0)
    assert replica.incomplete <= 3
    assert set(absent(0, 3)) <= replica.wants
    assert set(absent(8, 4)) <= replica.wants
    assert not set(absent(1, 4)) & replica.wants
    assert replica.missing([hostile[0].cid, honest.cid]) == (hostile[0].cid,)
    assert len(store.winners([f"/{n}" for n in range(1, 9)])) == 8, "their values stay"
    store.close()

    store = open_store(tmp_path / "db")
    replica = Replica(store)
    assert replica.missing([hostile[0].cid, honest.cid]) == (hostile[0].cid,)
    assert replica.merge([hostile[0]], "late", 1).effects == ()
    assert set(absent(1, 4)) <= replica.wants
    assert store.check() == "ok"
    store.close()


def test_different_missing_blocks_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ancestry, "MAX_WANTS", 40)
    bench = Bench()
    honest = node(absent(0, 2), [("/honest", b"1")], (), 5)
    bench.replica.merge([honest], "honest", 0)
    for n in range(1, 60):
        bench.replica.merge([node(absent(n, 4), [(f"/{n}", b"1")], (), 5)], f"hostile {n % 3}", 0)
    assert len(bench.replica.wants) <= 44
    assert set(absent(0, 2)) <= bench.replica.wants
    assert bench.replica.missing([honest.cid]) == ()


@pytest.mark.usefixtures("few_gaps")
def test_what_was_laid_aside_is_completed_when_it_comes_again(tmp_path: Path) -> None:
    store = open_store(tmp_path / "db")
    replica = Replica(store)
    leaves = [node((), [(f"/{n}", b"1")]) for n in range(6)]
    parents = [node(leaves, [("/p", b"%d" % n)], (), 2) for n in range(5)]
    top = node(parents, [("/top", b"1")], (), 3)
    for each in (*parents, top):
        replica.merge([each], "peer", 0)
    for each in leaves:
        replica.merge([each], "peer", 0)
    again = replica.missing([each.cid for each in (*parents, top)])
    assert again
    replica.merge([each for each in (*parents, top) if each.cid in again], "peer", 0)
    truth = assert_sound(store)
    assert replica.heads == truth.heads == {top.cid: 3}
    assert store.totals().blocks == 12
    store.close()


def test_heads_are_limited_by_who_brought_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ancestry, "MAX_HEADS_PER_PEER", 8)
    bench = Bench()
    own = bench.put("/own", b"1").node
    honest = node((), [("/honest", b"1")])
    bench.replica.merge([honest], "honest", 0)
    for n in range(40):
        bench.replica.merge([node((), [(f"/{n}", b"1")])], "hostile", 0)
    assert len(bench.heads) <= 11
    assert {own.cid, honest.cid, node((), [("/39", b"1")]).cid} <= bench.heads
    assert len(bench.map) == 42, "what they say stays"
    bench.put("/own", b"2")
    assert len(bench.heads) == 1


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("after", [False, True], ids=["before or amid", "after"])
def test_a_crash_at_every_statement_of_every_slice(tmp_path: Path, after: bool) -> None:
    below = node((), [("/k/1", b"0"), ("/a", b"0")])
    top = node([below], [(f"/k/{n}", b"1") for n in range(9)], [("/a", below), ("/k/1", below)], 2)
    expected = judge([below.data, top.data])
    for statement in range(1000):
        path = tmp_path / f"{after}{statement}.db"
        store, connection = open_crashing(path)
        replica = Replica(store)
        replica.merge([below], "peer", 0)
        connection.left, connection.after = connection.done + statement, after
        try:
            replica.merge([top], "peer", 0)
        except Crash:
            path = wreck(path, connection)
        else:
            connection.left = None
            assert_sound(store)
            store.close()
            break
        store = open_store(path)
        replica = Replica(store)
        assert replica.heads in ({below.cid: 1}, expected.heads)
        for _ in replica.resuming(1):
            pass
        replica.merge([top], "peer", 1)
        assert truth_of(store) == expected
        assert replica.heads == expected.heads
        assert store.check() == "ok"
        store.close()
    assert statement > 20
