"""The replica off the loop: what is told of and when, where a merge runs beside those that ask."""

import threading
from collections.abc import Iterator

import pytest
import trio

from betar_tui.p2p.writer import Applied, ReplicaWriter
from betar_tui.replica import Replica

from ..simulation.memory import MemoryPort


@pytest.fixture
def writer() -> Iterator[ReplicaWriter]:
    writer = ReplicaWriter(Replica(MemoryPort()), lambda: 1.0)
    yield writer
    writer.close()


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
        assert len(writer.replica.heads) == 1
        assert writer.heads == {}
        go_on.set()
    ((name, heads),) = heads_when_told
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
