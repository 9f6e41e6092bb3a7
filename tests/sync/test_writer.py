"""The replica behind its lock: where jobs are done, what is told of, when, and what of a job that fails."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
import trio

from betar_tui.errors import StoreError
from betar_tui.replica import Applied, DagNode, Replica
from betar_tui.replica.delta import MAX_PRIORITY
from betar_tui.replica.facts import Changes
from betar_tui.sync.writer import RawBlock, ReplicaWriter
from tests.simulation.lab import node
from tests.simulation.memory import MemoryPort


class ReplicaStorage(MemoryPort):
    """Remembers nothing more once it is full."""

    room = 99
    refused_in: threading.Thread | None = None

    def apply(self, changes: Changes, durable: bool) -> None:
        if not self.room:
            self.refused_in = threading.current_thread()
            raise StoreError("the disk is full")
        self.room -= 1
        super().apply(changes, durable)


@pytest.fixture
def port() -> ReplicaStorage:
    return ReplicaStorage()


@pytest.fixture
def writer(port: ReplicaStorage) -> Iterator[ReplicaWriter]:
    writer = ReplicaWriter(Replica(port), lambda: 1.0)
    yield writer
    writer.close()


def _block(node: DagNode, peer: str) -> RawBlock:
    return RawBlock(node.cid, node.data, peer, peer)


async def test_a_head_is_named_no_sooner_than_its_delta_was_told_of(writer: ReplicaWriter) -> None:
    """Whoever is told keeps the block at hand: a head that is announced before that comes without it."""
    written, go_on = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()
    heads_when_told = []

    def prepare(applied: Applied) -> bytes:
        token.run_sync_soon(written.set)
        go_on.wait()
        return applied.nodes[0].cid

    writer.listen(prepare, lambda name: heads_when_told.append((name, dict(writer.heads))))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.write, {"/agents/a": b"1"})
        await written.wait()
        before = dict(writer.replica.heads), dict(writer.heads)
        go_on.set()
    ((name, heads),) = heads_when_told
    assert before == ({name: 1}, {})
    assert heads == {name: 1} == writer.heads == writer.replica.heads


async def test_a_listener_that_fails_stops_nobody_else(writer: ReplicaWriter, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise ValueError("broken")

    told = list[int]()
    writer.listen(fail, lambda _: told.append(0))
    writer.listen(lambda applied: applied, fail)
    stop = writer.listen(lambda applied: len(applied.nodes), told.append)
    await writer.write({"/agents/a": b"1"})
    assert told == [1]
    assert [record.getMessage() for record in caplog.records] == [
        "a listener could not prepare a change",
        "a listener could not take a change",
    ]
    stop()
    await writer.write({"/agents/b": b"1"})
    assert told == [1]


async def test_what_was_merged_before_a_job_failed_is_told_of(writer: ReplicaWriter, port: ReplicaStorage) -> None:
    told = list[Applied]()
    writer.listen(lambda applied: applied, told.append)
    one, other = node((), [("/agents/a", b"1")], (), 1), node((), [("/agents/b", b"1")], (), 1)
    port.room = 1
    with pytest.raises(StoreError, match="full"):
        await writer.merge([_block(one, "alice"), _block(other, "bob")])
    assert [each.nodes for each in told] == [(one,)]
    assert writer.heads == writer.replica.heads == {one.cid: 1}


async def test_what_was_written_before_a_job_failed_is_told_of(writer: ReplicaWriter, port: ReplicaStorage) -> None:
    told = list[Applied]()
    writer.listen(lambda applied: applied, told.append)
    port.room = 1
    with pytest.raises(StoreError, match="full"):
        await writer.write({f"/agents/{n}": bytes([1]) * 400_000 for n in range(3)})
    assert len(told) == 1
    assert writer.heads == writer.replica.heads == {told[0].nodes[0].cid: 1}


async def test_what_comes_through_another_peer_in_the_same_batch_is_not_wanted(writer: ReplicaWriter) -> None:
    root = node((), [("/agents/a", b"1")], (), 1)
    parent = node([root], [("/agents/a", b"2")], (), 2)
    child = node([parent], [("/agents/a", b"3")], (), 3)
    outcome = await writer.merge([_block(child, "alice"), _block(parent, "bob")])
    assert {peer: names for peer, names in outcome.wants.items() if names} == {"bob": (root.cid,)}
    assert writer.replica.wants == {root.cid}


async def test_single_puts_in_a_row_are_done_in_the_loops_thread_and_nothing_else(port: ReplicaStorage) -> None:
    port.room, free, here = 10_000, True, list[bool]()
    writer = ReplicaWriter(Replica(port), lambda: 1.0, lambda: _nothing if free else None)
    writer.listen(lambda _: here.append(threading.current_thread() is threading.main_thread()), lambda _: None)
    row = {"/agents/a": b"1"}

    async def in_row(puts: dict[str, bytes], deletes: tuple[str, ...] = ()) -> bool:
        """Whether a write is done in the loop's thread, straight after a put that is: the machine may be slow."""
        with trio.fail_after(10):
            while True:
                await writer.write(row)
                here.clear()
                await writer.write(row)
                if here == [True]:
                    here.clear()
                    await writer.write(puts, deletes)
                    return here.pop()

    try:
        assert any([await in_row({"/agents/b": b"1"}) for _ in range(20)])
        assert not any([await in_row({"/agents/b": b"1", "/agents/c": b"1"}) for _ in range(5)])
        assert not any([await in_row({"/agents/b": b"1"}, ("/agents/c",)) for _ in range(5)])
        assert not any([await in_row({}, ("/agents/a",)) for _ in range(5)])
        await writer.merge_nodes([node((), [("/agents/a", b"1")], (), MAX_PRIORITY)], "alice")
        # Each removes what is there, however much that is.
        assert not any([await _row_of(writer, row, here) for _ in range(5)])
        free = False
        assert not await _row_of(writer, row, here)
    finally:
        writer.close()


async def test_a_look_that_fails_gives_the_store_back(port: ReplicaStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or no other thread would ever get it again."""
    held, looks = 0, 0

    def reserve() -> Callable[[], None]:
        nonlocal held
        held += 1
        return give_back

    def give_back() -> None:
        nonlocal held
        held -= 1

    def fail(key: str) -> bool:
        nonlocal looks
        looks += 1
        assert held == 1
        raise StoreError("the disk is broken")

    writer = ReplicaWriter(Replica(port), lambda: 1.0, reserve)
    monkeypatch.setattr(writer.replica, "put_removes", fail)
    try:
        with trio.fail_after(10):
            while not looks:  # the machine may be slow
                await writer.write({"/agents/a": b"1"})
        assert held == 0
    finally:
        writer.close()


async def test_without_a_word_to_the_contrary_no_put_is_done_in_the_loops_thread(writer: ReplicaWriter) -> None:
    here = list[bool]()
    writer.listen(lambda _: here.append(threading.current_thread() is threading.main_thread()), lambda _: None)
    assert not await _row_of(writer, {"/agents/a": b"1"}, here)


async def _row_of(writer: ReplicaWriter, puts: dict[str, bytes], here: list[bool]) -> bool:
    """Whether any of some puts in a row was done in the loop's thread."""
    here.clear()
    for _ in range(20):
        await writer.write(puts)
    return any(here)


def _nothing() -> None:
    pass


async def test_a_put_in_a_row_that_fails_is_told_of_no_more_than_any_other(port: ReplicaStorage) -> None:
    told = list[Applied]()
    writer = ReplicaWriter(Replica(port), lambda: 1.0, lambda: _nothing)
    writer.listen(lambda applied: applied, told.append)
    try:
        with trio.fail_after(10):
            while port.refused_in is not threading.main_thread():  # the machine may be slow
                port.room = 5
                for n in range(6):
                    with nullcontext() if n < 5 else pytest.raises(StoreError, match="full"):
                        await writer.write({"/agents/a": b"%d" % n})
                assert len(told) % 5 == 0
                assert writer.heads == writer.replica.heads == {told[-1].nodes[0].cid: len(told)}
        port.room = 1
        await writer.write({"/agents/a": b"again"})
        assert writer.heads == {told[-1].nodes[0].cid: len(told)}
    finally:
        writer.close()


async def test_what_was_to_be_merged_is_let_go_when_that_fails(writer: ReplicaWriter, port: ReplicaStorage) -> None:
    """At once: the collector may be minutes away, and there are megabytes in it."""

    class Name(str):
        """One that can be watched, as a block of bytes cannot."""

    async def fail() -> weakref.ref[Name]:
        alice = Name("alice")
        with pytest.raises(StoreError, match="full"):
            await writer.merge([_block(node((), [("/agents/a", b"1")], (), 1), alice)])
        return weakref.ref(alice)

    port.room = 0
    gc.disable()
    try:
        gone = await fail()
        await writer.merge([])
        assert gone() is None
    finally:
        gc.enable()
