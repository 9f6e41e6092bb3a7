"""Announced heads are remembered when they do not come soon, and wanted again by the next run."""

from collections.abc import AsyncIterator, Collection, Mapping

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from betar_tui.errors import StoreError
from betar_tui.p2p.replication import Replication
from betar_tui.p2p.rootkeeper import SETTLED, RootKeeper
from betar_tui.p2p.roots import PATIENCE, Roots
from betar_tui.p2p.types import ReceivedBroadcast
from betar_tui.replica import Head, encode_broadcast

from ..simulation.lab import node
from .test_telling import Network, Writer


def name(n: int) -> bytes:
    return b"\x01\x70\x12\x20" + b"%032d" % n


class Memory:
    """What is remembered, and how often that changed."""

    def __init__(self, kept: Mapping[bytes, Collection[str]] | None = None) -> None:
        self.kept = {name: frozenset(authors) for name, authors in (kept or {}).items()}
        self.changes = 0
        self.broken = False
        self._changed = trio.Event()

    async def changed(self) -> None:
        """The next change is done."""
        with trio.fail_after(60):
            await self._changed.wait()
        self._changed = trio.Event()

    def announced(self) -> Mapping[bytes, Collection[str]]:
        return dict(self.kept)

    def change_announced(self, named: Mapping[bytes, Collection[str]], gone: Collection[bytes]) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        assert all(each in self.kept for each in gone)
        self.changes += 1
        for each in gone:
            del self.kept[each]
        self.kept.update((name, frozenset(authors)) for name, authors in named.items())
        trio.from_thread.run_sync(self._changed.set)


class Kept:
    """Roots, and who keeps them."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.roots = Roots(trio.current_time)
        self.keeper = RootKeeper(self.roots, self.memory)

    def announce(self, n: int, author: str) -> None:
        self.roots.announced([name(n)], author)
        self.keeper.note()


@pytest.fixture
async def kept(nursery: trio.Nursery) -> AsyncIterator[Kept]:
    kept = Kept()
    nursery.start_soon(kept.keeper.run)
    yield kept
    nursery.cancel_scope.cancel()


async def test_what_comes_at_once_is_never_written_down(kept: Kept, autojump_clock: MockClock) -> None:
    kept.announce(1, "alice")
    await trio.sleep(SETTLED / 2)
    kept.roots.arrived([name(1)])
    kept.keeper.note()
    await trio.sleep(SETTLED * 2)
    await wait_all_tasks_blocked()
    assert kept.memory.changes == 0


async def test_what_does_not_is_remembered_until_it_arrives(kept: Kept) -> None:
    for n in range(3):
        kept.announce(n, "alice")
    kept.announce(1, "bob")
    await kept.memory.changed()
    assert kept.memory.kept == {name(0): {"alice"}, name(1): {"alice", "bob"}, name(2): {"alice"}}
    assert kept.memory.changes == 1
    kept.roots.arrived([name(0), name(1)])
    kept.keeper.note()
    await kept.memory.changed()
    assert kept.memory.kept == {name(2): {"alice"}}
    kept.announce(2, "carol")
    await kept.memory.changed()
    assert kept.memory.kept == {name(2): {"alice", "carol"}}
    kept.keeper.note()
    kept.announce(3, "alice")
    await kept.memory.changed()
    assert kept.memory.changes == 4


async def test_whoever_stops_at_once_remembers_all_the_same() -> None:
    kept = Kept()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.keeper.run)
        await wait_all_tasks_blocked()
        kept.announce(1, "alice")
        nursery.cancel_scope.cancel()
    assert kept.memory.kept == {name(1): {"alice"}}


async def test_a_full_disk_does_not_keep_anybody_from_stopping(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.keeper.run)
        await wait_all_tasks_blocked()
        kept.memory.broken = True
        kept.announce(1, "alice")
        nursery.cancel_scope.cancel()
    assert "are forgotten: the disk is full" in caplog.text


async def test_the_next_run_has_the_roots_of_the_one_before(autojump_clock: MockClock) -> None:
    memory = Memory({name(1): ["alice", "bob"], name(2): ["alice"]})
    roots = Roots(trio.current_time)
    assert sorted(await RootKeeper(roots, memory).restore()) == [name(1), name(2)]
    assert roots.authors() == memory.kept
    await trio.sleep(PATIENCE + 1)
    assert len(roots.expired()) == 2


async def test_a_replication_wants_again_what_was_announced_and_is_missing(nursery: trio.Nursery) -> None:
    held = node((), [("/agents/a", b"v")])
    network, writer = Network(), Writer()
    writer.merged(held, "alice")
    memory = Memory({name(1): ["alice"], held.cid: ["alice"]})
    replication = Replication(network, writer, dict.fromkeys, memory, 30, lambda *_: None)  # type: ignore[arg-type]
    nursery.start_soon(replication.run_roots)
    await memory.changed()
    assert network.wanted == [(name(1), None)]
    assert memory.kept == {name(1): {"alice"}}

    late = node((), [("/agents/b", b"v")])
    payload = encode_broadcast([Head(late.cid, None)])
    await replication.handle(ReceivedBroadcast("bob", "carol", payload))
    await memory.changed()
    assert network.wanted == [(name(1), None), (late.cid, "bob")]
    assert memory.kept == {name(1): {"alice"}, late.cid: {"carol"}}
    writer.merged(late, "bob")
    await memory.changed()
    assert memory.kept == {name(1): {"alice"}}
    nursery.cancel_scope.cancel()
