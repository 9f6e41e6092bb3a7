"""What is broadcast of our own deltas, and when, over a network that only notes what it is told."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from betar_tui.errors import StoreError
from betar_tui.ipld import cid
from betar_tui.p2p.types import PeerJoined, ReceivedBlock, ReceivedBroadcast
from betar_tui.replica import Applied, DagNode, Head, Replica, decode_broadcast
from betar_tui.replica.node import encode_node
from betar_tui.sync import merge_queue, replication
from betar_tui.sync.pending_heads import PendingHeads
from betar_tui.sync.replication import Replication
from betar_tui.sync.writer import Outcome, RawBlock
from tests.simulation.lab import node
from tests.simulation.memory import MemoryPort

LONG = 60.0
"""Seconds of a clock that jumps, far more than the last echo takes: what has not come by then does not come."""


class Network:
    """Notes when it broadcast which heads."""

    audience = 2

    def __init__(self) -> None:
        self.sent: list[tuple[float, list[Head]]] = []
        self.wanted: list[tuple[bytes, str | None]] = []
        self.speak_dagsync = False
        self.alone = False

    def topic_peers(self) -> tuple[str, ...]:
        return () if self.alone else ("alice", "bob")

    def supports(self, peer: str, protocol: str) -> bool:
        return self.speak_dagsync

    def want(self, cids: Iterable[bytes], ask: str | None = None) -> None:
        self.wanted += [(name, ask) for name in cids]

    def connections(self) -> tuple[()]:
        """Nobody is connected."""
        return ()

    def cancel(self, cids: Iterable[bytes]) -> None:
        """Nobody is asked any more."""

    async def flush(self) -> None:
        """All that was broadcast is sent."""

    def on_sent(self, listener: object) -> None:
        """Nobody asks for blocks here."""

    def announce_block(self, cid: bytes) -> None:
        """Nobody wants them either."""

    def open_stream(self, peer: str, protocol: str) -> None:
        raise AssertionError("nobody is asked for anything here")

    async def broadcast(self, payload: bytes) -> int:
        self.sent.append((trio.current_time(), list(decode_broadcast(payload))))
        return self.audience


class Writer:
    """A replica whose writes are told of at once."""

    def __init__(self) -> None:
        self.replica = Replica(MemoryPort())
        self._deliver: Callable[[Any], None] = lambda applied: None
        self.broken = self.busy = False
        self.batches: list[list[bytes]] = []

    @property
    def heads(self) -> Mapping[bytes, int]:
        return self.replica.heads

    async def merge(self, blocks: Sequence[RawBlock]) -> Outcome:
        if self.broken:
            raise StoreError("the disk is full")
        self.batches.append([each.cid for each in blocks])
        return Outcome((), {}, 0)

    async def lacking(self, cids: Iterable[bytes]) -> tuple[bytes, ...]:
        await trio.lowlevel.checkpoint()
        return self.replica.missing(cids)

    async def missing(self, cids: Iterable[bytes]) -> tuple[bytes, ...]:
        if self.busy:
            await trio.sleep_forever()
        return self.replica.missing(cids)

    def listen(self, prepare: Callable[[Applied], Any], deliver: Callable[[Any], None]) -> Callable[[], None]:
        self._deliver = deliver
        return lambda: None

    def merged(self, node: DagNode, peer: str) -> None:
        """A delta of another peer is here."""
        merged = self.replica.merge([node], peer, 1.0)
        self._deliver(Applied(merged.nodes, merged.effects, True, peer, 1.0))

    def put(self, key: str, value: bytes = b"value") -> bytes:
        (written,) = self.replica.write({key: value}, (), 1.0)
        self._deliver(Applied((written.node,), written.effects, True, "", 1.0))
        return written.node.cid


class Teller:
    """A replication that only tells."""

    def __init__(self) -> None:
        self.network, self.writer = Network(), Writer()
        self.replication = Replication(
            self.network,  # type: ignore[arg-type]
            self.writer,  # type: ignore[arg-type]
            dict.fromkeys,
            SimpleNamespace(roots=PendingHeads(trio.current_time), arrived=list, finish=trio.lowlevel.checkpoint),  # type: ignore[arg-type]
            30,
            lambda *_: None,
        )

    def put(self, key: str, value: bytes = b"value") -> bytes:
        name = self.writer.put(key, value)
        assert self.replication.tell([name]) == Network.audience
        return name

    def named(self) -> list[list[bytes]]:
        return [[head.cid for head in heads] for _, heads in self.network.sent]


@pytest.fixture
async def teller(nursery: trio.Nursery) -> AsyncIterator[Teller]:
    """Runs what tells."""
    teller = Teller()
    nursery.start_soon(teller.replication.flush_announcements)
    nursery.start_soon(teller.replication.rebroadcast_after_burst)
    yield teller
    nursery.cancel_scope.cancel()


async def test_one_delta_is_told_of_at_once_with_its_block(teller: Teller, autojump_clock: MockClock) -> None:
    begun = trio.current_time()
    first = teller.put("/agents/a")
    await wait_all_tasks_blocked()
    second_at = trio.current_time() + replication.BURST * 2
    await trio.sleep_until(second_at)
    second = teller.put("/agents/b")
    await wait_all_tasks_blocked()
    assert teller.named() == [[first], [second]]
    assert [at for at, _ in teller.network.sent] == [begun, second_at]
    assert all(head.block for _, heads in teller.network.sent for head in heads)


async def test_a_burst_is_told_of_together_and_by_its_last_delta(teller: Teller, autojump_clock: MockClock) -> None:
    names = []
    for n in range(8):
        names.append(teller.put(f"/agents/{n}"))
        await trio.sleep(replication.BURST / 2)
    await trio.sleep(replication.GATHERED)
    assert teller.named() == [[names[0]], [names[-1]]]


async def test_peers_of_ours_get_every_delta_of_a_burst(teller: Teller, autojump_clock: MockClock) -> None:
    teller.network.speak_dagsync = True
    names = []
    for n in range(8):
        names.append(teller.put(f"/agents/{n}"))
        await trio.sleep(replication.BURST / 2)
    await trio.sleep(replication.GATHERED)
    assert teller.named() == [[names[0]], names[:0:-1]]
    assert all(head.block for _, heads in teller.network.sent for head in heads)


async def test_a_delta_below_one_that_is_not_told_of_yet_is_heard_of(teller: Teller, autojump_clock: MockClock) -> None:
    first = teller.put("/agents/a")
    await wait_all_tasks_blocked()
    teller.put("/agents/b")
    later = teller.writer.put("/agents/c")  # by somebody who tells of it when all is written
    await trio.sleep(replication.GATHERED * 2)
    assert teller.named() == [[first], [later]]


async def test_without_room_for_its_block_only_a_head_is_named(teller: Teller, autojump_clock: MockClock) -> None:
    teller.network.speak_dagsync = True
    names = [teller.put(f"/agents/{n}", bytes(8000)) for n in range(20)]
    await wait_all_tasks_blocked()
    assert teller.named() == [names[:-9:-1]]


async def test_a_burst_of_large_deltas_is_told_of_as_soon_as_a_broadcast_is_full(
    teller: Teller, autojump_clock: MockClock
) -> None:
    teller.network.speak_dagsync = True
    names = set()
    for n in range(100):
        names.add(teller.put(f"/agents/{n}", bytes(3000)))
        await trio.sleep(replication.GATHERED / 60)
    await trio.sleep(replication.GATHERED)
    heads = [head for _, each in teller.network.sent for head in each]
    assert {head.cid for head in heads} == names
    assert all(head.block for head in heads)
    assert len(teller.network.sent) <= 9, "the first by itself, then 16 at a time"


@pytest.mark.parametrize("again", [False, True])
async def test_what_others_write_does_not_displace_the_block_of_a_head_that_is_due(
    teller: Teller, autojump_clock: MockClock, again: bool
) -> None:
    teller.put("/agents/a")
    await wait_all_tasks_blocked()
    due = teller.put("/agents/b")
    for n in range(replication.MAX_RECENT):
        teller.writer.merged(node((), [(f"/agents/{n}", b"2")], (), 1), "alice")
    if again:  # as a round of own listings tells all heads
        teller.replication.tell([due])
    await trio.sleep(replication.GATHERED * 2)
    (told,) = [head for head in teller.network.sent[1][1] if head.cid == due]
    assert told.block


async def test_what_is_written_while_a_peer_stops_is_told_of_too(autojump_clock: MockClock) -> None:
    teller = Teller()
    first, later = teller.put("/agents/a"), list[bytes]()

    async def flush() -> None:
        await trio.sleep(replication.SHUTDOWN_FLUSH_TIMEOUT / 10)
        if not later:
            later.append(teller.put("/agents/b"))

    teller.network.flush = flush  # type: ignore[method-assign]
    await teller.replication.close()
    assert teller.named() == [[first], later]


async def test_a_peer_that_stops_tells_of_what_is_due(teller: Teller, autojump_clock: MockClock) -> None:
    first = teller.put("/agents/a")
    await wait_all_tasks_blocked()
    due = teller.put("/agents/b")
    await wait_all_tasks_blocked()
    assert teller.named() == [[first]]
    await teller.replication.close()
    assert teller.named() == [[first], [due]]
    await teller.replication.close()
    assert len(teller.named()) == 2


async def test_a_peer_that_stops_while_it_tells_tells_again(autojump_clock: MockClock) -> None:
    teller = Teller()
    broadcast = teller.network.broadcast

    async def never(_: bytes) -> int:
        await trio.sleep_forever()

    teller.network.broadcast = never  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(teller.replication.flush_announcements)
        name = teller.put("/agents/a")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    teller.network.broadcast = broadcast  # type: ignore[method-assign]
    await teller.replication.close()
    assert teller.named() == [[name]]


async def test_a_network_that_does_not_answer_keeps_nobody_from_stopping(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    teller = Teller()
    teller.put("/agents/a")
    teller.network.flush = trio.sleep_forever  # type: ignore[method-assign]
    begun = trio.current_time()
    await teller.replication.close()
    assert trio.current_time() - begun == pytest.approx(replication.SHUTDOWN_FLUSH_TIMEOUT)

    async def broken(_: bytes) -> int:
        raise ValueError("the library has ended")

    teller.put("/agents/b")
    teller.network.broadcast = broken  # type: ignore[method-assign]
    await teller.replication.close()
    assert [record.getMessage() for record in caplog.records] == ["what was written last could not be told of"]


async def test_a_large_delta_below_another_is_not_named(teller: Teller, autojump_clock: MockClock) -> None:
    teller.network.speak_dagsync = True
    small = teller.put("/agents/a")
    teller.put("/agents/b", b"x" * (20 << 10))
    last = teller.put("/agents/c")
    await wait_all_tasks_blocked()
    assert teller.named() == [[last, small]]


async def test_what_is_written_during_an_echo_has_echoes_of_its_own(teller: Teller, autojump_clock: MockClock) -> None:
    echo = replication.ECHOES[0]
    broadcast = teller.network.broadcast

    async def slow(payload: bytes) -> int:
        await trio.sleep(echo / 10)
        return await broadcast(payload)

    teller.put("/agents/a")
    await wait_all_tasks_blocked()
    teller.network.broadcast = slow  # type: ignore[method-assign]
    await trio.sleep(echo * 1.05)
    second = teller.writer.put("/agents/b")
    wrote = trio.current_time()
    await trio.sleep(LONG)
    assert [at - wrote for at, heads in teller.network.sent if heads[0].cid == second] == pytest.approx(
        [each + echo / 10 for each in replication.ECHOES]
    )


async def test_deltas_that_come_one_by_one_over_bitswap_are_no_sync(teller: Teller) -> None:
    above: list[DagNode] = []
    for n in range(5):
        above.append(node(above[-1:], [(f"/agents/{n}", b"1")], (), n + 1))
        teller.replication.fetcher.want([above[-1].cid], "alice", announced=True)
        assert teller.replication.pending == 1
        teller.writer.merged(above[-1], "alice")
        assert teller.replication.progress is None
        assert teller.replication._meter._fetched == 0


async def test_when_it_is_quiet_the_heads_go_out_again_twice(teller: Teller, autojump_clock: MockClock) -> None:
    name = teller.put("/agents/a")
    wrote = trio.current_time()
    await trio.sleep(LONG)
    assert teller.named() == [[name]] * 3
    assert [at - wrote for at, _ in teller.network.sent] == pytest.approx([0, *replication.ECHOES])


async def test_whoever_goes_on_writing_puts_the_echo_off(teller: Teller, autojump_clock: MockClock) -> None:
    for n in range(5):
        name = teller.put(f"/agents/{n}")
        await trio.sleep(replication.ECHOES[0] * 0.9)
    assert len(teller.network.sent) == 5
    await trio.sleep(LONG)
    assert teller.named()[5:] == [[name]] * 2


async def test_the_blocks_of_one_broadcast_are_merged_together(teller: Teller, nursery: trio.Nursery) -> None:
    """Each links to the next: whichever came by itself would have that one asked for."""
    chain: list[DagNode] = []
    for n in range(5):
        chain.append(node(chain[-1:], [(f"/agents/{n}", b"1")], (), n + 1))
    heads = [Head(each.cid, each.data) for each in reversed(chain)]
    nursery.start_soon(teller.replication.run_merges)
    await wait_all_tasks_blocked()
    await teller.replication.handle(ReceivedBroadcast("alice", "alice", tuple(heads)))
    await wait_all_tasks_blocked()
    assert teller.writer.batches == [[head.cid for head in heads]]


async def test_a_peer_that_joins_is_told_at_once_and_one_that_joins_again_and_again_is_not(
    teller: Teller, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(teller.replication.announce_to_joiners)
    name = teller.writer.put("/agents/a")
    await trio.sleep(LONG)
    before, begun = len(teller.network.sent), trio.current_time()
    for n in range(replication.GREETINGS):
        await teller.replication.handle(PeerJoined("alice"))
        await wait_all_tasks_blocked()
        assert len(teller.network.sent) == before + n + 1
    assert trio.current_time() == begun
    seconds = 20
    while trio.current_time() < begun + seconds * replication.GREETING:
        await teller.replication.handle(PeerJoined("alice"))
        await trio.sleep(replication.GREETING / 50)
    assert len(teller.network.sent) - before - replication.GREETINGS == pytest.approx(seconds, abs=1)
    assert teller.named()[-1] == [name]
    sent = len(teller.network.sent)
    await teller.replication.handle(PeerJoined("bob"))
    await trio.sleep(replication.GREETING)
    assert len(teller.network.sent) == sent + 1, "nobody who joins is left out"


async def test_more_blocks_than_have_room_come_one_after_the_other(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_queue, "MAX_BATCH", 3)
    teller = Teller()
    blocks = [node((), [(f"/agents/{n}", b"1")], (), 1) for n in range(11)]
    event = ReceivedBroadcast("alice", "alice", tuple(Head(each.cid, each.data) for each in blocks))
    nursery.start_soon(teller.replication.handle, event)
    await wait_all_tasks_blocked()
    nursery.start_soon(teller.replication.run_merges)
    await wait_all_tasks_blocked()
    assert max(map(len, teller.writer.batches)) <= 3
    assert [name for batch in teller.writer.batches for name in batch] == [each.cid for each in blocks]


async def test_what_is_written_now_is_no_part_of_a_sync_that_gets_nowhere(teller: Teller) -> None:
    """A link to a block that nobody has must not look like a sync for ever, each delta of the market being its progress."""
    teller.writer.merged(node([cid.of(b"invented")], [("/agents/x", b"1")], (), 1), "mallory")
    for n in range(5):
        teller.writer.merged(node((), [(f"/agents/{n}", b"1")], (), 1), "alice")
    assert teller.replication.pending == 1
    assert teller.replication.progress is None


async def test_what_a_block_that_is_no_delta_links_to_is_wanted_no_more(teller: Teller, nursery: trio.Nursery) -> None:
    """It was asked for when that block came; nothing that was merged links to it."""
    invented = [cid.of(b"%d" % n) for n in range(3)]
    block = encode_node(invented, b"\xff")
    name = cid.of(block)

    async def refuse(blocks: Sequence[RawBlock]) -> Outcome:
        return Outcome(tuple((each, "no delta") for each in blocks), {}, 0)

    teller.writer.merge = refuse  # type: ignore[method-assign]
    teller.replication.fetcher.want([name], "mallory")
    await teller.replication.give(ReceivedBlock(name, block, "mallory"))
    assert teller.replication.pending == 4
    nursery.start_soon(teller.replication.run_merges)
    await wait_all_tasks_blocked()
    assert teller.replication.pending == 0
    assert teller.replication.fetcher.is_refused(name)
