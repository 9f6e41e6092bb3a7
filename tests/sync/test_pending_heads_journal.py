"""Pending heads are stored when they do not come soon, and wanted again by the next run."""

from collections.abc import AsyncIterator, Collection, Mapping

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from betar_tui.errors import StoreError
from betar_tui.p2p.types import ReceivedBlock, ReceivedBroadcast
from betar_tui.replica import DagNode, Head
from betar_tui.sync import pending_heads_journal
from betar_tui.sync.pending_heads import EXPIRY, PendingHeads
from betar_tui.sync.pending_heads_journal import MAX_AGE, PendingHeadsJournal
from betar_tui.sync.replication import Replication
from tests.simulation.lab import node
from tests.sync.fakes import Network, Writer

NOW = 1_800_000_000.0


def name(n: int) -> bytes:
    return b"\x01\x70\x12\x20" + b"%032d" % n


class Memory:
    """A storage in memory that counts changes."""

    def __init__(self, kept: Mapping[bytes, Collection[str]] | None = None) -> None:
        self.kept = {name: frozenset(authors) for name, authors in (kept or {}).items()}
        self.changes = self.read = 0
        self.named: list[set[bytes]] = []
        self.broken = False
        self._changed = trio.Event()

    async def changed(self) -> None:
        """Wait for the next change or failure."""
        with trio.fail_after(60):
            await self._changed.wait()
        self._changed = trio.Event()

    def announced(self, now: float, max_age: float) -> Mapping[bytes, Collection[str]]:
        self.read += 1
        assert (now, max_age) == (NOW, MAX_AGE)
        return dict(self.kept)

    def change_announced(self, named: Mapping[bytes, Collection[str]], gone: Collection[bytes], at: float) -> None:
        if self.broken:
            trio.from_thread.run_sync(self._changed.set)
            raise StoreError("the disk is full")
        assert all(each in self.kept for each in gone)
        assert at == NOW
        self.changes += 1
        self.named.append(set(named))
        for each in gone:
            del self.kept[each]
        self.kept.update((name, frozenset(authors)) for name, authors in named.items())
        trio.from_thread.run_sync(self._changed.set)


class Kept:
    """Pending heads with their journal."""

    def __init__(self, kept: Mapping[bytes, Collection[str]] | None = None) -> None:
        self.memory = Memory(kept)
        self.heads = PendingHeads(trio.current_time)
        self.journal = PendingHeadsJournal(self.heads, self.memory, lambda: NOW)

    def announce(self, n: int, author: str) -> None:
        self.heads.announced([name(n)], author)
        self.journal.schedule_write()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits long for a write: threads and a mocked clock do not go together."""
    monkeypatch.setattr(pending_heads_journal, "WRITE_DELAY", 0.05)
    monkeypatch.setattr(pending_heads_journal, "RETRY", 0.05)


@pytest.fixture
async def kept(nursery: trio.Nursery) -> AsyncIterator[Kept]:
    kept = Kept()
    nursery.start_soon(kept.journal.run)
    yield kept
    nursery.cancel_scope.cancel()


async def test_a_head_that_comes_soon_is_never_stored(kept: Kept, autojump_clock: MockClock) -> None:
    """However many of them are on their way at any time."""
    for n in range(20):
        kept.announce(n, "alice")
        await trio.sleep(pending_heads_journal.WRITE_DELAY / 3)
        kept.journal.arrived([name(n - 1)])
    kept.journal.arrived([name(19)])
    await trio.sleep(pending_heads_journal.WRITE_DELAY * 4)
    assert kept.memory.changes == 0


async def test_a_head_that_does_not_is_stored_until_it_arrives(kept: Kept) -> None:
    for n in range(3):
        kept.announce(n, "alice")
    kept.announce(1, "bob")
    await kept.memory.changed()
    assert kept.memory.kept == {name(0): {"alice"}, name(1): {"alice", "bob"}, name(2): {"alice"}}
    kept.journal.arrived([name(0), name(1), name(7)])
    await kept.memory.changed()
    assert kept.memory.kept == {name(2): {"alice"}}
    kept.announce(2, "carol")
    await kept.memory.changed()
    assert kept.memory.kept == {name(2): {"alice", "carol"}}
    assert kept.memory.changes == 3


async def test_one_that_is_announced_while_others_are_stored_is_not_forgotten(nursery: trio.Nursery) -> None:
    kept, now = Kept(), 0.0
    kept.heads = PendingHeads(lambda: now)
    kept.journal = PendingHeadsJournal(kept.heads, kept.memory, lambda: NOW)
    nursery.start_soon(kept.journal.run)
    kept.announce(1, "alice")
    now = pending_heads_journal.WRITE_DELAY
    kept.announce(2, "alice")
    await kept.memory.changed()
    assert kept.memory.kept == {name(1): {"alice"}}
    now *= 2
    await kept.memory.changed()
    assert kept.memory.kept == {name(1): {"alice"}, name(2): {"alice"}}


async def test_nothing_is_written_if_nothing_changed(kept: Kept) -> None:
    kept.announce(1, "alice")
    await kept.memory.changed()
    kept.announce(1, "alice")
    kept.announce(2, "alice")
    await kept.memory.changed()
    assert kept.memory.named == [{name(1)}, {name(2)}]
    assert kept.memory.kept.keys() == {name(1), name(2)}


async def test_a_limited_number_is_stored_the_last_announced_ones(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_heads_journal, "MAX_STORED", 2)
    for n in (1, 2, 3, 1):
        kept.announce(n, "alice")
    await kept.memory.changed()
    assert kept.memory.kept.keys() == {name(3), name(1)}


async def test_a_full_disk_is_logged_and_tried_again(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    kept.memory.broken = True
    kept.announce(1, "alice")
    await kept.memory.changed()
    await kept.memory.changed()
    assert "are not remembered: the disk is full" in caplog.text
    kept.memory.broken = False
    while not kept.memory.changes:
        await kept.memory.changed()
    assert kept.memory.kept == {name(1): {"alice"}}


async def test_the_next_run_has_the_pending_heads_of_the_one_before(autojump_clock: MockClock) -> None:
    kept = Kept({name(1): ["alice", "bob"], name(2): ["alice"]})
    kept.announce(3, "carol")
    assert await kept.journal.restore() == (name(1), name(2))
    assert kept.heads.older_than(0) == {name(1): {"alice", "bob"}, name(2): {"alice"}, name(3): {"carol"}}
    given_up = trio.current_time() + EXPIRY
    await trio.sleep_until(given_up - 1)
    assert kept.heads.expired() == []
    await trio.sleep_until(given_up + 1)
    assert kept.heads.expired() == [name(1), name(2), name(3)]


async def test_pending_heads_come_back_once_and_dropped_ones_do_not() -> None:
    kept = Kept({name(1): ["alice"], name(2): ["alice"]})
    await kept.journal.restore()
    kept.journal.arrived([name(1)])
    assert await kept.journal.restore() == (name(2),)
    assert kept.memory.read == 1


class Life:
    """A replication that only looks after its pending heads."""

    def __init__(self, kept: Mapping[bytes, Collection[str]] | None = None, *stored: DagNode) -> None:
        self.network, self.writer, self.kept = Network(), Writer(), Kept(kept)
        for each in stored:
            self.writer.merged(each, "alice")
        self.replication = Replication(
            self.network,  # type: ignore[arg-type]
            self.writer,  # type: ignore[arg-type]
            dict.fromkeys,
            self.kept.journal,
            30,
            lambda *_: None,
        )

    async def hear(self, *names: bytes) -> None:
        """Carol announced these, and bob forwarded it."""
        heads = tuple(Head(each) for each in names)
        await self.replication.handle(ReceivedBroadcast("bob", "carol", heads))
        await self.replication.lookups.look_up()


async def test_a_replication_wants_again_what_was_announced_and_is_missing(nursery: trio.Nursery) -> None:
    stored, late = node((), [("/agents/a", b"v")]), node((), [("/agents/b", b"v")])
    life = Life({name(1): ["alice"], stored.cid: ["alice"]}, stored)
    nursery.start_soon(life.replication.run_pending_heads)
    await life.kept.memory.changed()
    assert life.network.wanted == [(name(1), None)]
    assert life.kept.memory.kept == {name(1): {"alice"}}
    await life.hear(late.cid)
    await life.kept.memory.changed()
    assert life.network.wanted == [(name(1), None), (late.cid, "bob")]
    assert life.kept.memory.kept == {name(1): {"alice"}, late.cid: {"carol"}}
    life.writer.merged(late, "bob")
    await life.kept.memory.changed()
    assert life.kept.memory.kept == {name(1): {"alice"}}
    nursery.cancel_scope.cancel()


async def test_a_peer_that_stops_at_once_stores_them_all_the_same() -> None:
    life = Life({name(1): ["alice"]})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(life.replication.run_pending_heads)
        await life.hear(name(2))
        life.writer.busy = True
        nursery.start_soon(life.hear, name(3))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with trio.CancelScope() as stopping:
        stopping.cancel()
        await life.replication.close()
    assert life.kept.memory.kept == {name(1): {"alice"}, name(2): {"carol"}, name(3): {"carol"}}


async def test_a_full_disk_does_not_keep_a_peer_from_stopping(caplog: pytest.LogCaptureFixture) -> None:
    life = Life()
    life.kept.memory.broken = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(life.replication.run_pending_heads)
        await life.hear(name(2))
        nursery.cancel_scope.cancel()
    await life.replication.close()
    assert "are not remembered: the disk is full" in caplog.text


async def test_a_merge_that_failed_leaves_its_head_wanted(nursery: trio.Nursery) -> None:
    block = node((), [("/agents/a", b"v")])
    life = Life()
    await life.hear(block.cid)
    life.writer.broken = True
    await life.replication.on_block(ReceivedBlock(block.cid, block.data, "bob"))
    with pytest.raises(StoreError):
        await life.replication.run_merges()
    assert block.cid in life.kept.heads
    nursery.start_soon(life.replication.run_merges)
    await wait_all_tasks_blocked()
    assert life.network.wanted == [(block.cid, "bob"), (block.cid, None)]
    nursery.cancel_scope.cancel()


async def test_what_was_announced_before_a_sync_was_paused_is_wanted_when_it_goes_on(nursery: trio.Nursery) -> None:
    life = Life({name(1): ["alice"]})
    await life.hear(name(2))
    life.replication.pause(True)
    nursery.start_soon(life.replication.run_pending_heads)
    await life.kept.memory.changed()
    await life.hear(name(3))
    assert life.network.wanted == [(name(2), "bob"), (name(3), "bob")]
    life.replication.pause(False)
    assert life.network.wanted[2:] == [(name(1), None), (name(2), None)]
    nursery.cancel_scope.cancel()


async def test_heads_do_not_expire_while_no_peer_can_be_asked(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    life = Life()
    await life.hear(name(1))
    nursery.start_soon(life.replication.rebroadcast_periodically)
    life.network.alone = True
    await trio.sleep(EXPIRY * 2)
    life.network.alone = False
    life.replication.pause(True)
    await trio.sleep(EXPIRY * 2)
    assert name(1) in life.kept.heads
    life.replication.pause(False)
    await trio.sleep(EXPIRY * 2)
    assert name(1) not in life.kept.heads
    nursery.cancel_scope.cancel()
