from dataclasses import replace

import trio

from betar_tui.market.hub import BUFFER_BYTES, EventHub
from betar_tui.market.marketplace import Change, ChangeKind, Listing, Missed, Notice, Provenance


def notice(n: int) -> Notice:
    return Notice("info", str(n), float(n))


async def test_every_watcher_gets_every_event():
    hub = EventHub()
    async with hub.watch() as one, hub.watch() as other:
        hub.emit([notice(1), notice(2)])
        assert [await one.receive(), await one.receive()] == [notice(1), notice(2)]
        assert await other.receive() == notice(1)
    hub.emit([notice(3)])


async def test_a_slow_watcher_gets_the_number_it_missed_and_delays_no_other():
    hub = EventHub(buffer=4)
    async with hub.watch() as slow:
        for n in range(10):
            hub.emit([notice(n)])
        got = [slow.receive_nowait() for _ in range(4)]
        assert got == [notice(n) for n in range(4)]
        hub.emit([notice(10)])
        assert slow.receive_nowait() == Missed(6)
        assert slow.receive_nowait() == notice(10)
        with trio.move_on_after(0.05) as scope:
            await slow.receive()
        assert scope.cancelled_caught


def change(n: int, fields: int) -> Change:
    listing = Listing("id", "ocr", 1.0, {}, "", (), (), 0, None, Provenance.UNSIGNED, False, "", 1)
    return Change(
        ChangeKind.PUT, "id", "", n, "", 0.0, replace(listing, extra={str(each): [] for each in range(fields)})
    )


async def test_few_events_wait_whose_listings_take_much_memory():
    hub = EventHub()
    async with hub.watch() as slow:
        for n in range(100):
            hub.emit([change(n, 8000)])
        waiting = slow.statistics().current_buffer_used
        assert waiting == BUFFER_BYTES // (8000 * 256 + 2000)
        assert [slow.receive_nowait().height for _ in range(waiting)] == list(range(waiting))
        hub.emit([notice(100)])
        assert slow.receive_nowait() == Missed(100 - waiting)
        assert slow.receive_nowait() == notice(100)
        hub.emit([change(101, 100_000)])
        assert slow.receive_nowait().height == 101, "however large it is, one may wait"
