"""The replica behind its lock: the threads of jobs, the order of deliveries, and jobs that fail."""

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
    """Stores nothing more once it is full."""

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


async def test_a_head_is_not_visible_before_its_delta_is_delivered(writer: ReplicaWriter) -> None:
    """The listener keeps the block to broadcast: a head that is announced earlier comes without it."""
    written, go_on = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()
    heads_when_delivered = []

    def prepare(applied: Applied) -> bytes:
        token.run_sync_soon(written.set)
        go_on.wait()
        return applied.nodes[0].cid

    writer.listen(prepare, lambda name: heads_when_delivered.append((name, dict(writer.heads))))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.write, {"/agents/a": b"1"})
        await written.wait()
        before = dict(writer.replica.heads), dict(writer.heads)
        go_on.set()
    ((name, heads),) = heads_when_delivered
    assert before == ({name: 1}, {})
    assert heads == {name: 1} == writer.heads == writer.replica.heads


async def test_a_listener_that_fails_does_not_stop_others(
    writer: ReplicaWriter, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise ValueError("broken")

    delivered = list[int]()
    writer.listen(fail, lambda _: delivered.append(0))
    writer.listen(lambda applied: applied, fail)
    stop = writer.listen(lambda applied: len(applied.nodes), delivered.append)
    await writer.write({"/agents/a": b"1"})
    assert delivered == [1]
    assert [record.getMessage() for record in caplog.records] == [
        "a listener could not prepare a change",
        "a listener could not take a change",
    ]
    stop()
    await writer.write({"/agents/b": b"1"})
    assert delivered == [1]


async def test_changes_merged_before_a_job_failed_are_delivered(writer: ReplicaWriter, port: ReplicaStorage) -> None:
    delivered = list[Applied]()
    writer.listen(lambda applied: applied, delivered.append)
    one, other = node((), [("/agents/a", b"1")], (), 1), node((), [("/agents/b", b"1")], (), 1)
    port.room = 1
    with pytest.raises(StoreError, match="full"):
        await writer.merge([_block(one, "alice"), _block(other, "bob")])
    assert [each.nodes for each in delivered] == [(one,)]
    assert writer.heads == writer.replica.heads == {one.cid: 1}


async def test_changes_written_before_a_job_failed_are_delivered(writer: ReplicaWriter, port: ReplicaStorage) -> None:
    delivered = list[Applied]()
    writer.listen(lambda applied: applied, delivered.append)
    port.room = 1
    with pytest.raises(StoreError, match="full"):
        await writer.write({f"/agents/{n}": bytes([1]) * 400_000 for n in range(3)})
    assert len(delivered) == 1
    assert writer.heads == writer.replica.heads == {delivered[0].nodes[0].cid: 1}


async def test_a_block_of_another_peer_in_the_same_batch_is_not_wanted(writer: ReplicaWriter) -> None:
    root = node((), [("/agents/a", b"1")], (), 1)
    parent = node([root], [("/agents/a", b"2")], (), 2)
    child = node([parent], [("/agents/a", b"3")], (), 3)
    outcome = await writer.merge([_block(child, "alice"), _block(parent, "bob")])
    assert {peer: names for peer, names in outcome.wants.items() if names} == {"bob": (root.cid,)}
    assert writer.replica.wants == {root.cid}


async def test_only_a_streak_of_single_puts_runs_in_the_loops_thread(port: ReplicaStorage) -> None:
    port.room, free, here = 10_000, True, list[bool]()
    writer = ReplicaWriter(Replica(port), lambda: 1.0, lambda: _nothing if free else None)
    writer.listen(lambda _: here.append(threading.current_thread() is threading.main_thread()), lambda _: None)
    row = {"/agents/a": b"1"}

    async def in_row(puts: dict[str, bytes], deletes: tuple[str, ...] = ()) -> bool:
        """Whether a write runs in the loop's thread, directly after a put that did: the machine may be slow."""
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
        # Each removes the present versions, perhaps many.
        assert not any([await _row_of(writer, row, here) for _ in range(5)])
        free = False
        assert not await _row_of(writer, row, here)
    finally:
        writer.close()


async def test_a_failed_check_releases_the_store(port: ReplicaStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or no other thread would ever get it again."""
    reserved, looks = 0, 0

    def reserve() -> Callable[[], None]:
        nonlocal reserved
        reserved += 1
        return release

    def release() -> None:
        nonlocal reserved
        reserved -= 1

    def fail(key: str) -> bool:
        nonlocal looks
        looks += 1
        assert reserved == 1
        raise StoreError("the disk is broken")

    writer = ReplicaWriter(Replica(port), lambda: 1.0, reserve)
    monkeypatch.setattr(writer.replica, "put_removes", fail)
    try:
        with trio.fail_after(10):
            while not looks:  # the machine may be slow
                await writer.write({"/agents/a": b"1"})
        assert reserved == 0
    finally:
        writer.close()


async def test_by_default_no_put_runs_in_the_loops_thread(writer: ReplicaWriter) -> None:
    here = list[bool]()
    writer.listen(lambda _: here.append(threading.current_thread() is threading.main_thread()), lambda _: None)
    assert not await _row_of(writer, {"/agents/a": b"1"}, here)


async def _row_of(writer: ReplicaWriter, puts: dict[str, bytes], here: list[bool]) -> bool:
    """Whether any of a streak of puts ran in the loop's thread."""
    here.clear()
    for _ in range(20):
        await writer.write(puts)
    return any(here)


def _nothing() -> None:
    pass


async def test_a_failed_put_of_a_streak_is_not_delivered(port: ReplicaStorage) -> None:
    delivered = list[Applied]()
    writer = ReplicaWriter(Replica(port), lambda: 1.0, lambda: _nothing)
    writer.listen(lambda applied: applied, delivered.append)
    try:
        with trio.fail_after(10):
            while port.refused_in is not threading.main_thread():  # the machine may be slow
                port.room = 5
                for n in range(6):
                    with nullcontext() if n < 5 else pytest.raises(StoreError, match="full"):
                        await writer.write({"/agents/a": b"%d" % n})
                assert len(delivered) % 5 == 0
                assert writer.heads == writer.replica.heads == {delivered[-1].nodes[0].cid: len(delivered)}
        port.room = 1
        await writer.write({"/agents/a": b"again"})
        assert writer.heads == {delivered[-1].nodes[0].cid: len(delivered)}
    finally:
        writer.close()


async def test_a_batch_that_cannot_be_merged_is_freed(writer: ReplicaWriter, port: ReplicaStorage) -> None:
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
