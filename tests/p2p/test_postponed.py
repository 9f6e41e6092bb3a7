"""What is left for later costs a bounded number of tasks, bytes and looks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from betar_tui.p2p.adaptations import pubsub
from betar_tui.p2p.adaptations.postponed import Postponed
from betar_tui.p2p.gossip_ledger import EXCESS, GossipLedger
from betar_tui.p2p.late_messages import MAX_LATE
from tests.p2p.peers import resident

NEIGHBOUR = ID(b"n" * 38)


def message(author: bytes, data: bytes = b"x") -> rpc_pb2.Message:
    return rpc_pb2.Message(from_id=author, seqno=b"12345678", data=data)


class Bench:
    """A `Postponed` whose tasks run in a nursery, and what it pushed."""

    def __init__(self, nursery: trio.Nursery, again: bool = False, gate: trio.Event | None = None) -> None:
        self.ledger = GossipLedger()
        self.started = list[str]()
        self.pushed = list[bytes]()
        self._nursery, self._again, self._gate = nursery, again, gate
        self.postponed = Postponed(self.ledger, self.push, self.start)

    def start(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        self.started.append(function.__name__)
        self._nursery.start_soon(function, *arguments)

    async def push(self, peer: ID, message: rpc_pb2.Message) -> None:
        assert peer == NEIGHBOUR
        self.pushed.append(message.data)
        if self._again:
            self.postponed.refuse(peer, message, EXCESS)
        if self._gate is not None:
            await self._gate.wait()


async def test_one_task_delivers_all_late_messages(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        bench = Bench(nursery)
        for number in range(20 * 300):
            bench.postponed.refuse(NEIGHBOUR, message(b"author %d" % (number % 300), b"%d" % number), EXCESS)
        await trio.sleep(1)
        assert bench.started == ["_deliver_late"]
        assert len(bench.pushed) == MAX_LATE
        assert bench.pushed[0] == b"%d" % (19 * 300)  # the latest of the author
        assert sum(bench.ledger.refused(NEIGHBOUR.to_bytes()).values()) == 20 * 300 - MAX_LATE
        bench.postponed.refuse(NEIGHBOUR, message(b"another"), EXCESS)
        await trio.sleep(1)
        assert bench.started == ["_deliver_late"] * 2
        assert bench.pushed[-1] == b"x"


async def test_what_is_refused_again_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        bench = Bench(nursery, again=True)
        for number in range(10):
            bench.postponed.refuse(NEIGHBOUR, message(b"author %d" % number), EXCESS)
        await trio.sleep(60)
        assert len(bench.pushed) == 10
        assert bench.ledger.refused(NEIGHBOUR.to_bytes()) == {EXCESS: 10}


async def test_late_messages_wait_for_a_neighbour_that_uses_too_much(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        bench = Bench(nursery)
        bench.postponed.refuse(NEIGHBOUR, message(b"author"), EXCESS)
        for _ in range(30):
            bench.ledger.time.spend(NEIGHBOUR.to_bytes(), 1.0, trio.current_time())
            await trio.sleep(0.1)
        assert not bench.pushed
        await trio.sleep(30)
        assert bench.pushed == [b"x"]


async def test_one_task_works_off_what_waits_of_a_neighbour() -> None:
    gate = trio.Event()
    async with trio.open_nursery() as nursery:
        bench = Bench(nursery, gate=gate)
        bench.postponed.leave(NEIGHBOUR, message(b"author", b"first"))
        while not bench.pushed:
            await trio.lowlevel.checkpoint()
        bench.postponed.leave(NEIGHBOUR, message(b"author", b"second"))  # while the first is being pushed
        await trio.testing.wait_all_tasks_blocked()
        assert bench.pushed == [b"first"]
        gate.set()
    assert bench.pushed == [b"first", b"second"]
    assert bench.started == ["_work_off"]


async def test_what_is_kept_does_not_keep_the_rpc_that_it_came_in() -> None:
    padding = rpc_pb2.Message(data=bytes(900_000))
    async with trio.open_nursery() as nursery:
        bench = Bench(nursery)
        before = resident()
        for number in range(100):
            rpc = rpc_pb2.RPC(publish=[message(b"%d" % number), padding]).SerializeToString()
            one = pubsub._parse(rpc).publish[0]
            bench.postponed.refuse(NEIGHBOUR, one, EXCESS)
            bench.postponed.leave(NEIGHBOUR, one)
            del one, rpc
        assert resident() - before < 40 << 20
        nursery.cancel_scope.cancel()
