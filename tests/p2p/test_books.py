"""The pure parts: faults, the peer book, the event queue, addresses."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from multiaddr import Multiaddr  # type: ignore[import-untyped]
from trio.testing import wait_all_tasks_blocked

from betar_tui.p2p import event_queue as module
from betar_tui.p2p.address_book import AddressBook
from betar_tui.p2p.addresses import dial_order, is_dialable, reachable, with_peer
from betar_tui.p2p.event_queue import EventQueue
from betar_tui.p2p.identify import IdentifyInfo, parse
from betar_tui.p2p.misbehaviour import MAX_REMEMBERED, MisbehaviourLedger, MisbehaviourReports
from betar_tui.p2p.types import Misbehaviour, NetworkEvent, PeerJoined, ReceivedBroadcast

ALICE = "12D3KooWRkZhiRhsqmrQ28rt73K7V3aCBpqKrLGSXmZ99PTcTZby"
BOB = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"
PUBLIC, LAN, LOOP = "/ip4/93.184.216.34/tcp/4001", "/ip4/192.168.1.5/tcp/4001", "/ip4/127.0.0.1/tcp/4001"
NAME, SIX = "/dns4/example.org/tcp/4001", "/ip6/2606:2800::1/tcp/4001"


def test_faults_beyond_the_budget_of_a_window_bar_for_a_while() -> None:
    now = 0.0
    book = MisbehaviourLedger(budget=2, window=10, ban_time=60, clock=lambda: now)
    assert [book.penalize(BOB) for _ in range(3)] == [False, False, True]
    assert book.banned(BOB)
    assert not book.penalize(BOB)  # it is out already
    now = 60.0
    assert not book.banned(BOB)
    assert [book.penalize(BOB), book.penalize(BOB)] == [False, False]
    now = 75.0
    assert not book.penalize(BOB)  # the window has moved on
    assert book.totals() == {BOB: 7}
    assert [book.penalize(ALICE) for _ in range(3)][-1]
    book.unban(ALICE)
    assert not book.banned(ALICE)


def test_faults_of_countless_peers_are_forgotten() -> None:
    book = MisbehaviourLedger(budget=2, window=10, ban_time=60, clock=lambda: 0.0)
    for number in range(MAX_REMEMBERED * 2):
        book.penalize(str(number))
    assert len(book.totals()) <= MAX_REMEMBERED + 1


def test_pauses_grow_with_jitter_and_a_success_resets_them() -> None:
    book = AddressBook(ALICE, 1.0, 8.0, jitter=lambda: 0.5)
    assert book.add(BOB, [PUBLIC])
    nobody = {}.__contains__
    assert book.due(0.0, nobody) == (BOB,)
    dues = []
    for _ in range(5):
        book.failed(BOB, 100.0)
        dues.append(book.next_due(nobody) - 100.0)
    assert dues == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert book.due(107.0, nobody) == ()
    assert book.due(108.0, nobody) == (BOB,)
    assert book.due(108.0, lambda peer: True) == ()
    book.succeeded(BOB)
    assert book.due(0.0, nobody) == (BOB,)
    low, high = AddressBook(ALICE, 1.0, 8.0, jitter=lambda: 0.0), AddressBook(ALICE, 1.0, 8.0, jitter=lambda: 1.0)
    for each in (low, high):
        each.add(BOB, [PUBLIC])
        each.failed(BOB, 0.0)
    assert low.next_due(nobody) < 1.0 < high.next_due(nobody)


def test_the_book_keeps_what_can_be_dialled_and_never_ourselves() -> None:
    book = AddressBook(ALICE, 1.0, 8.0)
    assert not book.add(ALICE, [PUBLIC])
    assert not book.add(BOB, ["/ip4/1.2.3.4/udp/4001/quic-v1", "garbage", f"{PUBLIC}/p2p/{ALICE}"])
    assert not book.add("no peer id", [PUBLIC])
    assert not book.add("", [PUBLIC])
    assert book.add(BOB, [LOOP, PUBLIC])
    assert book.addrs(BOB) == (f"{PUBLIC}/p2p/{BOB}", f"{LOOP}/p2p/{BOB}")
    book.replace(BOB, [LAN])
    assert book.addrs(BOB) == (f"{LAN}/p2p/{BOB}",)
    book.replace(BOB, [])
    assert book.addrs(BOB)
    book.add(BOB, [f"/ip4/10.0.0.{n}/tcp/1" for n in range(100)])
    assert len(book.addrs(BOB)) == 16
    book.remove(BOB)
    assert book.peers() == ()


def test_the_order_to_dial_in() -> None:
    assert dial_order([LOOP, SIX, LAN, NAME, PUBLIC, LOOP]) == (PUBLIC, NAME, SIX, LAN, LOOP)


def test_what_can_be_dialled() -> None:
    for good in (PUBLIC, LAN, LOOP, NAME, SIX, f"{PUBLIC}/p2p/{BOB}", f"/dnsaddr/example.org/p2p/{BOB}"):
        assert is_dialable(good), good
    bad = [
        "",
        "x",
        "/ip4/1.2.3.4",
        "/ip4/1.2.3.4/tcp/0",
        "/ip4/0.0.0.0/tcp/1",
        "/ip4/1.2.3.4/tcp/1/ws",
        f"{PUBLIC}/p2p/{ALICE}/p2p-circuit/p2p/{BOB}",
        "/ip4/1.2.3.4/udp/1/quic-v1",
    ]
    for each in bad:
        assert not is_dialable(each), each
    assert with_peer([PUBLIC, f"{PUBLIC}/p2p/{BOB}", LOOP, *bad], BOB) == (f"{PUBLIC}/p2p/{BOB}", f"{LOOP}/p2p/{BOB}")
    assert reachable([Multiaddr(LOOP)]) == (LOOP,)


def test_an_introduction_of_garbage_is_cut_to_size() -> None:
    from libp2p.identity.identify.pb.identify_pb2 import Identify

    message = Identify(agent_version="a" * 10_000, protocols=["p" * 1000] * 1000)
    message.listen_addrs.extend([b"\xff\xff", Multiaddr(PUBLIC).to_bytes(), b""] * 100)
    identify_info = parse(message.SerializeToString(), BOB)
    assert len(identify_info.agent) == 256
    assert len(identify_info.protocols) == 256
    assert identify_info.addrs == (f"{PUBLIC}/p2p/{BOB}",)
    assert parse(b"", BOB) == IdentifyInfo()


async def test_the_event_queue_drops_the_oldest_broadcasts_and_keeps_news_of_peers() -> None:
    outbox = EventQueue(broadcasts=3, limit=5)
    outbox.put(PeerJoined("p"))
    for number in range(10):
        outbox.put(ReceivedBroadcast("p", "p", b"%d" % number))
    assert outbox.dropped == 7
    got: list[NetworkEvent] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.pump)
        for _ in range(4):
            got.append(await outbox.receive.receive())
        nursery.cancel_scope.cancel()
    assert got[0] == PeerJoined("p")
    assert [event.payload for event in got if isinstance(event, ReceivedBroadcast)] == [b"7", b"8", b"9"]
    for number in range(20):
        outbox.put(PeerJoined(str(number)))
    assert outbox.dropped == 7 + 15


async def test_faults_displace_no_other_events_and_the_order_stays() -> None:
    outbox = EventQueue(broadcasts=3, limit=3, faults=2)
    outbox.put(PeerJoined("p"))
    outbox.put(ReceivedBroadcast("p", "p", b"x"))
    for number in range(1000):
        outbox.put(Misbehaviour("p", str(number)))
    outbox.put(PeerJoined("q"))
    assert outbox.dropped == 0
    got: list[NetworkEvent] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.pump)
        for _ in range(5):
            got.append(await outbox.receive.receive())
        nursery.cancel_scope.cancel()
    faults: list[NetworkEvent] = [Misbehaviour("p", "998"), Misbehaviour("p", "999")]
    assert got == [PeerJoined("p"), ReceivedBroadcast("p", "p", b"x"), *faults, PeerJoined("q")]


async def read(outbox: EventQueue) -> list[ReceivedBroadcast]:
    """The broadcasts that wait, in order."""
    got: list[ReceivedBroadcast] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.pump)
        with suppress(trio.WouldBlock):
            while True:
                await wait_all_tasks_blocked()
                event = outbox.receive.receive_nowait()
                assert isinstance(event, ReceivedBroadcast)
                got.append(event)
        nursery.cancel_scope.cancel()
    return got


@pytest.mark.parametrize("size", [0, 100])
async def test_a_flood_of_broadcasts_displaces_its_own(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BROADCAST_BYTES", 64 * 100 if size else 1 << 20)
    outbox = EventQueue(broadcasts=1024 if size else 64)
    honest = [ReceivedBroadcast("p", f"honest{n}", b"%0*d" % (size, n)) for n in range(16)]
    outbox.put(honest[0], size)
    for number in range(5000):
        outbox.put(ReceivedBroadcast("p", "mallory", b"x" * size), size)
        if number % 300 == 0 and number // 300 < 15:
            outbox.put(honest[number // 300 + 1], size)
    got = await read(outbox)
    assert [event for event in got if event.author != "mallory"] == honest
    assert len(got) == 64
    assert outbox.dropped == 5016 - 64
    assert not outbox._broadcasts._held
    assert not outbox._broadcasts._greedy


async def test_an_author_alone_has_the_whole_queue_and_many_authors_lose_the_oldest() -> None:
    outbox = EventQueue(broadcasts=64)
    for number in range(100):
        outbox.put(ReceivedBroadcast("p", "alone", b"%d" % number))
    assert [event.payload for event in await read(outbox)] == [b"%d" % number for number in range(36, 100)]
    for number in range(100):
        outbox.put(ReceivedBroadcast("p", str(number), b""))
    assert [event.author for event in await read(outbox)] == [str(number) for number in range(36, 100)]


async def test_the_broadcasts_that_wait_have_a_limit_in_bytes() -> None:
    outbox = EventQueue()
    size = 512 << 10
    for number in range(1000):
        outbox.put(ReceivedBroadcast("p", str(number), bytes(size)), size)
    assert sum(len(event.payload) for event in await read(outbox)) == module.BROADCAST_BYTES


def test_faults_of_one_peer_are_told_at_once_and_then_folded() -> None:
    now = 0.0
    news = MisbehaviourReports(lambda: now, fold=1.0)
    assert [news.note(BOB, str(number)) for number in range(5)] == [True, False, False, False, False]
    assert news.note(ALICE, "hers")
    assert news.due() == []
    now = 1.0
    assert news.due() == [(BOB, "4 (and 3 more)")]
    assert not news.note(BOB, "within the next second")
    now = 2.0
    assert news.due() == [(BOB, "within the next second")]
    now = 3.0
    assert news.due() == []
    assert news.note(BOB, "much later")
