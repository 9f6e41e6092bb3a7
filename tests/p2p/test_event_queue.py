"""The queue of network events: which events are dropped when the reader is slow."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from betar_tui.p2p import event_queue
from betar_tui.p2p.event_queue import EventQueue
from betar_tui.p2p.types import Misbehaviour, NetworkEvent, PeerJoined, ReceivedBroadcast


async def test_the_event_queue_drops_the_oldest_broadcasts_and_keeps_news_of_peers() -> None:
    queue = EventQueue(broadcasts=3, others=5)
    queue.put(PeerJoined("p"))
    for number in range(10):
        queue.put(ReceivedBroadcast("p", "p", b"%d" % number))
    assert queue.dropped == 7
    got: list[NetworkEvent] = [await queue.receive() for _ in range(4)]
    assert got[0] == PeerJoined("p")
    assert [event.payload for event in got if isinstance(event, ReceivedBroadcast)] == [b"7", b"8", b"9"]
    for number in range(20):
        queue.put(PeerJoined(str(number)))
    assert queue.dropped == 7 + 15


async def test_misbehaviours_displace_no_other_events_and_the_order_stays() -> None:
    queue = EventQueue(broadcasts=3, others=3, misbehaviours=2)
    queue.put(PeerJoined("p"))
    queue.put(ReceivedBroadcast("p", "p", b"x"))
    for number in range(1000):
        queue.put(Misbehaviour("p", str(number)))
    queue.put(PeerJoined("q"))
    assert queue.dropped == 0
    got: list[NetworkEvent] = [await queue.receive() for _ in range(5)]
    misbehaviours: list[NetworkEvent] = [Misbehaviour("p", "998"), Misbehaviour("p", "999")]
    assert got == [PeerJoined("p"), ReceivedBroadcast("p", "p", b"x"), *misbehaviours, PeerJoined("q")]


async def read(queue: EventQueue) -> list[ReceivedBroadcast]:
    """The queued broadcasts, in order."""
    got: list[ReceivedBroadcast] = []

    async def take() -> None:
        async for event in queue:
            assert isinstance(event, ReceivedBroadcast)
            got.append(event)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return got


@pytest.mark.parametrize("size", [0, 100])
async def test_a_flood_of_broadcasts_displaces_its_own(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_queue, "MAX_BROADCAST_BYTES", 64 * 100 if size else 1 << 20)
    queue = EventQueue(broadcasts=1024 if size else 64)
    honest = [ReceivedBroadcast("p", f"honest{n}", b"%0*d" % (size, n)) for n in range(16)]
    queue.put(honest[0], size)
    for number in range(5000):
        queue.put(ReceivedBroadcast("p", "mallory", b"x" * size), size)
        if number % 300 == 0 and number // 300 < 15:
            queue.put(honest[number // 300 + 1], size)
    got = await read(queue)
    assert [event for event in got if event.author != "mallory"] == honest
    assert len(got) == 64
    assert queue.dropped == 5016 - 64
    assert not queue._broadcasts._queued
    assert not queue._broadcasts._greedy


async def test_an_author_alone_has_the_whole_queue_and_many_authors_lose_the_oldest() -> None:
    queue = EventQueue(broadcasts=64)
    for number in range(100):
        queue.put(ReceivedBroadcast("p", "alone", b"%d" % number))
    assert [event.payload for event in await read(queue)] == [b"%d" % number for number in range(36, 100)]
    for number in range(100):
        queue.put(ReceivedBroadcast("p", str(number), b""))
    assert [event.author for event in await read(queue)] == [str(number) for number in range(36, 100)]


async def test_queued_broadcasts_have_a_limit_in_bytes() -> None:
    queue = EventQueue()
    for number in range(1000):
        queue.put(ReceivedBroadcast("p", str(number), bytes(512 << 10)), 512 << 10)
    assert sum(len(event.payload) for event in await read(queue)) == event_queue.MAX_BROADCAST_BYTES


async def test_the_reader_ends_with_the_queue_and_leaves_turns_to_others() -> None:
    queue, turns = EventQueue(), 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    for _ in range(event_queue.EVENTS_PER_TURN * 10):
        queue.put(PeerJoined("p"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        async for _ in queue:
            if not queue._others.events:
                queue.close()
        nursery.cancel_scope.cancel()
    # The first batch only starts the others, and the last may be cut off.
    assert turns >= 8
    with pytest.raises(trio.EndOfChannel):
        await queue.receive()


async def test_broadcasts_of_authors_in_good_standing_come_first_and_are_not_displaced() -> None:
    queue = EventQueue(broadcasts=16)
    for number in range(4):
        queue.put(ReceivedBroadcast("relay", "seller", number), 10, standing=True)
        for other in range(100):
            queue.put(ReceivedBroadcast("relay", f"throw-away {number} {other}", other), 10)
    first = [await queue.receive() for _ in range(4)]
    assert [event.payload for event in first if isinstance(event, ReceivedBroadcast)] == [0, 1, 2, 3]
    assert queue.dropped == 400 - 16


async def test_known_authors_that_never_pause_do_not_silence_new_ones() -> None:
    queue, heard = EventQueue(broadcasts=64), 0
    for number in range(10):
        queue.put(ReceivedBroadcast("relay", f"new {number}", b""))
    for _ in range(80):
        queue.put(ReceivedBroadcast("relay", "known", b""), standing=True)
        event = await queue.receive()
        heard += isinstance(event, ReceivedBroadcast) and event.author != "known"
    assert heard == 80 // (event_queue.STANDING_IN_A_ROW + 1)
