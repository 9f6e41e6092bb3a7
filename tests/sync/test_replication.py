"""Which own deltas are broadcast, and when, over a network that only notes its calls."""

from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from betar_tui.ipld import cid
from betar_tui.p2p.types import PeerJoined, ReceivedBlock, ReceivedBroadcast
from betar_tui.replica import DagNode, Head
from betar_tui.replica.node import encode_node, links_of
from betar_tui.sync import merge_queue, replication
from betar_tui.sync.pending_heads import MAX_PER_AUTHOR, PendingHeads
from betar_tui.sync.replication import Replication
from betar_tui.sync.writer import MergeOutcome, RawBlock
from tests.simulation.lab import node
from tests.sync.fakes import Network, Writer

LONG = 60.0
"""Seconds of a mocked clock, long after the last rebroadcast: a broadcast that has not come by then does not come."""


class Announcer:
    """A replication that only announces."""

    def __init__(self) -> None:
        self.network, self.writer = Network(), Writer()
        self.replication = Replication(
            self.network,  # type: ignore[arg-type]
            self.writer,  # type: ignore[arg-type]
            dict.fromkeys,
            SimpleNamespace(
                pending_heads=(pending := PendingHeads(trio.current_time)),
                arrived=pending.arrived,
                schedule_write=lambda: None,
                finish=trio.lowlevel.checkpoint,
            ),  # type: ignore[arg-type]
            30,
            lambda *_: None,
        )

    def put(self, key: str, value: bytes = b"value") -> bytes:
        name = self.writer.put(key, value)
        self.replication.queue_announcement([name])
        return name

    def named(self) -> list[list[bytes]]:
        return [[head.cid for head in heads] for _, heads in self.network.sent]


@pytest.fixture
async def announcer(nursery: trio.Nursery) -> AsyncIterator[Announcer]:
    """Runs the services that announce, and that look announced heads up."""
    announcer = Announcer()
    nursery.start_soon(announcer.replication.lookups.run)
    nursery.start_soon(announcer.replication.flush_announcements)
    nursery.start_soon(announcer.replication.rebroadcast_after_burst)
    yield announcer
    nursery.cancel_scope.cancel()


async def test_one_delta_is_announced_at_once_with_its_block(announcer: Announcer, autojump_clock: MockClock) -> None:
    begun = trio.current_time()
    first = announcer.put("/agents/a")
    await wait_all_tasks_blocked()
    second_at = trio.current_time() + replication.BURST * 2
    await trio.sleep_until(second_at)
    second = announcer.put("/agents/b")
    await wait_all_tasks_blocked()
    assert announcer.named() == [[first], [second]]
    assert [at for at, _ in announcer.network.sent] == [begun, second_at]
    assert all(head.block for _, heads in announcer.network.sent for head in heads)


async def test_a_burst_is_announced_together_and_by_its_last_delta(
    announcer: Announcer, autojump_clock: MockClock
) -> None:
    names = []
    for n in range(8):
        names.append(announcer.put(f"/agents/{n}"))
        await trio.sleep(replication.BURST / 2)
    await trio.sleep(replication.GATHER_TIME)
    assert announcer.named() == [[names[0]], [names[-1]]]


async def test_betar_tui_peers_get_every_delta_of_a_burst(announcer: Announcer, autojump_clock: MockClock) -> None:
    announcer.network.speak_dagsync = True
    names = []
    for n in range(8):
        names.append(announcer.put(f"/agents/{n}"))
        await trio.sleep(replication.BURST / 2)
    await trio.sleep(replication.GATHER_TIME)
    assert announcer.named() == [[names[0]], names[:0:-1]]
    assert all(head.block for _, heads in announcer.network.sent for head in heads)


async def test_a_delta_below_an_unannounced_one_is_announced_by_it(
    announcer: Announcer, autojump_clock: MockClock
) -> None:
    first = announcer.put("/agents/a")
    await wait_all_tasks_blocked()
    announcer.put("/agents/b")
    later = announcer.writer.put("/agents/c")  # its writer announces it later
    await trio.sleep(replication.GATHER_TIME * 2)
    assert announcer.named() == [[first], [later]]


async def test_without_room_for_its_block_only_a_head_is_announced(
    announcer: Announcer, autojump_clock: MockClock
) -> None:
    announcer.network.speak_dagsync = True
    names = [announcer.put(f"/agents/{n}", bytes(8000)) for n in range(20)]
    await wait_all_tasks_blocked()
    assert announcer.named() == [names[:-9:-1]]


async def test_a_burst_of_large_deltas_is_announced_as_soon_as_a_broadcast_is_full(
    announcer: Announcer, autojump_clock: MockClock
) -> None:
    announcer.network.speak_dagsync = True
    names = set()
    for n in range(100):
        names.add(announcer.put(f"/agents/{n}", bytes(3000)))
        await trio.sleep(replication.GATHER_TIME / 60)
    await trio.sleep(replication.GATHER_TIME)
    heads = [head for _, each in announcer.network.sent for head in each]
    assert {head.cid for head in heads} == names
    assert all(head.block for head in heads)
    assert len(announcer.network.sent) <= 9, "the first by itself, then 16 at a time"


@pytest.mark.parametrize("again", [False, True])
async def test_what_others_write_does_not_displace_the_block_of_a_head_that_is_due(
    announcer: Announcer, autojump_clock: MockClock, again: bool
) -> None:
    announcer.put("/agents/a")
    await wait_all_tasks_blocked()
    due = announcer.put("/agents/b")
    for n in range(replication.MAX_RECENT):
        announcer.writer.merged(node((), [(f"/agents/{n}", b"2")], (), 1), "alice")
    if again:  # as a round of own listings announces all heads
        announcer.replication.queue_announcement([due])
    await trio.sleep(replication.GATHER_TIME * 2)
    (announced,) = [head for head in announcer.network.sent[1][1] if head.cid == due]
    assert announced.block


async def test_a_delta_written_while_a_peer_stops_is_announced_too(autojump_clock: MockClock) -> None:
    announcer = Announcer()
    first, later = announcer.put("/agents/a"), list[bytes]()

    async def flush() -> None:
        await trio.sleep(replication.SHUTDOWN_FLUSH_TIMEOUT / 10)
        if not later:
            later.append(announcer.put("/agents/b"))

    announcer.network.flush = flush  # type: ignore[method-assign]
    await announcer.replication.close()
    assert announcer.named() == [[first], later]


async def test_a_peer_that_stops_announces_what_is_due(announcer: Announcer, autojump_clock: MockClock) -> None:
    first = announcer.put("/agents/a")
    await wait_all_tasks_blocked()
    due = announcer.put("/agents/b")
    await wait_all_tasks_blocked()
    assert announcer.named() == [[first]]
    await announcer.replication.close()
    assert announcer.named() == [[first], [due]]
    await announcer.replication.close()
    assert len(announcer.named()) == 2


async def test_a_peer_that_stops_while_it_announces_announces_again(autojump_clock: MockClock) -> None:
    announcer = Announcer()
    broadcast = announcer.network.broadcast

    async def never(_: bytes) -> int:
        await trio.sleep_forever()

    announcer.network.broadcast = never  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(announcer.replication.flush_announcements)
        name = announcer.put("/agents/a")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    announcer.network.broadcast = broadcast  # type: ignore[method-assign]
    await announcer.replication.close()
    assert announcer.named() == [[name]]


async def test_a_network_that_does_not_answer_keeps_no_peer_from_stopping(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    announcer = Announcer()
    announcer.put("/agents/a")
    announcer.network.flush = trio.sleep_forever  # type: ignore[method-assign]
    begun = trio.current_time()
    await announcer.replication.close()
    assert trio.current_time() - begun == pytest.approx(replication.SHUTDOWN_FLUSH_TIMEOUT)

    async def broken(_: bytes) -> int:
        raise ValueError("the library has ended")

    announcer.put("/agents/b")
    announcer.network.broadcast = broken  # type: ignore[method-assign]
    await announcer.replication.close()
    assert [record.getMessage() for record in caplog.records] == ["the last announcements failed"]


async def test_a_large_delta_below_another_is_not_announced(announcer: Announcer, autojump_clock: MockClock) -> None:
    announcer.network.speak_dagsync = True
    small = announcer.put("/agents/a")
    announcer.put("/agents/b", b"x" * (20 << 10))
    last = announcer.put("/agents/c")
    await wait_all_tasks_blocked()
    assert announcer.named() == [[last, small]]


async def test_a_write_during_a_rebroadcast_is_rebroadcast_itself(
    announcer: Announcer, autojump_clock: MockClock
) -> None:
    echo = replication.REBROADCAST_DELAYS[0]
    broadcast = announcer.network.broadcast

    async def slow(payload: bytes) -> int:
        await trio.sleep(echo / 10)
        return await broadcast(payload)

    announcer.put("/agents/a")
    await wait_all_tasks_blocked()
    announcer.network.broadcast = slow  # type: ignore[method-assign]
    await trio.sleep(echo * 1.05)
    second = announcer.writer.put("/agents/b")
    wrote = trio.current_time()
    await trio.sleep(LONG)
    assert [at - wrote for at, heads in announcer.network.sent if heads[0].cid == second] == pytest.approx(
        [each + echo / 10 for each in replication.REBROADCAST_DELAYS]
    )


async def test_deltas_that_come_one_by_one_over_bitswap_are_not_a_sync(announcer: Announcer) -> None:
    above: list[DagNode] = []
    for n in range(5):
        above.append(node(above[-1:], [(f"/agents/{n}", b"1")], (), n + 1))
        announcer.replication.fetcher.want([above[-1].cid], "alice", announced=True)
        assert announcer.replication.pending == 1
        announcer.writer.merged(above[-1], "alice")
        assert announcer.replication.progress is None
        assert announcer.replication._meter._fetched == 0


async def test_when_it_is_quiet_the_heads_go_out_again_twice(announcer: Announcer, autojump_clock: MockClock) -> None:
    name = announcer.put("/agents/a")
    wrote = trio.current_time()
    await trio.sleep(LONG)
    assert announcer.named() == [[name]] * 3
    assert [at - wrote for at, _ in announcer.network.sent] == pytest.approx([0, *replication.REBROADCAST_DELAYS])


async def test_further_writes_delay_the_rebroadcasts(announcer: Announcer, autojump_clock: MockClock) -> None:
    for n in range(5):
        name = announcer.put(f"/agents/{n}")
        await trio.sleep(replication.REBROADCAST_DELAYS[0] * 0.9)
    assert len(announcer.network.sent) == 5
    await trio.sleep(LONG)
    assert announcer.named()[5:] == [[name]] * 2


async def test_the_blocks_of_one_broadcast_are_merged_together(announcer: Announcer, nursery: trio.Nursery) -> None:
    """Each links to the next, which would be requested if it came by itself."""
    chain: list[DagNode] = []
    for n in range(5):
        chain.append(node(chain[-1:], [(f"/agents/{n}", b"1")], (), n + 1))
    heads = [Head(each.cid, each.data) for each in reversed(chain)]
    nursery.start_soon(announcer.replication.run_merges)
    await wait_all_tasks_blocked()
    await announcer.replication.handle(ReceivedBroadcast("alice", "alice", tuple(heads)))
    await wait_all_tasks_blocked()
    assert announcer.writer.batches == [[head.cid for head in heads]]


async def test_announcements_to_a_joining_peer_come_at_once_and_are_limited(
    announcer: Announcer, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(announcer.replication.announce_to_joiners)
    name = announcer.writer.put("/agents/a")
    await trio.sleep(LONG)
    before, begun = len(announcer.network.sent), trio.current_time()
    for n in range(replication.MAX_JOIN_ANNOUNCEMENTS):
        await announcer.replication.handle(PeerJoined("alice"))
        await wait_all_tasks_blocked()
        assert len(announcer.network.sent) == before + n + 1
    assert trio.current_time() == begun
    seconds = 20
    while trio.current_time() < begun + seconds * replication.JOIN_INTERVAL:
        await announcer.replication.handle(PeerJoined("alice"))
        await trio.sleep(replication.JOIN_INTERVAL / 50)
    assert len(announcer.network.sent) - before - replication.MAX_JOIN_ANNOUNCEMENTS == pytest.approx(seconds, abs=1)
    assert announcer.named()[-1] == [name]
    sent = len(announcer.network.sent)
    await announcer.replication.handle(PeerJoined("bob"))
    await trio.sleep(replication.JOIN_INTERVAL)
    assert len(announcer.network.sent) == sent + 1, "no joining peer is left out"


async def test_more_blocks_than_fit_a_merge_come_one_after_the_other(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_queue, "MAX_BATCH", 3)
    announcer = Announcer()
    blocks = [node((), [(f"/agents/{n}", b"1")], (), 1) for n in range(11)]
    event = ReceivedBroadcast("alice", "alice", tuple(Head(each.cid, each.data) for each in blocks))
    nursery.start_soon(announcer.replication.handle, event)
    await wait_all_tasks_blocked()
    nursery.start_soon(announcer.replication.run_merges)
    await wait_all_tasks_blocked()
    assert max(map(len, announcer.writer.batches)) <= 3
    assert [name for batch in announcer.writer.batches for name in batch] == [each.cid for each in blocks]


async def test_a_broadcast_does_not_wait_for_the_large_blocks_of_others(
    announcer: Announcer, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_queue, "MAX_WAITING", 2)
    small, *large = (node((), [(f"/{n}", bytes(merge_queue.LARGE_BLOCK if n else 1))], (), 1) for n in range(4))
    for each in large:
        nursery.start_soon(announcer.replication.on_block, ReceivedBlock(each.cid, each.data, "mallory"))
    await wait_all_tasks_blocked()
    nursery.start_soon(announcer.replication.run_merges)
    with trio.fail_after(1):
        await announcer.replication.handle(ReceivedBroadcast("alice", "alice", (Head(small.cid, small.data),)))
    await wait_all_tasks_blocked()
    assert announcer.writer.batches == [[small.cid]]
    nursery.start_soon(announcer.replication.run_large_merges)
    await wait_all_tasks_blocked()
    assert {cid for (cid,) in announcer.writer.batches[1:]} == {each.cid for each in large}


async def test_a_broadcast_does_not_wait_for_the_heads_of_others_that_are_looked_up(
    announcer: Announcer, nursery: trio.Nursery
) -> None:
    small, invented = node((), [("/agents/x", b"1")], (), 1), [cid.of(bytes([n])) for n in range(3)]
    nursery.start_soon(announcer.replication.run_merges)
    announcer.writer.busy = True  # a merge runs, which a lookup waits for
    with trio.fail_after(1):
        await announcer.replication.handle(ReceivedBroadcast("relay", "mallory", tuple(map(Head, invented))))
        await announcer.replication.handle(ReceivedBroadcast("alice", "alice", (Head(small.cid, small.data),)))
    await wait_all_tasks_blocked()
    assert announcer.writer.batches == [[small.cid]]
    assert announcer.network.wanted == []


async def test_new_writes_are_not_progress_of_a_stalled_sync(announcer: Announcer) -> None:
    """A link to a block that nobody has must not look like a sync for ever, each delta of the market being its
    progress."""
    announcer.writer.merged(node([cid.of(b"invented")], [("/agents/x", b"1")], (), 1), "mallory")
    for n in range(5):
        announcer.writer.merged(node((), [(f"/agents/{n}", b"1")], (), 1), "alice")
    assert announcer.replication.pending == 1
    assert announcer.replication.progress is None


async def test_links_of_a_block_that_is_not_a_delta_are_wanted_no_more(
    announcer: Announcer, nursery: trio.Nursery
) -> None:
    """It was asked for when that block came; nothing that was merged links to it."""
    invented = [cid.of(b"%d" % n) for n in range(3)]
    block = encode_node(invented, b"\xff")
    name = cid.of(block)

    async def refuse(blocks: Sequence[RawBlock]) -> MergeOutcome:
        return MergeOutcome(tuple((each, "not a delta") for each in blocks), {}, 0)

    announcer.writer.merge = refuse  # type: ignore[method-assign]
    announcer.replication.fetcher.want([name], "mallory")
    await announcer.replication.on_block(ReceivedBlock(name, block, "mallory"))
    assert announcer.replication.pending == 4
    nursery.start_soon(announcer.replication.run_merges)
    await wait_all_tasks_blocked()
    assert announcer.replication.pending == 0
    assert announcer.replication.fetcher.is_refused(name)


def leaves_out(announcer: Announcer, *folders: bytes) -> None:
    """Merges pass over these blocks, which are not deltas."""

    async def merge(blocks: Sequence[RawBlock]) -> MergeOutcome:
        return MergeOutcome((), {}, 0, {each.cid: links_of(each.data) for each in blocks if each.data in folders})

    announcer.writer.merge = merge  # type: ignore[method-assign]


@pytest.mark.parametrize("inline", [False, True])
async def test_links_of_an_announced_folder_stand_for_it_a_level_with_each_announcement(
    announcer: Announcer, nursery: trio.Nursery, inline: bool
) -> None:
    """A Go peer that took the folder for its head announces nothing else."""
    below = [cid.of(b"%d" % n) for n in range(3)]
    inner = encode_node(below, b"\x08\x01")
    outer = encode_node([cid.of(inner)], b"\x08\x01")
    leaves_out(announcer, inner, outer)
    fetcher = announcer.replication.fetcher
    nursery.start_soon(announcer.replication.run_merges)

    async def hear(block: bytes | None = None) -> None:
        heads = (Head(cid.of(outer), block),)
        await announcer.replication.handle(ReceivedBroadcast("relay", "go", heads))
        await wait_all_tasks_blocked()

    async def bring(block: bytes) -> None:
        assert fetcher.asked(cid.of(block))
        await announcer.replication.on_block(ReceivedBlock(cid.of(block), block, "go"))
        await wait_all_tasks_blocked()

    await hear(outer if inline else None)
    if not inline:
        await bring(outer)
    assert (announcer.replication.pending, fetcher.asked(cid.of(inner))) == (1, True)
    await bring(inner)
    assert announcer.replication.pending == 0
    await hear()
    assert announcer.replication.pending == 3
    assert all(map(fetcher.asked, below))
    assert announcer.writer.heads == {}


async def test_an_announced_folder_cannot_have_more_wanted_than_its_author(
    announcer: Announcer, nursery: trio.Nursery
) -> None:
    folder = encode_node([cid.of(b"%d" % n) for n in range(MAX_PER_AUTHOR + 10)], b"\x08\x01")
    leaves_out(announcer, folder)
    nursery.start_soon(announcer.replication.run_merges)
    for _ in range(2):
        heads = (Head(cid.of(folder), folder),)
        await announcer.replication.handle(ReceivedBroadcast("mallory", "mallory", heads))
        await wait_all_tasks_blocked()
        assert announcer.replication.pending == MAX_PER_AUTHOR


async def test_links_of_a_file_that_nobody_announced_are_not_wanted(
    announcer: Announcer, nursery: trio.Nursery
) -> None:
    folder = encode_node([cid.of(b"below")], b"\x08\x01")
    leaves_out(announcer, folder)
    announcer.replication.fetcher.want([cid.of(folder)], "alice")
    await announcer.replication.on_block(ReceivedBlock(cid.of(folder), folder, "alice"))
    nursery.start_soon(announcer.replication.run_merges)
    await wait_all_tasks_blocked()
    assert announcer.replication.pending == 0


async def test_the_author_of_a_file_that_comes_as_a_head_is_penalised(
    announcer: Announcer, nursery: trio.Nursery
) -> None:
    folder = encode_node((), b"\x08\x01")

    leaves_out(announcer, folder)
    heads = (Head(cid.of(folder), folder),)
    await announcer.replication.handle(ReceivedBroadcast("relay", "mallory", heads))
    nursery.start_soon(announcer.replication.run_merges)
    await wait_all_tasks_blocked()
    assert announcer.network.penalised == ["mallory"]
