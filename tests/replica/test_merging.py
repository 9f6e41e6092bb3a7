"""Single merges and writes of a replica."""

from __future__ import annotations

import time

import pytest

from betar_tui.errors import BetarError
from betar_tui.ipld import cid
from betar_tui.replica import DagNode, Effect, decode_node
from betar_tui.replica.delta import MAX_PRIORITY
from betar_tui.replica.facts import Winner
from betar_tui.replica.node import MAX_EMITTED, MAX_LINKS
from tests.simulation.lab import Bench, node
from tests.simulation.memory import assert_sound
from tests.simulation.oracle import Delta, PBNode


def message(each: DagNode) -> Delta:
    return Delta.FromString(PBNode.FromString(each.data).Data)


# --- merging ------------------------------------------------------------------------------------


def test_the_greatest_priority_there_is() -> None:
    bench = Bench()
    low, top = node((), [("/k", b"z")], (), MAX_PRIORITY - 1), node((), [("/k", b"a")], (), MAX_PRIORITY)
    for order in ((low, top), (top, low)):
        bench = Bench()
        for each in order:
            bench.merge(each)
        assert bench.map == {"/k": b"a"}
        assert bench.replica.height == MAX_PRIORITY
    written = bench.put("/k", b"b")
    assert written.node.delta.priority == MAX_PRIORITY
    assert bench.map == {"/k": b"b"}
    assert bench.heads == {written.node.cid}
    # There is nothing above it: a new value wins because the old ones are removed with it.
    assert bench.put("/k", b"a").tombstones == 1
    assert bench.map == {"/k": b"a"}
    bench.delete("/k")
    assert bench.map == {}
    assert_sound(bench.storage)


LOST = cid.of(b"a missing block")


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param([node([LOST], [("/k", b"vandal")], (), 10**9)], id="above a missing block"),
        pytest.param([node((), [("/k", b"vandal")], (), 10**9)], id="a head"),
        pytest.param(
            [top := node((), [("/k", b"vandal")], (), 10**9), node([top], [("/other", b"")], (), 3)],
            id="below a lower head",
        ),
        pytest.param(
            [node([LOST], [("/k", b"vandal %d" % n)], (), height) for n, height in enumerate((2, 3, 4, 2**64 - 1))],
            id="several, also at the height of the next put",
        ),
        pytest.param(
            [node((), [("/x", b"")], (), 2**62 + 5), node([LOST], [("/k", b"vandal")], (), 2**62 + 9)],
            id="absurd, and a head nearly so",
        ),
    ],
)
@pytest.mark.parametrize("restart", [False, True])
def test_a_put_wins_over_whatever_height_others_gave_to_a_value(hostile: list[DagNode], restart: bool) -> None:
    """Or a listing that somebody replaced could never be put back."""
    bench = Bench()
    bench.put("/k", b"honest")
    bench.put("/untouched", b"1")
    bench.merge(*hostile)
    assert bench.map["/k"].startswith(b"vandal")
    if restart:
        bench.restart()
    written = bench.put("/k", b"healed")
    assert bench.map["/k"] == b"healed"
    assert [(each.key, each.after and each.after.value) for each in written.effects] == [("/k", b"healed")]
    assert written.tombstones <= 1, "lower versions need no tombstone"
    assert bench.put("/untouched", b"2").tombstones == 0
    bench.put("/k", b"healed again")
    other = Bench()
    for data in bench.storage.data.values():
        other.merge(decode_node(cid.of(data), data))
    assert other.map["/k"] == b"healed again"
    assert_sound(bench.storage)


def test_a_put_during_a_sync_restores_no_older_value() -> None:
    """History comes newest first: the merged blocks are high, the heads are low, and those between are missing."""
    chain: list[DagNode] = []
    for height in range(1, 11):
        chain.append(node(chain[-1:], [("/k", b"price %d" % height)], (), height))
    far, here = Bench(), Bench()
    far.merge(*chain)
    here.merge(*reversed(chain[5:]))
    written = here.put("/k", b"new price")
    far.merge(written.node)
    assert here.map == far.map == {"/k": b"new price"}
    here.merge(*chain[:5])
    assert here.map == far.map
    assert here.heads == far.heads
    assert written.tombstones == 0


def test_a_put_removes_only_what_has_an_absurd_height() -> None:
    bench = Bench()
    for key in ("/k", "/l"):
        bench.put(key, b"1")
    bench.merge(node([LOST], [("/k", b"2")], (), 9))
    assert not bench.replica.put_removes("/k")
    absurd = [node([LOST], [("/k", b"%d" % n)], (), MAX_PRIORITY - n) for n in range(3)]
    bench.merge(*absurd)
    assert bench.replica.put_removes("k")
    assert not bench.replica.put_removes("/l")
    assert not bench.replica.put_removes("/none")
    assert bench.put("/k", b"0").tombstones == 3
    assert bench.map["/k"] == b"0"
    assert bench.replica.height == 10, "Go peers begin at 0 again above the greatest one"


def test_above_an_absurd_head_a_put_removes_nothing() -> None:
    bench = Bench()
    bench.merge(node((), [("/k", b"1")], (), 1 << 62))
    for value in (b"2", b"3"):
        assert not bench.replica.put_removes("/k")
        assert bench.put("/k", value).tombstones == 0
        assert bench.map == {"/k": value}


def test_a_version_is_removed_once_by_a_put_and_a_delete_of_its_key() -> None:
    bench = Bench()
    bench.merge(node([LOST], [("/k", b"1")], (), MAX_PRIORITY))
    (written,) = bench.batch({"/k": b"2"}, ["/k"])
    assert written.tombstones == len(written.node.delta.tombstones) == 1
    assert bench.map == {"/k": b"2"}


def test_one_key_twice_in_a_delta() -> None:
    for values in ([b"a", b"b"], [b"b", b"a"]):
        bench = Bench()
        bench.merge(node((), [("/k", value) for value in values]))
        assert bench.map == {"/k": b"b"}
        assert bench.delete("/k")[0].tombstones == 1
        assert bench.map == {}
        assert_sound(bench.storage)


def test_an_empty_value_is_a_value_and_the_least_one() -> None:
    bench = Bench()
    empty, full = node((), [("/k", b"")]), node((), [("/k", b"\0")])
    merged = bench.merge(empty)
    assert merged.effects == (Effect("/k", None, Winner(1, b"", empty.cid)),)
    assert bench.map == {"/k": b""}
    bench.merge(full)
    assert bench.map == {"/k": b"\0"}
    bench.merge(node([full], (), [("/k", full)], 2))
    assert bench.map == {"/k": b""}
    assert bench.delete("/k")[0].tombstones == 1
    assert bench.map == {}


def test_the_cid_decides_between_equal_values_at_the_same_height() -> None:
    one, other = node((), [("/k", b"v"), ("/x", b"1")]), node((), [("/k", b"v"), ("/x", b"2")])
    for order in ((one, other), (other, one)):
        bench = Bench()
        for each in order:
            bench.merge(each)
        assert bench.storage.chosen["/k"] == max(one.cid, other.cid)


def test_a_tombstone_before_its_element() -> None:
    put = node((), [("/k", b"v"), ("/other", b"v")])
    kill = node([put], (), [("/k", put)], 2)
    bench = Bench()
    assert bench.merge(kill).effects == ()
    merged = bench.merge(put)
    assert [effect.key for effect in merged.effects] == ["/other"]
    assert bench.map == {"/other": b"v"}
    bench = Bench()
    assert [effect.key for effect in bench.merge(put, kill).effects] == ["/other"]
    assert [effect.key for effect in Bench().merge(kill, put).effects] == ["/other"]


def test_a_tombstone_is_for_its_key_only() -> None:
    put = node((), [("/a", b"v"), ("/a/b", b"v")])
    bench = Bench()
    bench.merge(put)
    bench.merge(node([put], (), [("/a", put)], 2))
    assert bench.map == {"/a/b": b"v"}


def test_a_tombstone_applies_before_the_elements_of_its_delta() -> None:
    old = node((), [("/k", b"z")], (), 9)
    new = node([old], [("/k", b"a")], [("/k", old)], 1)
    for order in ((old, new), (new, old)):
        bench = Bench()
        for each in order:
            bench.merge(each)
        assert bench.map == {"/k": b"a"}


def test_when_the_value_goes_the_next_one_comes() -> None:
    bench = Bench()
    versions = [node((), [("/k", b"%d" % i)], (), 5 - i // 2) for i in range(6)]
    bench.merge(*versions)
    expected = [b"1", b"0", b"3", b"2", b"5", b"4"]
    for height, value in enumerate(expected, 10):
        assert bench.map == {"/k": value}
        (gone,) = [each for each in versions if message(each).elements[0].value == value]
        bench.merge(node((), (), [("/k", gone)], height))
    assert bench.map == {}


def test_a_stored_block_changes_nothing() -> None:
    bench = Bench()
    put = node((), [("/k", b"v")])
    assert bench.merge(put).nodes == (put,)
    again = bench.merge(put, put)
    assert (again.nodes, again.effects, again.wants) == ((), (), frozenset())
    assert bench.merge().nodes == ()
    fresh = node([put], [("/k", b"w")], (), 2)
    assert bench.merge(put, fresh, fresh).nodes == (fresh,)


def test_what_a_merge_says() -> None:
    root, lost = node((), [("/k", b"1")]), cid.of(b"lost")
    top = node([root, lost], [("/k", b"2")], (), 2)
    bench = Bench()
    merged = bench.merge(top)
    assert merged.wants == {root.cid, lost}
    assert merged.effects == (Effect("/k", None, Winner(2, b"2", top.cid)),)
    merged = bench.merge(root)
    assert (merged.wants, merged.effects) == (frozenset(), ())
    assert bench.replica.wants == {lost}
    assert bench.replica.incomplete == 1
    assert bench.replica.missing([root.cid, lost, top.cid, lost]) == (lost,)


def test_elements_and_tombstones_of_nothing() -> None:
    bench = Bench()
    empty = node((), (), (), 4)
    assert bench.merge(empty).effects == ()
    assert dict(bench.replica.heads) == {empty.cid: 4}


# --- writing ------------------------------------------------------------------------------------


def test_a_priority_is_one_above_all_heads() -> None:
    bench = Bench()
    assert bench.put("/k", b"v").node.delta.priority == 1
    bench.merge(node((), [("/x", b"v")], (), 7), node((), [("/y", b"v")], (), 3))
    written = bench.put("/k", b"v")
    assert written.node.delta.priority == 8
    assert len(written.node.links) == 3
    assert list(written.node.links) == sorted(written.node.links)
    bench = Bench()
    bench.merge(node((), [("/x", b"v")], (), 0))
    assert bench.put("/k", b"v").node.delta.priority == 1


def test_a_delete_names_every_live_version_in_order_of_id() -> None:
    bench = Bench()
    versions = [bench.put("/k", b"%d" % i).node for i in range(12)]
    bench.put("/k/v", b"stays")
    (first,) = bench.delete("/k")
    ids = [each.id for each in message(first.node).tombstones]
    assert ids == sorted(cid.element_id(each.cid) for each in versions)
    assert {each.key for each in message(first.node).tombstones} == {"/k"}
    assert first.tombstones == 12
    again = bench.put("/k", b"again").node
    (second,) = bench.delete("/k")
    assert second.node.delta.tombstones == (("/k", again.cid),)
    assert bench.map == {"/k/v": b"stays"}


def test_deleting_what_is_not_there_writes_nothing() -> None:
    bench = Bench()
    assert bench.delete("/k") == ()
    bench.put("/k", b"v")
    bench.delete("/k")
    assert bench.delete("/k", "/other") == ()
    assert tuple(bench.replica.writing({}, (), 0)) == ()
    assert len(bench.storage.data) == 2


def test_what_is_deleted_twice_is_named_once() -> None:
    bench = Bench()
    put = bench.put("/k", b"v").node
    (written,) = bench.delete("/k", "/k", "k/")
    assert [(each.key, each.id) for each in message(written.node).tombstones] == [("/k", cid.element_id(put.cid))]


def test_keys_are_written_clean() -> None:
    bench = Bench()
    (written,) = bench.batch({"a//b/": b"v", "/a/./b": b"w"})
    assert [(each.key, each.value) for each in message(written.node).elements] == [("/a/b", b"w")]
    assert bench.delete("a/b")[0].tombstones == 1


def test_our_writes_are_durable_and_others_need_not_be() -> None:
    bench = Bench()
    bench.put("/k", b"v")
    assert bench.storage.durable == 1
    bench.merge(node((), [("/x", b"v")]))
    assert bench.storage.durable == 1


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("/k", b"", "empty"),
        ("/k", bytes(MAX_EMITTED), "more than a delta"),
        ("/" + "é" * (MAX_EMITTED // 4), b"v", "more than a delta"),
    ],
)
def test_what_is_not_written(key: str, value: bytes, said: str) -> None:
    bench = Bench()
    with pytest.raises(BetarError, match=said):
        bench.batch({"/fine": b"v", key: value})
    assert bench.storage.data == {}


def test_a_key_too_long_to_be_named_is_not_deleted() -> None:
    bench = Bench()
    key = "/" + "k" * (MAX_EMITTED * 3 // 4)
    bench.merge(node((), [(key, b"v")]))
    with pytest.raises(BetarError, match="more than a delta"):
        bench.delete(key)
    bench.put("/k", b"v")


def test_a_large_write_is_cut_into_deltas_of_a_megabyte() -> None:
    bench = Bench()
    big = {f"/{i}": bytes([i + 1]) * 400_000 for i in range(7)}
    written = bench.batch(big)
    assert [len(each.node.delta.elements) for each in written] == [2, 2, 2, 1]
    assert [each.node.delta.priority for each in written] == [1, 2, 3, 4]
    assert all(len(each.node.data) <= MAX_EMITTED for each in written)
    assert written[1].node.links == (written[0].node.cid,)
    assert bench.map == big
    assert_sound(bench.storage)


def test_a_large_delete_is_cut_too_and_comes_before_the_puts() -> None:
    bench = Bench()
    versions = 15_000
    for batch in range(0, versions, 2500):
        # As own ones: the heads that a peer brings are limited.
        some = [node((), [("/" + "k" * 40, b"%d" % i)]) for i in range(batch, batch + 2500)]
        bench.replica.merge(some, "", 0)
    assert len(bench.heads) == versions
    key = "/" + "k" * 40
    start = time.process_time()
    written = bench.batch({key: b"new", "/x": bytes(1000)}, [key])
    assert time.process_time() - start < 20
    assert sum(each.tombstones for each in written) == versions
    assert all(len(each.node.data) <= MAX_EMITTED for each in written)
    assert [len(each.node.delta.elements) for each in written] == [0] * (len(written) - 1) + [2]
    assert bench.map == {key: b"new", "/x": bytes(1000)}


def test_more_heads_than_a_node_may_link_to() -> None:
    """The highest ones are joined first; the others stay heads until their turn comes."""
    bench = Bench()
    roots = [node((), [("/k", b"%d" % i)], (), 1 + i % 3) for i in range(MAX_LINKS + 100)]
    bench.merge(*roots)
    written = bench.put("/k", b"v").node
    assert len(written.links) == MAX_LINKS
    assert written.delta.priority == 4
    assert len(bench.heads) == 101
    assert {bench.replica.heads[name] for name in bench.heads - {written.cid}} == {1}
    assert len(bench.put("/k", b"w").node.links) == 101
    assert len(bench.heads) == 1


def test_effects_of_a_write() -> None:
    bench = Bench()
    put = bench.put("/k", b"v")
    assert put.effects == (Effect("/k", None, Winner(1, b"v", put.node.cid)),)
    (gone,) = bench.delete("/k")
    assert gone.effects == (Effect("/k", Winner(1, b"v", put.node.cid), None),)
