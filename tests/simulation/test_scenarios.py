"""go-ds-crdt's own tests (crdt_test.go, heads_test.go) and the issues it lives with, as plain stories."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from betar_tui.errors import StoreError
from betar_tui.replica import DagNode, Replica, decode_node
from betar_tui.replica.facts import Changes
from betar_tui.store.database import Store, open_store
from tests.simulation.lab import Bench, benches, gossip, node, random_dag
from tests.simulation.memory import MemoryStorage, assert_sound, blocks_of, truth_of
from tests.simulation.oracle import cid_of, judge

# --- crdt_test.go -------------------------------------------------------------------------------


def test_crdt() -> None:
    replicas = benches(15)
    replicas[0].put("/hi", b"hola")
    gossip(*replicas)
    assert all(each.map == {"/hi": b"hola"} for each in replicas)


def test_replication() -> None:
    rng = random.Random(1)
    replicas = benches(5)
    for i in range(50):
        rng.choice(replicas).put(f"/{i}", b"%d" % i)
    gossip(*replicas)
    assert all(each.map == {f"/{i}": b"%d" % i for i in range(50)} for each in replicas)
    for i in range(50):
        rng.choice(replicas).put(f"/{i}", b"hola")
    gossip(*replicas)
    assert all(each.map == {f"/{i}": b"hola" for i in range(50)} for each in replicas)
    assert all(truth_of(each.storage) == truth_of(replicas[0].storage) for each in replicas)


def test_priority() -> None:
    replicas = benches(6)
    for turn in range(20):
        for i, each in enumerate(replicas):
            each.put("/k", b"r#%d" % i)
        if turn % 5 == 4:
            gossip(*replicas[: 2 + turn // 5])
    gossip(*replicas)
    assert {each.map["/k"] for each in replicas} == {replicas[0].map["/k"]}
    replicas[0].put("/k", b"final value")
    gossip(*replicas)
    assert all(each.map == {"/k": b"final value"} for each in replicas)


def test_the_highest_priority_wins_and_then_the_greater_value() -> None:
    low, high, tie = node((), [("/k", b"z")], (), 4), node((), [("/k", b"a")], (), 5), node((), [("/k", b"b")], (), 5)
    bench = Bench()
    bench.merge(low)
    assert bench.map == {"/k": b"z"}
    bench.merge(high)
    assert bench.map == {"/k": b"a"}
    bench.merge(tie)
    assert bench.map == {"/k": b"b"}


def test_catch_up_after_lost_broadcasts() -> None:
    one, other = benches(2)
    for i in range(50):
        one.put(f"/{i}", b"unheard")
    one.put("/last", b"heard")
    other.hear(one)
    assert len(other.map) == 51
    assert truth_of(one.storage) == truth_of(other.storage)


def test_hooks() -> None:
    """Every replica reports a put and a delete, once each."""
    replicas = benches(4)
    put = replicas[0].put("/k", b"v")
    for each in replicas[1:]:
        (effect,) = each.hear(replicas[0])
        assert (effect,) == put.effects
        assert (effect.key, effect.before, effect.after and effect.after.value) == ("/k", None, b"v")
    (delete,) = replicas[0].delete("/k")
    assert delete.tombstones == 1
    for each in replicas[1:]:
        (effect,) = each.hear(replicas[0])
        assert (effect,) == delete.effects
        assert (effect.before and effect.before.value, effect.after) == (b"v", None)
        assert each.hear(replicas[0]) == []


def test_an_outdone_put_has_no_effect() -> None:
    """go-ds-crdt calls its delete hook also when a value merely gives way to another; an effect says which."""
    bench = Bench()
    first = bench.put("/k", b"1").node
    bench.put("/k", b"2")
    assert bench.merge(node((), [("/k", b"0")])).effects == ()
    assert bench.merge(node([first], (), [("/k", first)], 2)).effects == ()
    assert bench.map == {"/k": b"2"}


def test_batch() -> None:
    one, other = benches(2)
    (written,) = one.batch({"/k": bytes(200), "/k2": b"2" * 400})
    assert len(written.node.delta.elements) == 2
    (written,) = one.batch({"/k3": b"3"}, ["/k", "/absent"])
    assert written.tombstones == 1
    other.hear(one)
    assert other.map == {"/k2": b"2" * 400, "/k3": b"3"}


def test_a_batch_that_deletes_and_puts_a_key_leaves_it_put() -> None:
    one, other = benches(2)
    one.put("/k", b"old")
    (written,) = one.batch({"/k": b"new"}, ["/k"])
    other.hear(one)
    assert other.map == one.map == {"/k": b"new"}
    assert len(other.storage.live("/k")) == 1


def test_namespace_clash() -> None:
    bench = Bench()
    bench.put("/path/to/something", b"below")
    assert "/path" not in bench.map
    assert bench.delete("/path") == ()
    bench.put("/path", b"hello")
    bench.delete("/path/to/something")
    assert bench.map == {"/path": b"hello"}


def test_keys_that_look_like_go_ds_crdts_own(tmp_path: Path) -> None:
    """It keeps a key's value at <key>/v and its priority at <key>/p; ours must not trip over such keys."""
    keys = ["/a", "/a/v", "/a/p", "/a/v/v", "/ab", "/a0", "/a/" + "CIQ" + "A" * 53, "/s", "/t", "/k", "/h"]
    bench, store = Bench(), open_store(tmp_path / "db")
    twin = Replica(store)
    for key in keys:
        twin.merge([bench.put(key, key.encode()).node], "", 0)
    assert bench.map == {key: key.encode() for key in keys}
    (written,) = bench.delete("/a")
    assert written.tombstones == 1
    twin.merge([written.node], "", 0)
    assert bench.map == {key: key.encode() for key in keys[1:]}
    assert_sound(bench.storage)
    assert truth_of(store) == truth_of(bench.storage)
    store.close()


def test_put_put_delete_under_partition() -> None:
    one, other = benches(2)
    one.put("/k1", b"r0-1")
    one.put("/k1", b"r0-2")
    one.delete("/k1")
    other.put("/k1", b"r1-1")
    gossip(one, other)
    # The other side's put was not seen by the delete: it stays.
    assert one.map == other.map == {"/k1": b"r1-1"}
    assert one.heads == other.heads
    assert len(one.heads) == 2


def test_migration_0_to_1_many_versions_then_a_final_value() -> None:
    """What go-ds-crdt's migration had to repair never goes wrong here: versions, deletes and new values of a key."""
    one, other = benches(2)
    for _ in range(5):
        one.batch({f"/{i}": b"v%d" % i for i in range(20)})
    one.delete(*(f"/{i}" for i in range(10)))
    one.batch({f"/{i}": b"final value" for i in range(10)})
    other.hear(one)
    assert all(other.map[f"/{i}"] == b"final value" for i in range(10))
    assert_sound(other.storage)


# --- heads_test.go ------------------------------------------------------------------------------


def test_heads_basic() -> None:
    """Heads are added, replaced and kept over a restart."""
    bench = Bench()
    roots = [node((), [("/k", b"%d" % i)], (), 7 * i + 1) for i in range(5)]
    bench.merge(*roots)
    assert dict(bench.replica.heads) == {each.cid: each.delta.priority for each in roots}
    assert bench.replica.height == 29
    for i, root in enumerate(roots):
        above = node([root], [("/k", b"above")], (), 100 + i)
        bench.merge(above)
        assert root.cid not in bench.heads
        assert bench.replica.heads[above.cid] == 100 + i
    bench.restart()
    assert len(bench.heads) == 5
    assert bench.replica.height == 104
    joined = bench.put("/k", b"joins").node.cid
    assert bench.heads == {joined}
    assert bench.replica.height == 105


# --- its issues ---------------------------------------------------------------------------------


def chain(n: int) -> list[DagNode]:
    """n nodes, each on the one before."""
    nodes: list[DagNode] = []
    for i in range(n):
        nodes.append(node(nodes[-1:], [(f"/{i}", b"%d" % i)], (), i + 1))
    return nodes


@pytest.mark.parametrize("interrupted_after", [1, 2, 5, 9])
def test_issues_279_350_355_an_interrupted_walk_leaves_no_hole(interrupted_after: int) -> None:
    """go-ds-crdt marks a block processed before its branch is, and never looks below it again."""
    nodes = chain(10)
    bench = Bench()
    for each in reversed(nodes[-interrupted_after:]):
        bench.merge(each)
    bench.restart()
    hole = nodes[-interrupted_after - 1]
    assert bench.replica.wants == {hole.cid}
    assert bench.heads == set()
    # A newer head that is linked to what is already there does not hide the hole.
    newest = node([nodes[-1]], [("/new", b"1")], (), 11)
    bench.merge(newest)
    assert bench.replica.wants == {hole.cid}
    for each in reversed(nodes[:-interrupted_after]):
        assert bench.heads == set()
        bench.merge(each)
    assert bench.heads == {newest.cid}
    assert (bench.replica.wants, bench.replica.incomplete) == (frozenset(), 0)
    assert_sound(bench.storage)


def test_issue_350_two_branches_of_which_one_is_lost_on_the_way() -> None:
    """Both branches below a merge are wanted on their own, whatever becomes of the other."""
    root = node((), [("/r", b"r")])
    left, right = node([root], [("/l", b"l")], (), 2), node([root], [("/g", b"g")], (), 2)
    top = node([left, right], [("/t", b"t")], (), 3)
    bench = Bench()
    bench.merge(top)
    assert bench.replica.wants == {left.cid, right.cid}
    bench.merge(left)
    bench.restart()
    bench.merge(root)
    assert bench.replica.wants == {right.cid}
    assert bench.heads == {left.cid}
    assert bench.map == {"/t": b"t", "/l": b"l", "/r": b"r"}
    bench.merge(right)
    assert bench.heads == {top.cid}


def test_issue_285_a_first_sync_that_was_stuck_goes_on() -> None:
    """A sync that ends half-way, with the same head announced again and again, starts from what is wanted."""
    one, other = benches(2)
    for i in range(30):
        one.put(f"/{i}", b"v")
    (head,) = one.heads
    order = [
        one.storage.data[name] for name in sorted(one.storage.data, key=one.storage.heights.__getitem__, reverse=True)
    ]
    for block in order[:11]:
        other.merge(node_of(block))
    for _ in range(3):
        other.restart()
        assert other.replica.missing([head]) == ()
        assert len(other.replica.wants) == 1
        (merged,) = [other.merge(node_of(one.storage.data[name])) for name in other.replica.wants]
        assert len(merged.wants) == 1
    other.hear(one)
    assert truth_of(other.storage) == truth_of(one.storage)


def test_issue_357_no_head_that_is_no_tip() -> None:
    """Two concurrent writes of one peer, the older arriving after a node that is built on it."""
    root = node((), [("/k", b"0")])
    below = node([root], [("/k", b"1")], (), 2)
    tip = node([below], [("/k", b"2")], (), 3)
    for order in ([root, below, tip], [root, tip, below], [tip, root, below], [below, tip, root], [tip, below, root]):
        bench = Bench()
        for each in order:
            bench.merge(each)
        assert bench.heads == {tip.cid}
        bench = Bench()
        bench.merge(*order)
        assert bench.heads == {tip.cid}


def test_issue_357_a_head_below_two_branches() -> None:
    """A block that both a complete and an open branch link to is not a head, nor does it become one again."""
    root = node((), [("/k", b"0")])
    done, gone = node([root], [("/k", b"1")], (), 2), node((), [("/x", b"1")])
    half = node([root, gone], [("/k", b"2")], (), 2)
    bench = Bench()
    bench.merge(root)
    bench.merge(half)
    assert bench.heads == {root.cid}
    bench.merge(done)
    assert bench.heads == {done.cid}
    bench.merge(gone)
    assert bench.heads == {done.cid, half.cid}


def node_of(block: bytes) -> DagNode:
    return decode_node(cid_of(block), block)


# --- ours ---------------------------------------------------------------------------------------


def test_a_restart_in_the_middle_of_a_walk_resumes_from_persisted_wants(tmp_path: Path) -> None:
    nodes = {each.cid: each for each in random_dag(random.Random(7), 60)}
    tips = nodes.keys() - {link for each in nodes.values() for link in each.links}
    path = tmp_path / "db"
    todo: frozenset[bytes] | set[bytes] = tips
    walked = 0
    while todo:
        store = open_store(path)
        replica = Replica(store)
        for name in sorted(todo)[: 1 if walked else None]:
            replica.merge([nodes[name]], "peer", 0)
        todo = replica.wants
        assert todo == Replica(store).wants == judge(blocks_of(store).values()).wants
        store.close()
        walked += 1
    assert walked == len(nodes) - len(tips) + 1
    store = open_store(path)
    assert assert_sound(store) == judge(each.data for each in nodes.values())
    assert not Replica(store).incomplete
    store.close()


@pytest.mark.parametrize("seed", range(40))
def test_the_state_is_a_function_of_the_set_of_blocks(seed: int, tmp_path: Path) -> None:
    """Any order, any batches, restarts in between, with what hostile peers may send."""
    rng = random.Random(seed)
    nodes = random_dag(rng, rng.choice((4, 15, 40)))
    truth = judge(each.data for each in nodes)
    memory, store = MemoryStorage(), open_store(tmp_path / "db")
    for storage in (memory, store):
        order = rng.sample(nodes, len(nodes)) + rng.sample(nodes, len(nodes) // 4)
        replica = Replica(storage)
        while order:
            size = rng.choice((1, 1, 2, 5, 20))
            merged = replica.merge(order[:size], "peer", 0)
            assert replica.wants >= merged.wants
            del order[:size]
            if rng.random() < 0.1:
                replica = Replica(storage)
            if rng.random() < 0.1:
                assert_sound(storage)
                assert set(replica.heads) == judge(blocks_of(storage).values()).heads.keys()
        assert truth_of(storage) == truth
        assert dict(replica.heads) == truth.heads
    store.close()


@pytest.mark.parametrize("seed", range(10))
def test_effects_add_up_to_the_map(seed: int) -> None:
    """The effects of all merges add up to the map."""
    rng = random.Random(seed)
    nodes = random_dag(rng, 40)
    bench, followed = Bench(), {}
    for each in rng.sample(nodes, len(nodes)):
        merged = bench.merge(each)
        for effect in merged.effects:
            assert effect.before != effect.after
            assert followed.pop(effect.key, None) == effect.before
            if effect.after is not None:
                followed[effect.key] = effect.after
        assert followed == bench.storage.winners(bench.storage.chosen.keys())


def test_a_merge_that_fails_changes_nothing_and_can_be_done_again() -> None:
    class Full(MemoryStorage):
        full = True

        def apply(self, changes: Changes, durable: bool) -> None:
            if self.full:
                raise StoreError("no space")
            super().apply(changes, durable)

    bench = Bench()
    bench.storage = Full()
    bench.restart()
    nodes = chain(3)
    with pytest.raises(StoreError):
        bench.merge(*nodes)
    with pytest.raises(StoreError):
        bench.put("/k", b"v")
    assert (bench.heads, bench.replica.wants, bench.replica.incomplete) == (set(), frozenset(), 0)
    bench.storage.full = False
    bench.merge(nodes[2])
    bench.storage.full = True
    with pytest.raises(StoreError):
        bench.merge(nodes[1])
    assert bench.replica.wants == {nodes[1].cid}
    bench.storage.full = False
    bench.merge(*nodes)
    assert bench.heads == {nodes[2].cid}


@pytest.mark.parametrize("remember", [0, 1, 4096])
def test_stores_and_dictionaries_answer_alike(tmp_path: Path, remember: int) -> None:
    """The queries of `ReplicaStorage`, one by one, in the middle of a history, whatever the store has cached."""
    nodes = random_dag(random.Random(3), 50)
    memory, store = MemoryStorage(), open_store(tmp_path / "db", remember)
    for each in nodes[10:]:
        for storage in (memory, store):
            Replica(storage).merge([each], "peer", 0)
    names = [each.cid for each in nodes]
    keys = ["/a", "/a/v", "/ab", "/none"]
    pairs = [(key, name) for key in keys for name in names]
    assert isinstance(store, Store)
    assert store.stored(names) == memory.stored(names)
    assert store.winners(keys) == memory.winners(keys)
    assert set(store.tombstoned(pairs)) == set(memory.tombstoned(pairs))
    for key in keys:
        live = memory.live(key)
        assert set(store.live(key)) == set(live)
        assert set(store.live(key, 2)) == set(memory.live(key, 2))
        for without in ((), live[::2], live):
            assert store.greatest(key, without) == memory.greatest(key, without)
    assert store.load() == memory.load()
    store.close()


def test_the_same_block_written_twice_is_one_event() -> None:
    """Found by seed 10856: a put that is byte for byte one that was deleted elsewhere is deleted with it.

    So it is in Go. Listings carry timestamps and signatures, and own listings heal, so that it is rarely seen.
    """
    one, other = benches(2)
    (gone,) = [one.put("/x", b"same"), one.delete("/x")][1]
    other.merge(gone.node)
    written = other.put("/x", b"same")
    assert written.effects == ()
    assert other.map == one.map == {}
    assert truth_of(other.storage) == truth_of(one.storage)
    # Its next write is above the delete, and stays.
    other.put("/x", b"same")
    one.hear(other)
    assert other.map == one.map == {"/x": b"same"}
