"""The queue to one gossip neighbour is bounded in RPCs and in bytes."""

from __future__ import annotations

import trio
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.rpc_queue import PriorityQueue

from betar_tui.p2p.adaptations.send_queue import MAX_BYTES, MAX_RPCS, SendQueue
from betar_tui.p2p.types import ReceivedBroadcast
from tests.p2p.peers import pair, until

LARGE = 500_000


def rpc(size: int, mark: int = 0) -> rpc_pb2.RPC:
    return rpc_pb2.RPC(publish=[rpc_pb2.Message(data=bytes(size), seqno=b"%d" % mark)])


def test_either_limit_drops_the_newest() -> None:
    queue = SendQueue(PriorityQueue())
    assert sum(queue.push(rpc(1, number)) for number in range(MAX_RPCS + 10)) == MAX_RPCS
    queue = SendQueue(PriorityQueue())
    kept = sum(queue.push(rpc(LARGE, number), priority=bool(number % 2)) for number in range(100))
    assert kept == MAX_BYTES // rpc(LARGE, 10).ByteSize()
    assert queue.push(rpc(10))  # there is room for small ones still
    while queue.pop() is not None:
        pass
    assert sum(queue.push(rpc(LARGE, number)) for number in range(100)) == kept


def test_queued_rpcs_are_taken_over_in_their_order() -> None:
    before = PriorityQueue()
    for number in range(6):
        before.push(rpc(1, number), priority=number >= 4)
    queue = SendQueue(before)
    taken = [each.publish[0].seqno for each in iter(queue.pop, None)]
    assert taken == [b"4", b"5", b"0", b"1", b"2", b"3"]
    assert queue._bytes == 0


async def test_the_queue_for_a_neighbour_that_reads_nothing_is_bounded() -> None:
    async with pair() as (alice, bob):
        pubsub = alice.network._gossip.pubsub
        queue = next(iter(pubsub.peer_queues.values()))
        stream = next(iter(pubsub.peers.values()))
        await until(lambda: stream in pubsub.write_locks)  # made by the first write
        lock = pubsub.write_locks[stream]
        async with lock:  # as if the neighbour granted no window
            for number in range(40):
                await alice.network.broadcast(bytes(LARGE) + b"%d" % number)
            waiting = sum(each.ByteSize() for each in (*queue._queue._non_priority, *queue._queue._priority))
            assert waiting <= MAX_BYTES
        with trio.fail_after(20):
            await pubsub.flush()
        await alice.network.broadcast(b"the end")
        await until(lambda: any(event.payload == b"the end" for event in bob.of(ReceivedBroadcast)))
        assert len(bob.of(ReceivedBroadcast)) >= 10
