"""What one peer sends in a moment does not keep the loop from the others; counted in turns, not in seconds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing
from libp2p.abc import INetStream
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from betar_tui.concurrency import FastLock
from betar_tui.p2p import identify
from betar_tui.p2p.adaptations import pubsub as adapted
from betar_tui.p2p.adaptations import turns as reading
from betar_tui.p2p.budgets import LOOP_TIME, Rate, Shares
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.identify import IdentifyInfo, IdentifyService
from betar_tui.p2p.types import MARKET_TOPIC, Misbehaviour, ReceivedBroadcast
from tests.p2p.peers import pair, peer, raw_stream, until

PEER = "12D3KooWQCkBm1BYtkHpocxCwMgR8yjitEeHGx8spzcDLGt2gkBm"


class Turns:
    """Counts the turns that the loop gives to somebody else."""

    def __init__(self) -> None:
        self.count = 0

    async def run(self) -> None:
        while True:
            await trio.lowlevel.checkpoint()
            self.count += 1


class Connection:
    is_closed = False


class Piece:
    """A stream that brings all of its bytes with the first read."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, n: int | None = None) -> bytes:
        data, self._data = self._data, b""
        return data


async def test_thousands_of_messages_in_one_piece_leave_turns_to_others() -> None:
    reader, turns, count = FrameReader(cast(INetStream, Piece(bytes(6400))), 100), Turns(), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.run)
        while await reader.next() is not None:
            count += 1
        nursery.cancel_scope.cancel()
    assert count == 6400
    assert turns.count > 90


@pytest.mark.parametrize("each", [800, 7, 1])
async def test_the_messages_of_rpcs_leave_turns_to_others(each: int) -> None:
    async with peer("bob") as bob:
        pubsub, turns, seen = bob.network._gossip.pubsub, Turns(), []

        async def push(forwarder: ID, message: rpc_pb2.Message) -> None:
            seen.append(message)

        pubsub.push_msg = push  # type: ignore[method-assign]
        rpc = rpc_pb2.RPC(publish=[rpc_pb2.Message(topicIDs=[MARKET_TOPIC]) for _ in range(each)])
        reader = reading.Turns(b"neighbour", pubsub.ledger.time, FastLock())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.run)
            reader.begin(0)
            for _ in range(800 // each):
                reader.caught_up()
                await pubsub._handle_rpc(ID.from_base58(PEER), rpc, reader)
            nursery.cancel_scope.cancel()
        assert len(seen) >= 798
        assert turns.count > 90


async def test_empty_rpcs_are_passed_over_and_a_stream_of_them_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapted, "MAX_EMPTY", 100)
    async with pair() as (alice, bob):
        stream = await raw_stream(alice, bob.id, "/meshsub/1.1.0")
        hello = frame(alice.network._gossip.pubsub.get_hello_packet().SerializeToString())
        for _ in range(3):
            await stream.write(bytes(100) + hello)
        await alice.network.broadcast(b"fine")
        await until(lambda: bob.of(ReceivedBroadcast))
        assert bob.of(Misbehaviour) == []
        await stream.write(bytes(101))
        await until(lambda: bob.of(Misbehaviour))
        assert "empty" in bob.of(Misbehaviour)[0].reason


def test_few_addresses_are_parsed_and_none_that_is_too_long_to_be_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    real = identify.Multiaddr

    def counted(raw: bytes) -> Any:
        parsed.append(raw)
        return real(raw)

    monkeypatch.setattr(identify, "Multiaddr", counted)
    good = b"\x04\x01\x02\x03\x04\x06\x00\x01"
    for addresses, count in (([good * 7000, good], 1), ([good] * 5000, identify.MAX_ADDRS)):
        parsed.clear()
        said = identify.parse(Identify(listen_addrs=addresses).SerializeToString(), PEER)
        assert said.addrs == (f"/ip4/1.2.3.4/tcp/1/p2p/{PEER}",)
        assert parsed == [good] * count


async def test_of_many_pushes_the_first_and_the_newest_are_looked_at(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[str, str, float]] = []
    parsed: list[bytes] = []
    parse = identify.parse

    def counted(message: bytes, peer: str) -> IdentifyInfo:
        parsed.append(message)
        return parse(message, peer)

    def learned(peer: str, said: IdentifyInfo) -> None:
        looks.append((peer, said.agent, trio.current_time() - start))

    monkeypatch.setattr(identify, "parse", counted)
    service = IdentifyService(cast(Any, SimpleNamespace()), "", learned)
    connection: Any = Connection()
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(50):
            message = Identify(agent_version=f"{number}").SerializeToString()
            nursery.start_soon(service._learn_from_push, "chatty", message, connection)
            await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(
            service._learn_from_push, "other", Identify(agent_version="quiet").SerializeToString(), connection
        )
    assert looks == [("chatty", "0", 0.0), ("other", "quiet", 0.0), ("chatty", "49", identify.PUSH_PAUSE)]
    assert len(parsed) == 3
    for _ in range(100):
        await service._learn_from_push("later", Identify(agent_version="x").SerializeToString(), connection)
    assert set(service._next_parse) == {"later"}
    assert not service._pushed
    # A push that waits when its connection ends is older than the peer's message on the next one.
    looks.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            service._learn_from_push, "later", Identify(agent_version="old").SerializeToString(), connection
        )
        await trio.testing.wait_all_tasks_blocked()
        connection.is_closed = True
    assert looks == []
    other: Any = Connection()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            service._learn_from_push, "later", Identify(agent_version="first").SerializeToString(), other
        )
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(
            service._learn_from_push, "later", Identify(agent_version="2").SerializeToString(), connection
        )
    assert [agent for _, agent, _ in looks] == ["first"]


async def test_of_twenty_busy_streams_one_goes_on_in_each_turn() -> None:
    shares, gate, read, most = Shares[bytes](LOOP_TIME), FastLock(), 0, list[int]()

    async def reader(number: int) -> None:
        nonlocal read
        turns = reading.Turns(b"%d" % number, shares, gate)
        turns.begin(0)
        for _ in range(400):
            await turns.between()
            read += 1

    async def ticker() -> None:
        while read < 20 * 400:
            before = read
            await trio.lowlevel.checkpoint()
            most.append(read - before)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(reader, number)
        nursery.start_soon(ticker)
    # After the first messages of each, which it did not wait for.
    assert max(most[3:]) <= 2 * reading.MESSAGES_PER_TURN


async def test_a_stream_that_takes_more_of_the_loop_than_there_is_waits_and_others_go_on(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "perf_counter", lambda: took)
    shares, gate, took, finished = Shares[bytes](Rate(0.5, 0.5)), FastLock(), 0.0, dict[bytes, float]()

    async def reader(neighbour: bytes, number: int, pause: float) -> None:
        nonlocal took
        turns, start = reading.Turns(neighbour, shares, gate), trio.current_time()
        for _ in range(number):
            turns.begin(0)
            took += 0.05  # as if an RPC took so long
            await turns.end()
            await trio.sleep(pause)
        finished[neighbour] = trio.current_time() - start

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader, b"greedy", 200, 0.0)
        nursery.start_soon(reader, b"modest", 20, 0.5)
    # Ten seconds of the loop, of which there is half a second in each.
    assert 14 < finished[b"greedy"] < 25
    assert finished[b"modest"] < 11.5


async def test_a_stream_that_always_has_more_to_read_is_crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(reading, "perf_counter", lambda: now)
    turns = reading.Turns(b"busy", Shares[bytes](LOOP_TIME), FastLock())
    turns.begin(0)
    assert turns.crowded  # a stream begins so, or one would have a moment of grace with each that it opens
    turns.caught_up()
    assert not turns.crowded
    now += reading.BEHIND * 1.1
    turns.begin(0)
    assert turns.crowded
    turns.caught_up()
    assert not turns.crowded


async def test_a_new_stream_of_a_neighbour_that_used_too_much_is_crowded() -> None:
    shares = Shares[bytes](LOOP_TIME)
    shares.spend(b"busy", 10.0, trio.current_time())
    for neighbour in (b"busy", b"other"):
        turns = reading.Turns(neighbour, shares, FastLock())
        turns.begin(0)
        turns.caught_up()
        assert turns.crowded == (neighbour == b"busy")
