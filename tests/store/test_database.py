"""The store apart from merges: blocks for peers, small things, counts, errors."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from betar_tui.errors import StoreError
from betar_tui.ipld import cid
from betar_tui.replica import Replica, keys
from betar_tui.replica.facts import PeerRow
from betar_tui.store import database, packing
from betar_tui.store.database import Store, open_store
from betar_tui.store.groups import Member
from tests.simulation.lab import node
from tests.simulation.memory import assert_sound
from tests.store.reading import values


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "db")


def test_blocks_by_any_cid_of_their_hash(store: Store) -> None:
    put = node((), [("/k", b"v")])
    Replica(store).merge([put], "peer", 0)
    v1, v0, raw = put.cid, put.cid[2:], cid.RAW + put.cid[4:]
    assert store.blocks([v1, v0, raw]) == {v1: put.data, v0: put.data, raw: put.data}
    assert store.blocks([v0]) == {v0: put.data}
    assert store.blocks([cid.of(b"absent"), cid.of(b"absent")[2:], b"", b"\x01"]) == {}
    assert store.blocks([]) == {}


def test_large_blocks_are_looked_up_in_turn(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOOKUP_BYTES", 10_000)
    nodes = [node((), [(f"/{i}", bytes(3_000))]) for i in range(10)]
    files = {cid.of_raw(data): data for data in (b"%d" % n * 3_000 for n in range(3))}
    Replica(store).merge(nodes, "peer", 0)
    store.put_files(files)
    stored = {each.cid: each.data for each in nodes} | files
    absent = cid.of(b"absent")
    asked = [absent, *stored]
    found: dict[bytes, bytes | None] = {}
    turns = 0
    while asked:
        answer = store.look_up(asked)
        assert answer, "at least one in each turn"
        assert sum(len(data or b"") for data in answer.values()) < 10_000 + 3_100
        found |= answer
        asked = [each for each in asked if each not in answer]
        turns += 1
    assert found == {absent: None} | stored
    assert turns == 4


def test_files_by_any_cid_of_their_hash(store: Store) -> None:
    leaf, file = b"leaf", b"file"
    store.put_files({cid.of_raw(leaf): leaf, cid.of(file): file})
    store.put_files({cid.of_raw(leaf): leaf})
    v1, v0, raw = cid.of(file), cid.of(file)[2:], cid.of_raw(file)
    assert store.blocks([v1, v0, raw]) == {v1: file, v0: file, raw: file}
    assert store.blocks([cid.of_raw(leaf), cid.of(leaf)]) == {cid.of_raw(leaf): leaf, cid.of(leaf): leaf}


def test_a_file_is_not_a_delta(store: Store) -> None:
    """A stored file is not part of the DAG, even if it is the block of a delta."""
    put = node((), [("/k", b"v")])
    store.put_files({put.cid: put.data})
    replica = Replica(store)
    assert replica.missing([put.cid]) == (put.cid,)
    assert replica.merge([put], "peer", 0).nodes == (put,)
    assert store.blocks([put.cid]) == {put.cid: put.data}


def test_more_blocks_than_one_statement_may_name(store: Store) -> None:
    nodes = [node((), [(f"/{i}", b"v")]) for i in range(1300)]
    replica = Replica(store)
    assert len(replica.merge(nodes, "peer", 0).effects) == 1300
    names = [each.cid for each in nodes]
    assert store.blocks(names) == {each.cid: each.data for each in nodes}
    assert replica.missing([*names, cid.of(b"absent")]) == (cid.of(b"absent"),)
    assert replica.merge(nodes, "peer", 0).nodes == ()
    assert_sound(store)


def test_values_below_a_prefix(store: Store) -> None:
    replica = Replica(store)
    names = ["/a", "/a/b", "/a/b/c", "/ab", "/a0", "/a.", "/a/é", "/b"]
    for i, key in enumerate(names):
        tuple(replica.writing({key: b"%d" % i}, (), 1000.25 + i))
    rows = values(store, keys.span("/a"))
    assert [key for key, _, _ in rows] == ["/a/b", "/a/b/c", "/a/é"]
    assert [(winner.height, winner.value, at) for _, winner, at in rows] == [
        (2, b"1", 1001.25),
        (3, b"2", 1002.25),
        (7, b"6", 1006.25),
    ]
    assert len(values(store)) == len(names)
    tuple(replica.writing({}, ["/a/b"], 0))
    assert [key for key, _, _ in values(store, keys.span("/a"))] == ["/a/b/c", "/a/é"]


def test_hostile_keys(store: Store) -> None:
    replica = Replica(store)
    names = ["/nul\0l", "/nul", "/nul\0", "/'; DROP TABLE blocks", "/%", "/_", "/\U0010ffff", "/É", "/é"]
    merged = replica.merge([node((), [(key, key.encode()) for key in names])], "peer", 0)
    assert {each.key for each in merged.effects} == set(names)
    assert {key: winner.value.decode() for key, winner in store.winners(names).items()} == {key: key for key in names}
    tuple(replica.writing({}, ["/nul\0"], 0))
    assert store.winners(names).keys() == set(names) - {"/nul\0"}
    assert_sound(store)


def test_elements_highest_first(store: Store) -> None:
    heights = [3, 1 << 63, 2, (1 << 64) - 1, (1 << 63) - 1, 1, 3]
    versions = [node((), [("/k", b"%d" % i)], (), height) for i, height in enumerate(heights)]
    dead = node((), (), [("/k", versions[0]), ("/k", versions[5])], 1)
    Replica(store).merge([*versions, dead], "peer", 0)
    found = store.elements("/k")
    assert [each.height for each in found] == sorted(heights, reverse=True)
    assert [(each.height, each.value, each.dead) for each in found][3:] == [
        (3, b"6", False),
        (3, b"0", True),
        (2, b"2", False),
        (1, b"5", True),
    ]
    three, one, four, six, two = (versions[i].cid for i in (3, 1, 4, 6, 2))
    assert set(store.live("/k")) == {three, one, four, six, two}
    assert set(store.live("/k", 1 << 63)) == {three, one}
    best = [store.greatest("/k", without) for without in ((), [three], [three, one, four])]
    assert [(each.value, each.cid) for each in best if each] == [(b"3", three), (b"1", one), (b"6", six)]
    assert store.greatest("/k", store.live("/k")) is store.greatest("/none", ()) is None
    assert store.winners(["/k"])["/k"].height == (1 << 64) - 1
    assert store.elements("/none") == []


def test_the_log(store: Store) -> None:
    replica = Replica(store)
    first = node((), [("/k", b"v")], (), (1 << 64) - 1)
    replica.merge([first], "12D3KooWPeer", 5.5)
    tuple(replica.writing({"/x": b"y"}, ["/k"], 7))
    newest, oldest = store.log(10)
    assert (oldest.cid, oldest.height, oldest.at, oldest.via) == (first.cid, (1 << 64) - 1, 5.5, "12D3KooWPeer")
    assert (oldest.size, oldest.data) == (len(first.data), first.data)
    assert (newest.at, newest.via) == (7.0, "")
    assert store.log(1) == [newest]


def test_totals_without_counting(store: Store, tmp_path: Path) -> None:
    replica = Replica(store)
    for i in range(5):
        tuple(replica.writing({"/k": b"%d" % i}, (), 0))
    (deleted,) = tuple(replica.writing({}, ["/k"], 0))
    replica.merge([deleted.node], "peer", 0)
    replica.merge([node((), (), [("/k", cid.of(b"absent"))]), node((), (), [("/k", cid.of(b"absent"))], 2)], "peer", 0)
    totals = store.totals()
    assert (totals.blocks, totals.tombstones) == (8, 6)
    assert totals.bytes > 4096
    store.close()
    again = open_store(tmp_path / "db")
    assert (again.totals().blocks, again.totals().tombstones) == (8, 6)
    again.close()


def test_peers(store: Store) -> None:
    rows = [PeerRow(f"peer{i}", (f"/ip4/10.0.0.{i}/tcp/1", "/dns4/é/tcp/2"), i + 0.5, i != 3, i) for i in range(4)]
    store.change_peers(rows)
    store.change_peers([PeerRow("peer1", (), 9.0)], ["peer0", "unknown"])
    assert store.peers() == [PeerRow("peer1", (), 9.0), rows[3], rows[2]]


def test_own_documents_and_settings(store: Store, tmp_path: Path) -> None:
    store.put_own({"/b": "2", "/a": "1"})
    store.put_own({"/a": "é"})
    store.put_own({})
    store.drop_own(["/b", "/none"])
    store.put_setting("dialect", "documents")
    store.put_setting("dialect", "betar-go")
    assert store.setting("none") is None
    store.close()
    again = open_store(tmp_path / "db")
    assert (dict(again.own()), again.setting("dialect")) == ({"/a": "é"}, "betar-go")
    again.close()


def test_a_closed_store_says_so(store: Store) -> None:
    replica = Replica(store)
    store.close()
    for act in (store.load, store.check, store.peers, lambda: tuple(replica.writing({"/k": b"v"}, (), 0))):
        with pytest.raises(StoreError):
            act()
    with pytest.raises(StoreError):
        store.put_setting("a", "b")


def test_many_threads_may_read_while_one_writes(store: Store) -> None:
    replica = Replica(store)
    errors: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                # One transaction per write: both or none.
                assert len(values(store)) % 2 == 0
                assert store.totals().blocks >= 0
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for each in readers:
        each.start()
    try:
        for i in range(100):
            tuple(replica.writing({f"/a{i}": b"v", f"/b{i}": b"v"}, (), 0))
    finally:
        done.set()
        for each in readers:
            each.join()
    assert errors == []


def test_a_store_that_is_reserved_lets_no_other_thread_in(store: Store) -> None:
    give_back = store.reserve()
    assert give_back is not None
    counted = list[int]()
    other = threading.Thread(target=lambda: counted.append(store.totals().blocks))
    other.start()
    Replica(store).merge([node((), [("/k", b"v")])], "peer", 0)  # this thread goes on
    other.join(0.1)
    assert counted == []
    give_back()
    other.join()
    assert counted == [1]


def test_a_store_that_another_thread_uses_is_not_reserved(store: Store) -> None:
    at_it, go_on = threading.Event(), threading.Event()

    def use() -> None:
        with store._reading():
            at_it.set()
            go_on.wait()

    other = threading.Thread(target=use)
    other.start()
    at_it.wait()
    try:
        assert store.reserve() is None
    finally:
        go_on.set()
        other.join()
    give_back = store.reserve()
    assert give_back is not None
    give_back()


def test_keys_that_no_delta_has_are_told_unless_another_thread_uses_the_store(store: Store) -> None:
    put = node((), [("/old", b"v"), ("/gone", b"v")])
    removed = node([put], tombstones=[("/gone", put.cid), ("/removed", put.cid)], priority=2)
    Replica(store).merge([put, removed], "peer", 0)
    assert store.unheard_of({"/old", "/gone", "/removed", "/new", "/newer"}) == {"/new", "/newer"}
    told: list[object] = []
    busy = threading.Thread(target=lambda: told.append(store.unheard_of({"/new"})))
    give_back = store.reserve()
    assert give_back is not None
    try:
        busy.start()
        busy.join()
    finally:
        give_back()
    assert told == [()]


def test_packing_while_others_read_and_write(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a group is compressed the store is free; a value that counts again meanwhile keeps its block plain."""
    monkeypatch.setattr(packing, "GROUP", 3)
    replica = Replica(store)
    nodes = [node((), [("/k", b"%d" % i)], (), i + 1) for i in range(4)]
    replica.merge(nodes, "peer", 0)
    make = packing.make

    def interrupted(members: list[tuple[int, Member]]) -> packing.Packed:
        def work() -> None:
            replica.merge([node((), (), [("/k", nodes[3])], 9)], "peer", 0)
            assert store.winners(["/k"])["/k"].value == b"2"

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        return make(members)

    monkeypatch.setattr(packing, "make", interrupted)
    assert store.pack(3, keep=0) == 0
    monkeypatch.setattr(packing, "make", make)
    assert store.pack(3, keep=0) == 3
    assert store.stored([nodes[2].cid, nodes[3].cid]) == {nodes[2].cid: True, nodes[3].cid: True}
    assert store._db.execute("SELECT n FROM blocks").fetchall() == [(3,), (5,)]
    assert_sound(store, [row.data for row in store.log(10)])


def test_announced_heads(tmp_path: Path) -> None:
    """Stored with their authors and time, for the next run too; deleted when they are old."""
    one, two, three = (b"\x01\x70\x12\x20" + bytes([n]) * 32 for n in (3, 2, 1))
    store = open_store(tmp_path / "db")
    assert store.announced(3000, 3000) == {}
    store.change_announced({one: {"bob", "alice"}, two: {"bob"}}, (), 1000)
    store.change_announced({three: {"bob"}, one: {"alice"}}, [two], 2000)
    store.close()
    store = open_store(tmp_path / "db")
    assert list(store.announced(3000, 2000).items()) == [(one, ["alice"]), (three, ["bob"])]
    assert store.announced(3000, 1999) == {three: ["bob"]}
    assert store.announced(3000, 3000) == {three: ["bob"]}
    assert store.announced(1999, 3000) == {}
    store.close()
