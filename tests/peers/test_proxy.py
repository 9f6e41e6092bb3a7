"""The delay proxy: what it promises, with plain sockets and with our peers."""

import statistics

import trio
import trio.testing

from betar_tui.market.marketplace import ListingDraft
from tests.peers.harness import eventually, peer
from tests.proxy import connections_at, open_proxy, port_of

DELAY = 0.025


class Echo:
    """A server that sends back what it gets."""

    def __init__(self, port: int) -> None:
        self.address = f"/ip4/127.0.0.1/tcp/{port}/p2p/nobody"


async def open_echo(nursery: trio.Nursery) -> Echo:
    async def serve(stream: trio.SocketStream) -> None:
        async for data in stream:
            await stream.send_all(data)

    listeners = await nursery.start(trio.serve_tcp, serve, 0)
    return Echo(listeners[0].socket.getsockname()[1])


async def test_it_delays_each_way_and_keeps_everything_in_flight_at_once():
    async with trio.open_nursery() as nursery:
        echo = await open_echo(nursery)
        async with open_proxy(echo.address, DELAY) as proxy:
            stream = await trio.open_tcp_stream("127.0.0.1", proxy.port)
            await stream.send_all(b"hello")
            assert await stream.receive_some() == b"hello"
            trips = []
            for _ in range(5):
                start = trio.current_time()
                await stream.send_all(b"x")
                assert await stream.receive_some() == b"x"
                trips.append(trio.current_time() - start)
            assert min(trips) >= 2 * DELAY
            # A hundred messages, ten milliseconds' worth of reading each: not a hundred round trips.
            size, got = 4 << 20, 0
            start = trio.current_time()
            nursery.start_soon(stream.send_all, bytes(size))
            while got < size:
                got += len(await stream.receive_some())
            assert trio.current_time() - start < 10 * statistics.median(trips) + 5
            await eventually(lambda: proxy.to_target == proxy.from_target == size + 10, what="all is counted")
            assert (proxy.accepted, proxy.live, proxy.bypassing()) == (1, 1, 0)
        nursery.cancel_scope.cancel()


async def test_partition_cut_and_freeze():
    async with trio.open_nursery() as nursery:
        echo = await open_echo(nursery)
        async with open_proxy(echo.address) as proxy:
            first = await trio.open_tcp_stream("127.0.0.1", proxy.port)
            await first.send_all(b"a")
            assert await first.receive_some() == b"a"
            proxy.freeze()
            await first.send_all(b"b")
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert proxy.from_target == 1
            proxy.heal()
            assert await first.receive_some() == b"b"
            proxy.partition()
            assert not await received(first)
            refused = await trio.open_tcp_stream("127.0.0.1", proxy.port)
            assert not await received(refused)
            proxy.heal()
            again = await trio.open_tcp_stream("127.0.0.1", proxy.port)
            await again.send_all(b"c")
            assert await again.receive_some() == b"c"
            proxy.cut()
            assert not await received(again)
            await eventually(lambda: proxy.live == 0 and connections_at(port_of(echo.address)) == 0)
            assert proxy.accepted == 2
        nursery.cancel_scope.cancel()


async def test_our_peers_meet_through_it_and_only_through_it(tmp_path):
    async with (
        peer(tmp_path / "a") as a,
        open_proxy(a.session.addrs[0], DELAY) as proxy,
        peer(tmp_path / "b", bootstrap=(proxy.address,)) as b,
    ):
        await eventually(lambda: a.session.topic_peers and b.session.topic_peers, what="both on the topic")
        for n in range(3):
            await a.publish([ListingDraft(f"n{n}", n)])
        await eventually(lambda: has(b, 3), what="what a wrote")
        assert (proxy.accepted, proxy.live, proxy.bypassing()) == (1, 1, 0)
        assert connections_at(port_of(b.session.addrs[0])) == 0


async def received(stream: trio.SocketStream) -> bytes:
    try:
        return bytes(await stream.receive_some())
    except trio.BrokenResourceError:
        return b""


async def has(node, count: int) -> bool:
    return len((await node.listings()).listings) == count
