"""Containment: services that fail, library tasks that fail, and the library's habits that only show inside."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from dataclasses import replace
from typing import Any, cast

import pytest
import trio
import trio.lowlevel
import trio.testing
from libp2p.abc import INetStream
from libp2p.network.stream.exceptions import StreamReset
from libp2p.pubsub.pb import rpc_pb2

from betar_tui import supervise
from betar_tui.errors import DecodeError, StoreError
from betar_tui.p2p.adaptations.router import PROTOCOLS
from betar_tui.p2p.duplicates import detector
from betar_tui.p2p.guard import MAX_TEXT, guarded, has_ended, is_nonsense
from betar_tui.p2p.types import Misbehaviour, ReceivedBroadcast
from betar_tui.supervise import Supervisor
from tests.p2p.peers import QUICK, meet, pair, peer, raw_stream, until


async def test_a_library_task_that_fails_ends_alone_and_a_daemon_starts_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with peer("alice") as alice:
        runs = []

        async def fails() -> None:
            runs.append(trio.current_time())
            raise RuntimeError("as if a defect of the library")

        for service in (alice.network._swarm, alice.network._gossip.pubsub):
            service.manager.run_task(fails)
            service.manager.run_daemon_task(fails)
        await until(lambda: len(runs) > 6)
        assert alice.network._swarm.manager.is_running
        assert alice.network._gossip.pubsub.manager.is_running


async def test_a_service_that_fails_is_started_again_and_shows(autojump_clock: trio.testing.MockClock) -> None:
    starts = []

    async def service() -> None:
        starts.append(trio.current_time())
        if len(starts) < 4:
            raise OSError("no luck")
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(nursery)
        supervisor.start("luck", service)
        await until(lambda: len(starts) == 4)
        assert [round(b - a, 1) for a, b in zip(starts, starts[1:], strict=False)] == [0.5, 1.0, 2.0]
        assert supervisor.troubles() == ("luck: failed (OSError: no luck); started again",)
        await trio.sleep(supervise.CALM)
        assert supervisor.troubles() == ()
        supervisor.report("luck", "runs out")
        assert supervisor.troubles() == ("luck: runs out",)
        supervisor.report("luck", "")
        assert supervisor.troubles() == ()
        nursery.cancel_scope.cancel()


async def test_a_store_that_stays_broken_ends_the_nursery_and_one_that_recovers_does_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    starts = []

    async def service() -> None:
        starts.append(trio.current_time())
        if len(starts) == 4:
            await trio.sleep(supervise.CALM + 1)
        async with trio.open_nursery():
            raise StoreError("the disk is gone")

    with pytest.raises(BaseExceptionGroup) as raised:
        async with trio.open_nursery() as nursery:
            Supervisor(nursery).start("merging", service)
    assert raised.value.subgroup(StoreError)
    assert len(starts) == 3 + supervise.STORE_FAILURES


async def test_other_errors_between_do_not_count_as_a_broken_store(autojump_clock: trio.testing.MockClock) -> None:
    starts = 0
    enough = trio.Event()

    async def service() -> None:
        nonlocal starts
        starts += 1
        if starts > 20:
            enough.set()
        raise StoreError("locked") if starts % 3 else OSError("else")

    async with trio.open_nursery() as nursery:
        Supervisor(nursery).start("merging", service)
        with trio.fail_after(600):
            await enough.wait()
        nursery.cancel_scope.cancel()


def test_an_error_that_only_means_the_end_of_a_stream_is_not_a_misbehaviour() -> None:
    assert has_ended(StreamReset())
    assert has_ended(ExceptionGroup("both", [StreamReset(), ExceptionGroup("in", [OSError()])]))
    assert not has_ended(ExceptionGroup("both", [StreamReset(), KeyError()]))
    assert not has_ended(KeyError())
    assert is_nonsense(ExceptionGroup("both", [StreamReset(), DecodeError("x")]))
    for error in (StreamReset(), StoreError("x"), ExceptionGroup("both", [DecodeError("x"), StoreError("x")])):
        assert not is_nonsense(error)


async def test_cancellation_passes_through_the_guard() -> None:
    penalties: list[Any] = []

    async def forever(stream: Any) -> None:
        await trio.sleep_forever()

    with trio.move_on_after(0.01) as scope:
        await guarded(forever, lambda *penalty: penalties.append(penalty))(None)  # type: ignore[arg-type]
    assert scope.cancelled_caught
    assert penalties == []


async def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    async with pair():
        assert threading.active_count() <= before + 1  # trio may keep one for blocking calls
    assert threading.active_count() <= before + 1


async def test_two_writers_never_mix_their_messages() -> None:
    """A replay for a new peer and its queue write to one stream; yamux sends pieces as the window allows."""
    async with pair() as (alice, bob):
        pubsub = alice.network._gossip.pubsub
        stream = next(iter(pubsub.peers.values()))
        pieces: list[int] = []

        async def slow_write(data: bytes) -> None:
            for _ in range(3):
                pieces.append(data[-1])
                await trio.sleep(0.01)

        stream.write = slow_write  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            for letter in (b"a", b"b"):
                message = rpc_pb2.Message(topicIDs=[], data=b"", key=letter)
                nursery.start_soon(pubsub.write_msg, stream, rpc_pb2.RPC(publish=[message]))
        own = [piece for piece in pieces if piece in b"ab"]
        assert own in ([97, 97, 97, 98, 98, 98], [98, 98, 98, 97, 97, 97])


async def test_a_peer_that_offers_gossip_a_little_late_is_taken_in() -> None:
    """As shipped a gossip stream whose negotiation failed is not tried again."""
    async with peer("alice") as alice, peer("bob") as bob:
        mux = bob.network._host.get_mux()
        refused: set[object] = set()

        class Late(dict[Any, Any]):
            def __contains__(self, protocol: object) -> bool:
                if protocol in PROTOCOLS:
                    refused.add(protocol)
                    return False
                return super().__contains__(protocol)

        kept, mux.handlers = mux.handlers, Late(mux.handlers)
        await alice.network.connect(bob.network.addrs[0])
        await until(lambda: refused.issuperset(PROTOCOLS))
        mux.handlers = kept
        await until(lambda: alice.network.topic_peers() and bob.network.topic_peers())


async def test_a_peer_record_in_a_message_is_not_looked_at() -> None:
    async with pair() as (alice, bob):
        stream = await raw_stream(alice, bob.id, PROTOCOLS[0])
        hello = alice.network._gossip.pubsub.get_hello_packet()
        hello.senderRecord = b"garbage"
        raw = hello.SerializeToString()
        assert len(raw) < 128
        await stream.write(bytes((len(raw),)) + raw)
        await alice.network.broadcast(b"fine")
        await until(lambda: bob.of(ReceivedBroadcast))
        assert bob.of(Misbehaviour) == []


async def test_misbehaviours_found_by_the_decoder_reach_the_events() -> None:
    async with pair() as (alice, bob):
        bob.network.penalize(alice.id, "a delta that makes no sense")
        await until(lambda: bob.of(Misbehaviour) == [Misbehaviour(alice.id, "a delta that makes no sense")])


async def test_a_misbehaviour_that_quotes_megabytes_is_reported_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "betar_tui")
    async with pair() as (alice, bob):

        async def strict(stream: INetStream) -> None:
            raise DecodeError("x" * 2_000_000)

        bob.network.set_protocol_handler("/test/strict/1.0.0", strict)
        await until(lambda: alice.network.supports(bob.id, "/test/strict/1.0.0"))
        stream = await raw_stream(alice, bob.id, "/test/strict/1.0.0")
        await stream.write(b"x")
        await until(lambda: bob.of(Misbehaviour))
        bob.network.penalize(alice.id, "y" * 2_000_000)
        await until(lambda: len(bob.of(Misbehaviour)) == 2)
        assert {len(event.reason) for event in bob.of(Misbehaviour)} == {MAX_TEXT}
        assert max(len(record.getMessage()) for record in caplog.records) < 1000


@pytest.mark.parametrize("seed", [b"", b"x" * 31])
async def test_a_seed_of_the_wrong_length_is_refused(seed: bytes) -> None:
    from betar_tui.errors import NetworkError

    with pytest.raises(NetworkError, match="32 bytes"):
        async with peer("x", seed=seed):
            pass


async def test_connecting_from_both_sides_at_once_works() -> None:
    timing = replace(QUICK, ping_interval=5.0)
    async with peer("alice", timing=timing) as alice, peer("bob", timing=timing) as bob:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(alice.network.connect, bob.network.addrs[0])
            nursery.start_soon(bob.network.connect, alice.network.addrs[0])
        await until(lambda: alice.network.topic_peers() and bob.network.topic_peers())
        await meet(alice, bob)
        await alice.network.broadcast(b"once")
        await bob.network.broadcast(b"once")
        await until(lambda: alice.of(ReceivedBroadcast) and bob.of(ReceivedBroadcast))


async def test_a_network_leaves_nothing_behind() -> None:
    """A peer opens its network again after a failure: nothing may keep the one before alive."""

    async def session() -> list[weakref.ref[Any]]:
        async with pair() as (alice, bob):
            await alice.network.broadcast(b"x")
            await until(lambda: bob.of(ReceivedBroadcast))
            parts = (alice.network, alice.network._host, bob.network._bitswap, bob.network._gossip.pubsub)
            return [weakref.ref(each) for each in parts]

    gone = await session()
    for _ in range(3):
        await trio.sleep(0.05)
        gc.collect()
    assert [each() for each in gone if each() is not None] == []


async def cancelled_while_its_stream_ends(*_: object) -> None:
    """Two tasks, of which one is cancelled and the other finds at the same moment that its stream is over."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        try:
            await trio.sleep_forever()
        finally:
            raise StreamReset


async def test_a_handler_that_is_cancelled_while_its_stream_ends_ends_quietly() -> None:
    reports = list[str]()
    handler = guarded(
        cancelled_while_its_stream_ends,
        lambda peer, reason: reports.append(reason),
        lambda task, error: reports.append(task),
    )
    with trio.move_on_after(0.01) as scope:
        await handler(cast(INetStream, None))
    assert scope.cancelled_caught
    assert not reports


async def test_a_peer_stops_quietly_while_the_stream_of_a_relay_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "watch_relay", cancelled_while_its_stream_ends)
    async with pair() as (alice, _):
        await trio.testing.wait_all_tasks_blocked()
        assert alice.network.connections()
