"""Old history is packed, with no difference but the space that it takes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from betar_tui.errors import StoreError
from betar_tui.ipld import cid
from betar_tui.replica import DagNode, Replica
from betar_tui.store import history, packing
from betar_tui.store.database import Store, open_store
from betar_tui.store.groups import Group
from tests.simulation.crashing import open_crashing, wreck
from tests.simulation.lab import node, random_dag
from tests.simulation.memory import Crash, assert_sound, truth_of
from tests.store.reading import values


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "db", cached_keys=0)  # every look-up reads the database
    yield store
    store.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of three blocks."""
    monkeypatch.setattr(packing, "GROUP", 3)


def pack_all(store: Store, keep: int = 0) -> int:
    total = 0
    while packed := store.pack(3, keep):
        total += packed
    return total


def everything(store: Store) -> dict[bytes, bytes]:
    return {row.cid: row.data for row in store.log(100_000)}


def said(store: Store) -> list[object]:
    """All that a store returns of its history."""
    keys = sorted({key for (key,) in store._db.execute("SELECT key FROM keys")})
    return [
        store.log(100_000),
        values(store),
        store.winners(keys),
        {key: store.elements(key) for key in keys},
        {key: sorted(store.live(key)) for key in keys},
        {key: store.greatest(key, frozenset()) for key in keys},
        store.load(),
    ]


def chain(count: int, keys: int, start: int = 0, below: DagNode | None = None) -> list[DagNode]:
    nodes = [] if below is None else [below]
    for i in range(start, start + count):
        nodes.append(node(nodes[-1:], [(f"/{i % keys}", b"value %d" % i)], (), i + 1))
    return nodes if below is None else nodes[1:]


def is_packed(store: Store, each: DagNode) -> bool:
    return store._db.execute("SELECT 1 FROM blocks WHERE digest = ?", (each.cid[4:],)).fetchone() is None


# --- which blocks -------------------------------------------------------------------------------


def test_served_byte_for_byte(store: Store) -> None:
    nodes = chain(3000, 20)
    Replica(store).merge(nodes, "peer", 7.25)
    before = said(store)
    assert [store.pack(256), store.pack(300), store.pack(256)] == [256, 256, 256]
    assert store.pack(256) == 0
    totals = store.totals()
    assert (totals.blocks, totals.packed, totals.groups) == (3000, 768, 3)
    assert totals.bytes_before == sum(len(each.data) for each in nodes[:768])
    assert totals.bytes_packed < totals.bytes_before * 0.8
    assert said(store) == before
    for each in nodes:
        v0, raw = each.cid[2:], cid.RAW + each.cid[4:]
        assert store.blocks([v0]) == {v0: each.data}
        assert store.blocks([raw, each.cid]) == {raw: each.data, each.cid: each.data}
    names = [each.cid for each in nodes]
    assert store.blocks(names) == {each.cid: each.data for each in nodes}
    assert store.stored([*names, cid.of(b"absent")]) == dict.fromkeys(names, True)
    assert Replica(store).merge(nodes, "other", 9).nodes == ()
    assert_sound(store, everything(store).values())
    assert store.check() == "ok"


def test_what_is_not_packed(store: Store, small: None) -> None:
    shown = node((), [("/shown", b"v")])
    lost = node([cid.of(b"lost")], [("/a", b"0")])
    waiting = node([lost], [("/a", b"1")], (), 2)
    first, *others = chain(9, 1)
    Replica(store).merge([shown, lost, waiting, first, *others], "peer", 0)
    assert store.pack(100, keep=9) == 0
    assert store.pack(100, keep=5) == 3
    assert pack_all(store, keep=0) == 3
    packed = {first.cid, *(each.cid for each in others[:5])}
    assert {each.cid for each in (shown, lost, waiting, first, *others) if is_packed(store, each)} == packed


def test_superseded_later(store: Store, small: None) -> None:
    """A block that packing skipped because a key showed it is packed later, without a search."""
    replica = Replica(store)
    nodes = chain(9, 9)
    replica.merge(nodes, "peer", 0)
    assert pack_all(store) == 0
    later = chain(9, 9, 9, nodes[-1])
    replica.merge(later[:2], "peer", 0)
    assert pack_all(store) == 0
    replica.merge(later[2:], "peer", 0)
    assert pack_all(store) == 9
    assert all(is_packed(store, each) for each in nodes)
    assert not any(is_packed(store, each) for each in later)
    assert_sound(store, everything(store).values())


def test_completed_later(store: Store, small: None) -> None:
    replica = Replica(store)
    nodes = chain(9, 1)
    replica.merge(nodes[1:], "peer", 0)
    assert pack_all(store) == 0
    replica.merge(nodes[:1], "peer", 0)
    assert pack_all(store) == 6
    assert replica.heads == {nodes[-1].cid: 9}
    assert_sound(store, everything(store).values())


def test_a_block_due_that_is_shown_again(store: Store, small: None) -> None:
    replica = Replica(store)
    old, new = node((), [("/k", b"old")]), node((), [("/k", b"new")], (), 2)
    replica.merge([old, new], "peer", 0)
    replica.merge(chain(3, 3), "peer", 0)
    store.pack(3, keep=0)  # too few for a group
    replica.merge([node([new], (), [("/k", new)], 3)], "peer", 0)
    assert pack_all(store) == 0
    assert store.winners(["/k"])["/k"].value == b"old"
    replica.merge([node([old], [("/k", b"newer"), ("/0", b"z"), ("/1", b"z")], (), 9)], "peer", 0)
    assert pack_all(store) == 3
    assert_sound(store, everything(store).values())


def test_many_shown_blocks_do_not_end_the_search(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "GROUP", 3)
    monkeypatch.setattr(packing, "_EXAMINED", 5)
    nodes = chain(40, 40)
    Replica(store).merge([*nodes, *chain(4, 1, 40, nodes[-1])], "peer", 0)
    assert store.pack(3, keep=0) == 3


def test_nothing_due_costs_a_few_rows(store: Store) -> None:
    Replica(store).merge(chain(3000, 20), "peer", 0)
    while store.pack(256):
        pass
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    store._db.set_progress_handler(count, 100)
    assert store.pack(256) == 0
    store._db.set_progress_handler(None, 0)
    assert steps < 40


# --- packed blocks count as before -------------------------------------------------------------


def test_a_packed_value_counts_again(store: Store, small: None) -> None:
    replica = Replica(store)
    nodes = [node((), [("/k", b"%d" % i), (f"/{i}", b"v")], (), i + 1) for i in range(7)]
    covers = [node((), [(f"/{i}", b"w")], (), 9) for i in range(7)]
    replica.merge([*nodes, *covers], "peer", 5.5)
    assert pack_all(store, keep=7) == 6
    top = node([nodes[-1]], (), [("/k", nodes[-1])], 20)
    (effect,) = replica.merge([top], "peer", 6).effects
    assert effect.after is not None
    assert (effect.after.height, effect.after.value, effect.after.cid) == (6, b"5", nodes[5].cid)
    assert store.winners(["/k"]) == {"/k": effect.after}
    assert next(row for row in values(store) if row[0] == "/k") == ("/k", effect.after, 5.5)
    assert [(each.value, each.dead) for each in store.elements("/k")][:2] == [(b"6", True), (b"5", False)]
    assert_sound(store, everything(store).values())
    # It stays packed; a new value supersedes it as any other.
    assert is_packed(store, nodes[5])
    tuple(replica.writing({"/k": b"new"}, (), 0))
    pack_all(store)
    assert store.winners(["/k"])["/k"].value == b"new"
    assert_sound(store, everything(store).values())


def test_a_delete_names_packed_elements(store: Store, small: None) -> None:
    replica = Replica(store)
    nodes = chain(20, 1)
    replica.merge(nodes, "peer", 0)
    assert pack_all(store) == 18
    (deleted,) = tuple(replica.writing({}, ["/0"], 0))
    assert {block for _, block in deleted.node.delta.tombstones} == {each.cid for each in nodes}
    assert store.live("/0") == []
    assert store.winners(["/0"]) == {}
    assert all(each.dead for each in store.elements("/0"))
    assert len(store.tombstoned([("/0", each.cid) for each in nodes])) == 20
    pack_all(store)
    assert_sound(store, everything(store).values())


def test_the_same_short_name(store: Store, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight bytes can be made to agree; here they all do, of blocks and of keys."""
    monkeypatch.setattr(history, "short", lambda digest: 7)
    monkeypatch.setattr("betar_tui.store.merging.short", lambda digest: 7)
    monkeypatch.setattr("betar_tui.store.merging.short_key", lambda key: 7)
    monkeypatch.setattr("betar_tui.store.database.short_key", lambda key: 7)
    replica = Replica(store)
    nodes = random_dag(random.Random(5), 40)
    for i in range(0, 40, 4):
        replica.merge(nodes[i : i + 4], "peer", 0)
        store.pack(3, keep=0)
    assert store.totals().packed > 9
    assert store.stored([cid.of(b"absent")]) == {}
    assert store.blocks([cid.of(b"absent"), nodes[0].cid]) == {nodes[0].cid: nodes[0].data}
    assert everything(store) == {each.cid: each.data for each in nodes}
    assert_sound(store, everything(store).values())


def test_large_blocks(store: Store, small: None) -> None:
    nodes = [
        node((), [("/k", random.Random(i).randbytes(size))], (), i + 1) for i, size in enumerate((2_000_000, 9) * 3)
    ]
    Replica(store).merge([*nodes, *chain(2, 1)], "peer", 0)
    assert pack_all(store) > 3
    assert store.blocks([each.cid for each in nodes]) == {each.cid: each.data for each in nodes}


def test_walking_history_unpacks_a_group_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = chain(3000, 20)
    Replica(store).merge(nodes, "peer", 0)
    while store.pack(1000):
        pass
    opened = []
    monkeypatch.setattr(history, "Group", lambda data: opened.append(1) or Group(data))
    for each in reversed(nodes):
        assert store.blocks([each.cid]) == {each.cid: each.data}
    assert len(opened) == 3


# --- the file -----------------------------------------------------------------------------------


def test_the_file_shrinks(store: Store, tmp_path: Path) -> None:
    nodes = chain(6000, 20)
    Replica(store).merge(nodes, "peer", 0)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    while store.pack(1000):
        pass
    assert store._db.execute("PRAGMA freelist_count").fetchone()[0] == 0
    assert store._db.execute("PRAGMA page_count").fetchone()[0] < pages * 0.85
    assert (tmp_path / "db-wal").stat().st_size <= 256 << 10
    assert (tmp_path / "db").stat().st_size == store._db.execute("PRAGMA page_count").fetchone()[0] * 4096


def test_the_log_is_not_shortened_while_somebody_reads(store: Store, tmp_path: Path) -> None:
    """With the store's lock held, nobody may be waited for, not even the five seconds of other statements."""
    log = tmp_path / "db-wal"
    statements: list[str] = []
    with store.readers.reading() as (db, _):
        db.execute("SELECT count(*) FROM keys").fetchone()
        Replica(store).merge(chain(600, 20), "peer", 0)
        Replica(store).merge(chain(700, 20), "peer", 0)
        store._db.set_trace_callback(statements.append)
        assert store.pack(1000) == 0
        store._db.set_trace_callback(None)
        assert log.stat().st_size > 256 << 10
    assert statements[-3:] == [
        "PRAGMA busy_timeout = 0",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA busy_timeout = 5000",
    ]
    assert store._db.execute("PRAGMA busy_timeout").fetchone() == (5000,)
    assert store.pack(1000) == 0
    assert log.stat().st_size == 0


@pytest.mark.parametrize("damage", ["data = x'ff'", "data = substr(data, 1, 60)", "data = x''", "g = 99"])
def test_a_damaged_group(store: Store, small: None, damage: str) -> None:
    nodes = chain(9, 1)
    replica = Replica(store)
    replica.merge(nodes, "peer", 0)
    assert pack_all(store) == 6
    store._db.execute(f"UPDATE groups SET {damage} WHERE g = 0")
    for act in (
        lambda: store.blocks([nodes[0].cid]),
        lambda: store.elements("/0"),
        lambda: store.log(100),
        lambda: tuple(replica.writing({}, ["/0"], 0)),
        lambda: replica.merge([node([nodes[0]], (), [("/0", nodes[0])], 99)], "peer", 0),
    ):
        with pytest.raises(StoreError, match=r"packed blocks are (damaged|missing).*doctor"):
            act()
    assert "group 0" in store.check() or damage == "g = 99"
    assert store.blocks([nodes[5].cid, nodes[8].cid]) == {each.cid: each.data for each in (nodes[5], nodes[8])}


@pytest.mark.parametrize("after", [False, True], ids=["before or amid", "after"])
def test_a_crash_at_every_statement_of_packing(tmp_path: Path, small: None, after: bool) -> None:
    path = tmp_path / "0.db"
    store = open_store(path)
    Replica(store).merge([*random_dag(random.Random(3), 40), *chain(20, 2)], "peer", 0)
    before, truth = said(store), truth_of(store)
    store.close()
    statement = deaths = 0
    outcomes = set()
    while True:
        store, db = open_crashing(path)
        packed = store.totals().packed
        db.left, db.after = db.done + statement, after
        try:
            now = store.pack(9, keep=4)
        except Crash:
            deaths += 1
            statement += 1
            path = wreck(path, db)
            store = open_store(path)
            outcomes.add(store.totals().packed - packed)
            assert said(store) == before
            assert store.check() == "ok"
            assert store.totals().packed == store._db.execute("SELECT count(*) FROM packed").fetchone()[0]
            assert store.totals().blocks == 60
            store.close()
            continue
        db.left = None
        store.close()
        statement = 0
        if not now:
            break
    assert deaths > 60
    assert outcomes == ({0, 9, 6} if after else {0}) or (after and {0, 9} <= outcomes)
    store = open_store(path)
    assert store.totals().packed > 12
    assert_sound(store, everything(store).values())
    assert truth_of(store) == truth
    store.close()


def test_a_full_disk(store: Store, small: None) -> None:
    nodes = [node((), [("/k", random.Random(i).randbytes(9000))], (), i + 1) for i in range(9)]
    Replica(store).merge(nodes, "peer", 0)
    before = said(store)
    store._db.execute(f"PRAGMA max_page_count = {store._db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StoreError, match=r"full.*nothing was changed"):
        pack_all(store)
    assert not store._db.in_transaction
    assert said(store) == before
    assert store.totals().packed == 0
    store._db.execute("PRAGMA max_page_count = 100000")
    assert pack_all(store) == 6
    assert said(store) == before
    assert store.check() == "ok"


# --- packed and not -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_a_packed_store_says_what_an_unpacked_one_does(tmp_path: Path, small: None, seed: int) -> None:
    """The same merges, writes and deletes on both, with slices of packing and restarts in between on one."""
    rng, remember = random.Random(seed), (0, 2, 4096)[seed % 3]
    plain, packed = open_store(tmp_path / "plain", cached_keys=2), open_store(tmp_path / "packed", remember)
    one, other = Replica(plain), Replica(packed)
    keys = ("/a", "/a/v", "/ab")
    dag = random_dag(rng, 70)
    waiting = rng.sample(dag, len(dag))
    if seed % 2:
        waiting.sort(key=dag.index)
    while waiting:
        act = rng.random()
        if act < 0.6:
            nodes = [waiting.pop(0) for _ in range(min(len(waiting), rng.choice((1, 1, 3, 8))))]
            assert one.merge(nodes, "peer", rng.random()).effects == other.merge(nodes, "peer", 0).effects
        elif act < 0.75:
            puts = {key: rng.choice((b"1", b"22")) for key in rng.sample(keys, rng.choice((0, 1, 2)))}
            deletes = rng.sample(keys, rng.choice((0, 0, 1)))
            assert tuple(one.writing(puts, deletes, 0)) == tuple(other.writing(puts, deletes, 0))
        elif act < 0.95:
            packed.pack(rng.choice((1, 3, 9)), keep=rng.choice((0, 3, 10)))
        else:
            packed.close()
            packed = open_store(tmp_path / "packed", remember)
            other = Replica(packed)
        assert (dict(one.heads), one.wants) == (dict(other.heads), other.wants)
        assert plain.winners(keys) == packed.winners(keys)
    pack_all(packed)
    assert packed.totals().packed > 9
    names = list(everything(plain))
    assert packed.blocks(names) == plain.blocks(names)
    assert packed.stored(names) == plain.stored(names)
    pairs = [(key, name) for key in keys for name in names]
    assert set(packed.tombstoned(pairs)) == set(plain.tombstoned(pairs))
    assert said(packed)[2:] == said(plain)[2:]
    assert [row.cid for row in packed.log(30)] == [row.cid for row in plain.log(30)]
    assert assert_sound(packed, everything(packed).values()) == truth_of(plain)
    plain.close()
    packed.close()
