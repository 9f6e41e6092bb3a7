"""The queue to one gossip neighbour is bounded in RPCs and in bytes."""

from __future__ import annotations

from itertools import pairwise

import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.rpc_queue import PriorityQueue

from betar_tui.ipld.protobuf import read_varint
from betar_tui.p2p.adaptations.send_queue import MAX_BYTES, MAX_PIECE, MAX_RPCS, SendQueue
from betar_tui.p2p.frames import frame
from betar_tui.p2p.types import ReceivedBroadcast
from tests.p2p.peers import pair, until

LARGE = 500_000


def rpc(size: int, mark: int = 0) -> rpc_pb2.RPC:
    return rpc_pb2.RPC(publish=[rpc_pb2.Message(data=bytes(size), seqno=b"%d" % mark)])


def encoded(size: int, mark: int = 0) -> bytes:
    return frame(rpc(size, mark).SerializeToString())


def frame_at(piece: bytes) -> bytes:
    """The first frame of a piece."""
    end = next(index for index, byte in enumerate(piece) if byte < 0x80) + 1
    length, start = read_varint(piece[:end], 0, end)
    return piece[: start + length]


def test_either_limit_drops_the_newest() -> None:
    queue = SendQueue(PriorityQueue())
    assert sum(queue.push(rpc(1, number)) for number in range(MAX_RPCS + 10)) == MAX_RPCS
    queue = SendQueue(PriorityQueue())
    kept = sum(queue.push(rpc(LARGE, number), priority=bool(number % 2)) for number in range(100))
    assert kept == MAX_BYTES // len(encoded(LARGE, 10))
    assert queue.push(rpc(10))  # there is room for small ones still
    while queue.pop() is not None:
        pass
    assert sum(queue.push(rpc(LARGE, number)) for number in range(100)) == kept


def test_queued_rpcs_are_taken_over_in_their_order() -> None:
    before = PriorityQueue()
    for number in range(6):
        before.push(rpc(1, number), priority=number >= 4)
    queue = SendQueue(before)
    assert queue.pop() == b"".join(encoded(1, number) for number in (4, 5, 0, 1, 2, 3))
    assert queue.bytes == 0


@given(st.lists(st.tuples(st.integers(0, 90_000), st.booleans()), max_size=20))
def test_what_waits_is_taken_in_pieces_that_are_not_too_long(rpcs: list[tuple[int, bool]]) -> None:
    queue = SendQueue(PriorityQueue())
    for number, (size, priority) in enumerate(rpcs):
        assert queue.push(rpc(size, number), priority)
    pieces = list(iter(queue.pop, None))
    ordered = [each for wanted in (True, False) for each in enumerate(rpcs) if each[1][1] == wanted]
    frames = [encoded(size, number) for number, (size, _) in ordered]
    assert b"".join(pieces) == b"".join(frames)
    assert all(len(piece) <= MAX_PIECE or piece in frames for piece in pieces)
    assert all(len(one) + len(frame_at(other)) > MAX_PIECE for one, other in pairwise(pieces))
    assert (len(queue), queue.bytes) == (0, 0)


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
            assert isinstance(queue._queue, SendQueue)
            assert queue._queue.bytes <= MAX_BYTES
        with trio.fail_after(20):
            await pubsub.flush()
        await alice.network.broadcast(b"the end")
        await until(lambda: any(event.payload == b"the end" for event in bob.of(ReceivedBroadcast)))
        assert len(bob.of(ReceivedBroadcast)) >= 10
