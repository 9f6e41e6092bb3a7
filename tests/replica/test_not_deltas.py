"""What is not a delta: it is history only between deltas, changes nothing, and is never a head
(docs/protocol.md#dag-nodes)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence

import pytest

from betar_tui.ipld import cid, unixfs
from betar_tui.ipld.protobuf import write_bytes, write_varint
from betar_tui.replica import DagNode, decode_node, delta, node
from betar_tui.replica.ancestry import Ancestry
from betar_tui.replica.node import is_delta, looks_like_file
from tests.simulation.lab import Bench
from tests.simulation.lab import node as make

ID = cid.element_id(cid.of(b"x")).encode()
ELEMENT = write_bytes(1, b"/k") + write_bytes(3, b"v")
TOMBSTONE = write_bytes(1, b"/k") + write_bytes(2, ID)


def unixfs_node(links: Iterable[bytes] = (), kind: int = 2, size: int | None = 7) -> DagNode:
    """A file (2) or folder (1) of UnixFS that decodes as a delta."""
    data = b"\x08" + bytes([kind]) + (b"" if size is None else b"\x18" + write_varint(size))
    block = node.encode_node(links, data)
    return decode_node(cid.of(block), block)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(write_bytes(1, ELEMENT) + b"\x18\x01", True, id="an element"),
        pytest.param(write_bytes(2, TOMBSTONE) + b"\x18\x01", True, id="a tombstone"),
        pytest.param(write_bytes(1, ELEMENT), True, id="an element without a priority"),
        pytest.param(write_bytes(1, ELEMENT) + b"\x18\x00", True, id="an element at priority 0"),
        pytest.param(write_bytes(2, TOMBSTONE), True, id="a tombstone without a priority"),
        pytest.param(b"\x18\x01", True, id="nothing but a priority, as Go writes it"),
        pytest.param(b"\x18\x01" + write_bytes(4, b"dag"), True, id="a priority and the name of a DAG"),
        pytest.param(b"\x08\x01" + write_bytes(1, ELEMENT) + b"\x18\x01", True, id="an element and a type"),
        pytest.param(b"", False, id="no data"),
        pytest.param(b"\x18\x00", False, id="a priority of 0 alone"),
        pytest.param(b"\x08\x01", False, id="a folder"),
        pytest.param(b"\x08\x02\x18\x05\x20\x05", False, id="a file of other blocks"),
        pytest.param(b"\x08\x02\x18\x00", False, id="an empty file"),
        pytest.param(b"\x08\x02" + write_bytes(2, write_bytes(1, b"/k")) + b"\x18\x04", False, id="a file's content"),
        pytest.param(b"\x18\x05\x08\x02", False, id="a file whose fields are in another order"),
    ],
)
def test_a_delta_says_something(data: bytes, expected: bool) -> None:
    block = node.encode_node((), data)
    assert decode_node(cid.of(block), block).is_delta is expected
    assert is_delta(block) is expected
    assert delta.says_something(data, 0, len(data)) is expected


def test_files_and_folders_look_like_that() -> None:
    for each in (unixfs_node(), unixfs_node(kind=1, size=None), unixfs_node([cid.of(b"x")])):
        assert looks_like_file(each.data)
    assert looks_like_file(unixfs.encode_file(b"{}")[1])
    assert not looks_like_file(make((), [("/k", b"v")]).data)
    assert not looks_like_file(make((), (), (), 3).data)


@pytest.mark.parametrize("kind", [1, 2])
def test_a_file_or_folder_by_itself_is_left_out(kind: int) -> None:
    bench = Bench()
    own = bench.put("/k", b"v").node
    file = unixfs_node([own.cid, cid.of(b"lost")], kind)
    merged = bench.merge(file)
    assert (merged.nodes, merged.wants, merged.not_deltas) == ((), frozenset(), (file,))
    assert (bench.heads, bench.replica.wants, bench.replica.incomplete) == ({own.cid}, frozenset(), 0)
    assert bench.storage.data.keys() == {own.cid}


def test_others_in_a_batch_are_merged() -> None:
    bench = Bench()
    file, one = unixfs_node(), make((), [("/k", b"v")])
    merged = bench.merge(file, one)
    assert (merged.nodes, merged.not_deltas) == ((one,), (file,))


def test_a_delta_of_priority_0_counts_as_go_writes_it_when_its_heights_overflow() -> None:
    bench = Bench()
    first = make((), [("/a", b"1")])
    highest = make([first], [("/b", b"2")], (), delta.MAX_PRIORITY)
    wrapped = make([highest], [("/c", b"3")], [("/a", first)], 0)
    bench.merge(first, highest)
    merged = bench.merge(wrapped)
    assert (merged.nodes, merged.not_deltas, bench.heads) == ((wrapped,), (), {wrapped.cid})
    assert bench.map == {"/b": b"2", "/c": b"3"}
    bench.restart()
    assert (bench.heads, bench.map) == ({wrapped.cid}, {"/b": b"2", "/c": b"3"})


def test_a_delta_of_priority_0_counts_wherever_it_lies() -> None:
    bench = Bench()
    below = make((), [("/k", b"v")], (), 0)
    top = make([below], [("/other", b"v")])
    bench.merge(top)
    assert bench.merge(below).nodes == (below,)
    assert (bench.map, bench.heads) == ({"/k": b"v", "/other": b"v"}, {top.cid})


def test_what_lies_below_a_file_that_a_delta_links_to_is_history() -> None:
    """A Go peer takes a file for a delta, makes it its head and builds on it: its history must not be cut there."""
    bench = Bench()
    root = make((), [("/a", b"1")])
    file = unixfs_node([root.cid])
    top = make([file], [("/b", b"2")], (), 8)
    assert bench.merge(top).wants == {file.cid}
    assert bench.merge(file).wants == {root.cid}
    bench.restart()
    assert (bench.heads, bench.replica.wants) == (set(), {root.cid})
    bench.merge(root)
    assert (bench.heads, bench.replica.wants, bench.replica.incomplete) == ({top.cid}, frozenset(), 0)
    assert bench.map == {"/a": b"1", "/b": b"2"}


@pytest.mark.parametrize("restart", [False, True])
def test_a_file_below_an_incomplete_delta_is_no_head_and_hides_none(restart: bool) -> None:
    bench = Bench()
    lost = make((), [("/c", b"3")])
    root = make((), [("/a", b"1")])
    file, folder = unixfs_node([root.cid]), unixfs_node(kind=1, size=None)
    bench.merge(root)
    top = make([file, folder, lost], [("/b", b"2")], (), 8)
    bench.merge(top)
    bench.merge(file, folder)
    if restart:
        bench.restart()
    assert (bench.heads, bench.replica.incomplete) == ({root.cid}, 3)
    other = make([file], [("/d", b"4")], (), 9)
    bench.merge(other)
    assert (bench.heads, bench.replica.incomplete) == ({other.cid}, 2)
    bench.merge(lost)
    assert (bench.heads, bench.replica.incomplete) == ({other.cid, top.cid}, 0)


def random_dag(rng: random.Random, size: int) -> list[DagNode]:
    """Deltas and files that link to each other at random."""
    nodes: list[DagNode] = []
    while len(nodes) < size:
        links = rng.sample(nodes, min(len(nodes), rng.choice((0, 1, 1, 2, 3))))
        if rng.random() < 0.4:
            new = unixfs_node([each.cid for each in links], rng.choice((1, 2)), rng.choice((None, 1, 1000)))
        else:
            new = make(links, [(f"/k{rng.randrange(3)}", b"%d" % len(nodes))], (), len(nodes) + 1)
        if all(new.cid != each.cid for each in nodes):
            nodes.append(new)
    return nodes


def expected(nodes: Sequence[DagNode], here: Iterable[bytes]) -> tuple[set[bytes], set[bytes]]:
    """The heads and the wants of a replica that has these of the nodes, as naively as possible."""
    by_cid = {each.cid: each for each in nodes}
    held = set(here)
    closed: set[bytes] = set()
    while more := {each for each in held - closed if set(by_cid[each].links) <= closed}:
        closed |= more
    complete = {each for each in closed if by_cid[each].is_delta}
    covered: set[bytes] = set()
    left = [link for each in complete for link in by_cid[each].links]
    while left:
        link = left.pop()
        if link not in covered:
            covered.add(link)
            left += () if by_cid[link].is_delta else by_cid[link].links
    return complete - covered, {link for each in held for link in by_cid[each].links} - held


@pytest.mark.parametrize("seed", range(120))
def test_heads_and_wants_in_any_order(seed: int) -> None:
    """Of the blocks that came: deltas in any order, and files when a delta that is here links to them."""
    rng = random.Random(seed)
    nodes = random_dag(rng, rng.randrange(1, 25))
    bench, left = Bench(), list(nodes)
    while left:
        batch = rng.sample(left, min(len(left), rng.choice((1, 1, 2, 5))))
        done = bench.storage.data.keys()
        if all(not each.is_delta and each.cid not in bench.replica.wants for each in left):
            assert not bench.merge(*left).nodes
            break
        merged = bench.merge(*batch)
        assert {each.cid for each in merged.nodes} | {each.cid for each in merged.not_deltas} == {
            each.cid for each in batch
        }
        left = [each for each in left if each.cid not in done]
        heads, wants = expected(nodes, bench.storage.data)
        assert (bench.heads, set(bench.replica.wants)) == (heads, wants)
        below = {link for each in nodes if each.cid in bench.storage.data for link in each.links}
        assert bench.replica.tops().keys() == (bench.storage.data.keys() - below) | heads
        if rng.random() < 0.3:
            bench.restart()
    assert bench.replica.incomplete == len(bench.storage.data.keys() - bench.storage.complete)
    linked = {link for each in nodes if each.is_delta for link in each.links}
    assert all(each.cid in bench.storage.data for each in nodes if each.is_delta or each.cid in linked)


def waiting_files(count: int, row: bool) -> tuple[Ancestry, list[bytes]]:
    """Files below a delta that also links to a block that nobody has, side by side or each above the one before."""
    names = [cid.of(b"%d" % n) for n in range(count)]
    incomplete = {name: (1, (names[n - 1],) if row and n else ()) for n, name in enumerate(names)}
    above = (names[-1],) if row else tuple(names)
    incomplete[cid.of(b"above")] = 2, (*above, cid.of(b"lost"))
    return Ancestry({}, incomplete, [cid.of(b"lost")], names), names


def test_the_cost_of_a_delta_does_not_depend_on_how_many_files_wait() -> None:
    """Anybody may have files merged, as many as they like."""
    nodes = [make((), [("/b", b"%d" % n)], (), n + 1) for n in range(200)]

    def seconds(waiting: int) -> float:
        ancestry, _ = waiting_files(waiting, row=False)
        began = time.perf_counter()
        for each in nodes:
            ancestry.plan([each], {})
        return time.perf_counter() - began

    assert min(seconds(10_000) for _ in range(3)) < 5 * min(seconds(10) for _ in range(3)) + 0.01


def test_a_long_row_of_files_is_passed_at_a_step_each() -> None:
    ancestry, names = waiting_files(20_000, row=True)
    top = make([names[-1]], [("/b", b"2")], (), 2)
    change = ancestry.plan([top], {names[-1]: False})
    assert (change.complete, set(change.completed), dict(change.heads_added)) == ({top.cid}, set(names), {top.cid: 2})
    ancestry.commit([top], change)
    assert (ancestry.incomplete(), dict(ancestry.heads)) == (1, {top.cid: 2})
