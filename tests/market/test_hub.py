import trio

from betar_tui.market.hub import EventHub
from betar_tui.market.marketplace import Missed, Notice


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
