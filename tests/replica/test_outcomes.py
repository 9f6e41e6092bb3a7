"""Every field of what a merge stores and returns, the state of the DAG behind it, and how writes are cut."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from betar_tui.errors import BetarError, StoreError
from betar_tui.ipld import cid
from betar_tui.replica import Applied, DagNode, Effect, Merged, Replica, Written
from betar_tui.replica import replica as module
from betar_tui.replica.ancestry import Ancestry
from betar_tui.replica.delta import MAX_PRIORITY
from betar_tui.replica.facts import BlockRow, Changes, DagChange, Snapshot, Span, Winner
from betar_tui.replica.node import MAX_EMITTED
from betar_tui.replica.rules import Facts, values_after
from tests.simulation.lab import Bench, node
from tests.simulation.memory import MemoryStorage

LOST = cid.of(b"a missing block")
KEY = "/k"


class Recorder(MemoryStorage):
    """Storage that keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[Changes, bool]] = []

    def apply(self, changes: Changes, durable: bool) -> None:
        self.given.append((changes, durable))
        super().apply(changes, durable)


def recorded() -> tuple[Recorder, Replica]:
    storage = Recorder()
    return storage, Replica(storage)


def test_every_field_of_a_merge() -> None:
    storage, replica = recorded()
    root = node((), [(KEY, b"v1"), ("/gone", b"x")])
    middle = node([root], [(KEY, b"v2")], [("/gone", root)], 2)
    orphan = node([LOST, root], [("/o", b"1")], (), 5)
    assert replica.merge([root], "p", 1.0) == Merged(
        (root,),
        (Effect(KEY, None, Winner(1, b"v1", root.cid)), Effect("/gone", None, Winner(1, b"x", root.cid))),
        frozenset(),
    )
    merged = replica.merge([middle, orphan, middle], "q", 2.5)
    changed = {
        KEY: (Winner(1, b"v1", root.cid), Winner(2, b"v2", middle.cid)),
        "/gone": (Winner(1, b"x", root.cid), None),
        "/o": (None, Winner(5, b"1", orphan.cid)),
    }
    assert merged.nodes == (middle, orphan)
    assert {each.key: (each.before, each.after) for each in merged.effects} == changed
    assert merged.wants == {LOST}
    changes, durable = storage.given[1]
    (span,), (orphan_span,) = middle.delta.elements, orphan.delta.elements
    assert changes.blocks == (
        BlockRow(middle.cid, middle.data, 2, True, (span,)),
        BlockRow(orphan.cid, orphan.data, 5, False, (orphan_span,)),
    )
    assert changes.tombstones == (("/gone", root.cid),)
    assert changes.winners == {key: after for key, (_, after) in changed.items()}
    assert changes.dag == DagChange(
        complete=frozenset([middle.cid]),
        completed=(),
        heads_added={middle.cid: 2},
        heads_removed=frozenset([root.cid]),
        wants_added=frozenset([LOST]),
        wants_removed=frozenset(),
        all_complete=False,
    )
    assert (changes.via, changes.at, changes.own, durable) == ("q", 2.5, {}, False)


def test_every_field_of_a_write() -> None:
    storage, replica = recorded()
    tuple(replica.writing({KEY: b"v1"}, (), 1.0))
    (written,) = tuple(replica.writing({"k/": b"v2"}, ["/k", "k"], 7.25, {"/d": "{}"}))
    changes, durable = storage.given[1]
    first, made = storage.given[0][0].blocks[0], written.node
    assert written == Written(made, 1, (Effect(KEY, Winner(1, b"v1", first.cid), Winner(2, b"v2", made.cid)),))
    assert changes.blocks == (BlockRow(made.cid, made.data, 2, True, made.delta.elements),)
    assert changes.tombstones == made.delta.tombstones == ((KEY, first.cid),)
    assert changes.winners == {KEY: Winner(2, b"v2", made.cid)}
    assert changes.dag == DagChange(
        frozenset([made.cid]), (), {made.cid: 2}, frozenset([first.cid]), frozenset(), frozenset(), True
    )
    assert (changes.via, changes.at, changes.own, durable) == ("", 7.25, {"/d": "{}"}, True)
    assert (storage.given[0][0].own, storage.given[0][1]) == ({}, True)


def test_documents_go_with_the_first_delta_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EMITTED", 400)
    storage, replica = recorded()
    written = tuple(replica.writing({f"/{n}": b"v" * 100 for n in range(3)}, (), 0, {"/0": "doc"}))
    assert [len(each.node.delta.elements) for each in written] == [2, 1]
    assert [changes.own for changes, _ in storage.given] == [{"/0": "doc"}, {}]


def test_a_block_without_elements_changes_no_value() -> None:
    bench = Bench()
    merged = bench.merge(node([LOST], (), (), 2))
    assert (merged.effects, merged.wants) == ((), {LOST})


def test_an_applied_change_took_no_time_unless_it_says_so() -> None:
    assert Applied((), (), "p", 1.0) == Applied((), (), "p", 1.0, 0.0)


# --- the DAG ------------------------------------------------------------------------------------


def chain(length: int) -> list[DagNode]:
    found: list[DagNode] = []
    for height in range(1, length + 1):
        found.append(node(found[-1:], [(KEY, b"%d" % height)], (), height))
    return found


def test_a_history_that_comes_newest_first() -> None:
    a, b, c, d = chain(4)
    storage, replica = recorded()
    for each, wanted in ((d, c), (c, b), (b, a)):
        assert replica.merge([each], "p", 0).wants == {wanted.cid}
        assert replica.wants == {wanted.cid}
        assert (replica.wanted, replica.is_wanted(wanted.cid), replica.is_wanted(each.cid)) == (1, True, False)
        assert replica.may_be_missing(wanted.cid) and not replica.may_be_missing(each.cid)
        assert (replica.heads, replica.height) == ({}, 0)
    assert replica.incomplete == 3
    replica = Replica(storage)
    assert (replica.incomplete, replica.wants) == (3, {a.cid})
    assert not replica.merge([a], "p", 0).wants
    dag = storage.given[-1][0].dag
    assert dag.completed == (b.cid, c.cid, d.cid)
    assert (dag.complete, dag.heads_added, dag.heads_removed) == ({a.cid}, {d.cid: 4}, frozenset())
    assert (dag.wants_added, dag.wants_removed, dag.all_complete) == (frozenset(), {a.cid}, True)
    assert (replica.heads, replica.height, replica.incomplete, replica.wanted) == ({d.cid: 4}, 4, 0, 0)
    assert not replica.may_be_missing(d.cid)
    assert replica.may_be_missing(a.cid), "of blocks below a head nothing is known"
    assert replica.missing([LOST, a.cid, b.cid, LOST, cid.of(b"z")]) == (LOST, cid.of(b"z"))


def ancestry() -> Ancestry:
    return Ancestry({}, {}, ())


def test_a_plan_changes_nothing_until_it_is_committed() -> None:
    a, b, c = chain(3)
    dag = ancestry()
    for _ in range(2):
        plan = dag.plan([c], {})
        assert (plan.complete, plan.wants_added, plan.all_complete) == (frozenset(), {b.cid}, False)
    dag.commit([c], plan)
    for _ in range(2):
        plan = dag.plan([a, b], {})
        assert plan.complete == {a.cid, b.cid}
        assert (plan.completed, plan.heads_added, plan.all_complete) == ((c.cid,), {c.cid: 3}, True)
        assert (plan.wants_added, plan.wants_removed) == (frozenset(), {b.cid})
        assert (dag.heads, dag.wants, dag.incomplete()) == ({}, {b.cid}, 1)
    before = dag.heads
    dag.commit([a, b], plan)
    assert before == {}, "the old heads stay as they were, for other threads"
    assert (dag.heads, dag.wants, dag.incomplete(), dag.height) == ({c.cid: 3}, set(), 0, 3)
    assert not dag._parents, "complete blocks leave nothing behind"
    assert dag.certainly_has(c.cid) and not dag.certainly_has(b.cid)


@pytest.mark.parametrize("restart", [False, True])
def test_a_block_is_complete_only_with_all_its_links(restart: bool) -> None:
    one, two, three = (node((), [(KEY, b"%d" % n)]) for n in range(3))
    top = node([one, two, three], (), (), 2)
    over = node([top, two], (), (), 3)
    bench = Bench()
    bench.merge(one)
    assert bench.merge(over, top).wants == {two.cid, three.cid}
    if restart:
        bench.restart()
    merged = bench.merge(three)
    assert merged.wants == frozenset()
    assert (bench.heads, bench.replica.incomplete) == ({one.cid, three.cid}, 2)
    bench.merge(two)
    assert (bench.replica.heads, bench.replica.incomplete) == ({over.cid: 3}, 0)
    assert not bench.replica._ancestry._parents


def test_stored_links_count_when_they_are_complete() -> None:
    dag = ancestry()
    done, part = node((), ()), node([LOST], (), (), 2)
    dag.commit([part], dag.plan([part], {}))
    top = node([done, part], (), (), 3)
    plan = dag.plan([top], {done.cid: True, part.cid: False})
    assert (plan.complete, plan.wants_added, plan.heads_added) == (frozenset(), frozenset(), {})
    easy = node([done], (), (), 2)
    plan = dag.plan([easy], {done.cid: True})
    assert (plan.complete, plan.heads_added, plan.all_complete) == ({easy.cid}, {easy.cid: 2}, False)


def test_a_wanted_block_is_not_wanted_anew() -> None:
    bench = Bench()
    assert bench.merge(node([LOST], (), (), 2)).wants == {LOST}
    assert bench.merge(node([LOST], (), (), 3)).wants == frozenset()
    assert bench.replica.wants == {LOST}


def test_a_damaged_block_is_said_to_be_damaged() -> None:
    class Damaged(MemoryStorage):
        def load(self) -> Snapshot:
            return Snapshot({}, {LOST: (1, b"\x08\x01")}, frozenset())

    reason = "a block in the database is damaged: field 1 of a dag-pb node has wire type 0; run betar-tui doctor"
    with pytest.raises(StoreError, match=f"^{reason}$"):
        Replica(Damaged())


# --- values -------------------------------------------------------------------------------------

A, B = sorted([cid.of(b"A"), cid.of(b"B")])


def block(name: bytes, height: int, value: bytes | None, *dead: bytes) -> DagNode:
    made = node((), [] if value is None else [(KEY, value)], [(KEY, each) for each in dead], height)
    return made._replace(cid=name)


@pytest.mark.parametrize(
    ("before", "new", "buried", "left", "after"),
    [
        (None, block(A, 0, b""), (), None, Winner(0, b"", A)),
        (Winner(2, b"m", B), block(A, 1, b"z"), (), None, Winner(2, b"m", B)),
        (Winner(2, b"m", B), block(A, 3, b"a"), (), None, Winner(3, b"a", A)),
        (Winner(2, b"m", B), block(A, 2, b"n"), (), None, Winner(2, b"n", A)),
        (Winner(2, b"m", B), block(A, 2, b"l"), (), None, Winner(2, b"m", B)),
        (Winner(2, b"m", B), block(A, 2, b"m"), (), None, Winner(2, b"m", B)),
        (Winner(2, b"m", A), block(B, 2, b"m"), (), None, Winner(2, b"m", B)),
        (Winner(2, b"m", B), block(A, 3, b"a"), ((KEY, A),), None, Winner(2, b"m", B)),
        (Winner(2, b"m", B), block(A, 3, b"a"), (("/other", A), (KEY, B)), None, Winner(3, b"a", A)),
        (Winner(2, b"m", B), block(A, 1, b"a", B), (), None, Winner(1, b"a", A)),
        (Winner(2, b"m", B), block(A, 3, None, B), (), None, None),
        (Winner(2, b"m", B), block(A, 3, None, B), (), Winner(1, b"q", LOST), Winner(1, b"q", LOST)),
        (Winner(2, b"m", B), block(A, 3, None, LOST), (), Winner(9, b"q", LOST), Winner(2, b"m", B)),
        (Winner(2, b"m", B), block(A, 3, b"a", A), (), None, Winner(2, b"m", B)),
        (None, block(A, 3, None, LOST), (), None, None),
    ],
)
def test_the_value_after_a_block(
    before: Winner | None,
    new: DagNode,
    buried: tuple[tuple[str, bytes], ...],
    left: Winner | None,
    after: Winner | None,
) -> None:
    asked = []

    def greatest(key: str, dead: object) -> Winner | None:
        asked.append((key, dead))
        return left

    facts = Facts({} if before is None else {KEY: before}, buried, greatest)
    assert values_after([new], facts) == {KEY: after}
    assert all(each == (KEY, {B}) for each in asked)


# --- writing ------------------------------------------------------------------------------------

TOP = 1 << 62


@pytest.mark.parametrize(
    ("blocks", "removes", "height"),
    [
        pytest.param((), False, 1, id="no value"),
        pytest.param((node([LOST], [(KEY, b"1")], (), 0),), False, 1, id="a height of 0"),
        pytest.param((node([LOST], [(KEY, b"1")], (), 7),), False, 8, id="a high one"),
        pytest.param((node([LOST], [("/other", b"1")], (), 7),), False, 1, id="another key"),
        pytest.param((node([LOST], [(KEY, b"1")], (), TOP - 1),), False, TOP, id="just possible"),
        pytest.param((node([LOST], [(KEY, b"1")], (), TOP),), True, 1, id="absurd"),
        pytest.param(
            (node([LOST], [(KEY, b"1")], (), TOP), node([LOST], [(KEY, b"1")], (), 6)), True, 7, id="absurd over 6"
        ),
        pytest.param(
            (node((), [("/h", b"")], (), TOP), node([LOST], [(KEY, b"1")], (), TOP)), False, TOP + 1, id="as a head"
        ),
        pytest.param(
            (node((), [("/h", b"")], (), TOP), node([LOST], [(KEY, b"1")], (), TOP + 1)),
            True,
            TOP + 1,
            id="one above a head",
        ),
        pytest.param((node((), [(KEY, b"1")], (), MAX_PRIORITY),), True, MAX_PRIORITY, id="the greatest"),
    ],
)
def test_the_height_of_a_put(blocks: tuple[DagNode, ...], removes: bool, height: int) -> None:
    bench = Bench()
    bench.merge(*blocks)
    assert bench.replica.put_removes("k/") is removes
    written = bench.put("k", b"2")
    assert (written.node.delta.priority, written.tombstones) == (height, int(removes))
    assert bench.map[KEY] == b"2"


@pytest.mark.parametrize(
    ("puts", "deletes", "reason"),
    [
        ({"k": b""}, (), "the value of /k is empty, which Go peers do not replicate; give it content"),
        (
            {"/k": bytes(MAX_EMITTED // 2 - 65)},
            (),
            "/k and its value of 524223 bytes are more than a delta may carry; shorten them",
        ),
        (
            {"/ä": bytes(MAX_EMITTED // 2 - 66)},
            (),
            "/ä and its value of 524222 bytes are more than a delta may carry; shorten them",
        ),
        (
            {},
            ["/" + "k" * (MAX_EMITTED // 2 - 65)],
            "/" + "k" * 79 + " and its value of 1 bytes are more than a delta may carry; shorten them",
        ),
    ],
)
def test_the_reason_why_nothing_is_written(puts: dict[str, bytes], deletes: list[str], reason: str) -> None:
    bench = Bench()
    with pytest.raises(BetarError, match=f"^{re.escape(reason)}$"):
        bench.batch(puts, deletes)
    assert not bench.storage.data


@pytest.mark.parametrize(
    "write",
    [
        lambda bench: bench.put("/k", bytes(MAX_EMITTED // 2 - 66)),
        lambda bench: bench.put("/ä", bytes(MAX_EMITTED // 2 - 67)),
        lambda bench: bench.delete("/" + "k" * (MAX_EMITTED // 2 - 66)),
    ],
)
def test_the_longest_key_and_value_are_written(write: Callable[[Bench], object]) -> None:
    write(Bench())


P, Q, R = ("/p", b"1" * 10), ("/q", b"2" * 10), ("/r", b"3" * 10)  # 28 bytes each
D, E = ("/d", A), ("/e", B)  # 74 bytes each


@pytest.mark.parametrize(
    ("puts", "tombstones", "room", "cut"),
    [
        ([], [], 100, []),
        ([P], [], 28, [([P], [])]),
        ([P], [], 1, [([P], [])]),
        ([P, Q], [], 56, [([P, Q], [])]),
        ([P, Q], [], 55, [([P], []), ([Q], [])]),
        ([P, Q, R], [], 56, [([P, Q], []), ([R], [])]),
        ([P, Q, R], [], 83, [([P, Q], []), ([R], [])]),
        ([P, Q, R], [], 84, [([P, Q, R], [])]),
        ([], [D, E], 148, [([], [D, E])]),
        ([], [D, E], 147, [([], [D]), ([], [E])]),
        ([P], [D, E], 176, [([P], [D, E])]),
        ([P], [D, E], 175, [([], [D, E]), ([P], [])]),
        ([P, Q], [D, E], 102, [([], [D]), ([P], [E]), ([Q], [])]),
        ([("/ä", b"1" * 9), Q], [], 55, [([("/ä", b"1" * 9)], []), ([Q], [])]),
        ([("/ä", b"1" * 9), Q], [], 56, [([("/ä", b"1" * 9), Q], [])]),
        ([], [("/ä", A), E], 148, [([], [("/ä", A)]), ([], [E])]),
        ([], [("/ä", A), E], 149, [([], [("/ä", A), E])]),
    ],
)
def test_writes_are_cut_where_a_delta_is_full(
    puts: list[tuple[str, bytes]],
    tombstones: list[tuple[str, bytes]],
    room: int,
    cut: list[tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]],
) -> None:
    found = [(list(some), list(dead)) for some, dead in module._batches(dict(puts), tombstones, room)]
    assert found == cut


@pytest.mark.parametrize(("heads", "room"), [(0, 110), (1, 110), (2, 156), (3, 202)])
def test_a_delta_leaves_room_for_its_links(heads: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """110 bytes are the delta's own 64 and the 46 of a link, of which one is always counted."""
    for spare, deltas in ((56, 1), (55, 2)):
        monkeypatch.setattr(module, "MAX_EMITTED", room + spare)
        bench = Bench()
        bench.merge(*(node((), [("/h", b"%d" % n)]) for n in range(heads)))
        written = bench.batch(dict([P, Q]))
        assert len(written) == deltas
        assert all(len(each.node.data) <= room + spare for each in written)


def test_elements_are_positions_in_the_block() -> None:
    written = Bench().put(KEY, b"value").node
    assert written.delta.elements == (Span(KEY, written.data.index(b"value"), 5),)
