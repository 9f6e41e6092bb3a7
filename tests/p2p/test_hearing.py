"""Messages to peers that joined, second connections, and questions about blocks, between real peers where they need it."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import trio
import trio.testing
from libp2p.abc import INetStream

from betar_tui.errors import NetworkError
from betar_tui.p2p import hearing
from betar_tui.p2p.addresses import peer_id
from betar_tui.p2p.bitswap.messages import PROTOCOLS, V11, V12, Block, Message, Presence, decode, encode
from betar_tui.p2p.connection_table import PeerRecord
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.hearing import MIN_PAUSE, RETRY_MAX, RETRY_MIN, Hearing, NudgeSchedule, SecondConnections
from betar_tui.p2p.identify import IdentifyInfo
from betar_tui.p2p.types import Misbehaviour, Timing
from tests.p2p.peers import QUICK, Peer, cid_for, meet, pair, peer, raw_stream, until

PAUSES = Timing().nudges


def test_messages_come_at_growing_pauses_for_half_a_minute() -> None:
    schedule = NudgeSchedule(PAUSES)
    schedule.start("alice", 100.0)
    sent = []
    while (due := schedule.next_due()) < float("inf"):
        assert schedule.take(due - 0.01) == []
        assert schedule.take(due) == ["alice"]
        sent.append(due - 100.0)
    assert sent[:3] == [0.0, 1.0, 3.0]
    assert sent[-1] == 30.0
    assert sorted(PAUSES) == list(PAUSES)


def test_a_peer_that_joins_again_and_again_is_not_told_more_often() -> None:
    schedule = NudgeSchedule(PAUSES)
    sent = 0
    for step in range(1000):
        schedule.start("alice", step / 100)
        sent += len(schedule.take(step / 100))
    assert sent == pytest.approx(10 / MIN_PAUSE, abs=1)
    schedule.forget("alice")
    assert schedule.next_due() == float("inf")


def test_a_second_connection_is_opened_once_and_tried_at_growing_pauses() -> None:
    second = SecondConnections()
    assert second.may_try("alice", 0.0)
    assert not second.may_try("alice", RETRY_MIN - 0.1)
    tries = [now for now in range(1, 4000) if second.may_try("alice", float(now))]
    pauses = [b - a for a, b in zip(tries, tries[1:], strict=False)]
    assert pauses[0] == 2 * RETRY_MIN
    assert max(pauses) == RETRY_MAX == pauses[-1]
    second.succeeded("alice")
    assert not second.may_try("alice", 1e9)
    second.forget("alice")
    assert second.may_try("alice", 1e9)


def deafen(deaf: Peer, got: list[Message], *protocols: str) -> None:
    """Let a peer note the Bitswap messages that it gets, over these protocols alone, and answer none."""

    async def collect(stream: INetStream) -> None:
        frames = FrameReader(stream, 1 << 22)
        while (raw := await frames.next()) is not None:
            got.append(decode(raw))

    handlers = deaf.network._host.get_mux().handlers
    for each in PROTOCOLS:
        handlers.pop(each, None)  # type: ignore[call-overload]
    for each in protocols:
        deaf.network._host.set_stream_handler(each, collect)  # type: ignore[arg-type]


async def test_a_peer_that_joins_is_sent_messages() -> None:
    timing = replace(QUICK, nudges=(0.0, 0.05, 0.05))
    async with peer("alice", timing=QUICK) as alice, peer("bob", timing=timing) as bob:
        got: list[Message] = []
        deafen(alice, got, V12)
        await meet(alice, bob)
        await until(lambda: len(got) == 2)  # the first came before its Bitswap was known, or with the second
        assert all(not message.entries and not message.blocks for message in got)
        (presence,) = got[0].presences
        assert not presence.have
        assert presence.cid != got[1].presences[0].cid


async def test_a_further_connection_starts_them_again() -> None:
    async with pair(timing=replace(QUICK, nudges=())) as (alice, bob):
        got: list[Message] = []
        deafen(alice, got, V12)
        bob.network.hearing._nudges._pauses = (0.0,)
        await alice.network._dialer.dial_again(bob.id, bob.network.addrs)
        await until(lambda: got)
        assert len(bob.network._table.connections(alice.id)) == 2


@pytest.fixture
def as_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peers take each other for another program."""
    monkeypatch.setattr(hearing, "OWN_PROTOCOLS", "/nobody/")


async def test_a_peer_that_never_asks_gets_a_second_connection_and_keeps_it(as_foreign: None) -> None:
    async with pair() as (alice, bob):
        await until(lambda: alice.id in bob.network._bitswap._links)
        for _ in range(3):
            bob.network.hearing.unheard(alice.id)
        await until(lambda: len(bob.network._table.connections(alice.id)) == 2)
        await until(lambda: len(alice.network._table.connections(bob.id)) == 2)
        cid = bob.shelf.put(os.urandom(600))
        await alice.fetch([cid], bob.id)  # both have probed the older connection meanwhile
        assert not bob.network.hearing._second.may_try(alice.id, trio.current_time() + 3600)
        assert len(bob.network._table.connections(alice.id)) == 2


class NeverAsked:
    """A Bitswap that no peer has asked for a block."""

    def wanted_by(self, peer: str) -> bool:
        return False


ALICE = "12D3KooWRkZhiRhsqmrQ28rt73K7V3aCBpqKrLGSXmZ99PTcTZby"
CLAIMED = (
    "/ip4/127.0.0.1/tcp/22",
    "/ip6/::ffff:127.0.0.1/tcp/22",
    "/ip4/192.168.1.1/tcp/80",
    "/dns4/example.org/tcp/80",
    "/ip4/93.184.216.34/tcp/4001",
)


async def test_a_second_connection_is_not_opened_to_whatever_a_peer_claims(nursery: trio.Nursery) -> None:
    info = IdentifyInfo(protocols=PROTOCOLS, addrs=tuple(f"{each}/p2p/{ALICE}" for each in CLAIMED))
    record = PeerRecord(ALICE, 0.0, "in", (f"/ip4/93.184.216.34/tcp/50123/p2p/{ALICE}",), info)
    dialled: list[str] = []

    async def dial(peer: str, addrs: tuple[str, ...]) -> None:
        dialled.extend(addrs)
        raise NetworkError("nobody there")

    hearing = Hearing(NeverAsked(), dial, lambda peer: record, lambda: [ALICE], nursery, ())  # type: ignore[arg-type]
    hearing.unheard(ALICE)
    await until(lambda: dialled)
    assert dialled == [f"/ip4/93.184.216.34/tcp/4001/p2p/{ALICE}"]


async def test_a_peer_that_goes_while_it_is_dialled_is_forgotten(nursery: trio.Nursery) -> None:
    info = IdentifyInfo(protocols=PROTOCOLS)
    records = {ALICE: PeerRecord(ALICE, 0.0, "out", (f"/ip4/93.184.216.34/tcp/4001/p2p/{ALICE}",), info)}
    done = trio.Event()

    async def dial(peer: str, addrs: tuple[str, ...]) -> None:
        del records[peer]
        hearing.ended(peer)
        done.set()

    hearing = Hearing(NeverAsked(), dial, records.get, lambda: [ALICE], nursery, ())  # type: ignore[arg-type]
    hearing.unheard(ALICE)
    await done.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert not hearing._second._tried


async def test_a_peer_that_has_asked_gets_none(as_foreign: None) -> None:
    async with pair() as (alice, bob):
        await alice.fetch([bob.shelf.put(os.urandom(600))], bob.id)
        bob.network.hearing.unheard(alice.id)
        assert not bob.network.hearing._second._tried


async def test_a_bitswap_that_starts_late_is_noticed(as_foreign: None) -> None:
    async with peer("alice") as alice, peer("bob") as bob:
        mux = alice.network._host.get_mux()
        handlers = {each: mux.handlers.pop(each) for each in PROTOCOLS}  # type: ignore[call-overload]
        await meet(alice, bob)
        await until(lambda: alice.id in bob.network.hearing._without_bitswap)
        mux.handlers.update(handlers)
        await alice.network._identify.push(peer_id(bob.id), 5)
        await until(lambda: len(bob.network._table.connections(alice.id)) == 2)


async def test_a_peer_answers_whether_it_has_a_block() -> None:
    async with pair() as (alice, bob):
        await until(lambda: alice.id in bob.network._bitswap._links)
        answers: list[tuple[bytes, bool]] = []
        bob.network.hearing.on_answer(lambda peer, cid, have: answers.append((cid, have)))
        small, large, later = (alice.shelf.put(os.urandom(size)) for size in (100, 5000, 200))
        data = alice.shelf.stored.pop(later)
        bob.network.hearing.ask(alice.id, [small, large, later])
        await until(lambda: len(answers) == 3)
        assert dict(answers) == {small: True, large: True, later: False}
        alice.shelf.stored[later] = data
        alice.network.announce_block(later)
        await until(lambda: (later, True) in answers)
        assert bob.of(Misbehaviour) == []


async def test_a_block_that_was_not_asked_about_is_still_a_misbehaviour() -> None:
    async with pair() as (alice, bob):
        await until(lambda: alice.id in bob.network._bitswap._links)
        bob.network.hearing.ask(alice.id, [cid_for(b"asked")])
        stream = await raw_stream(alice, bob.id, V12)
        await stream.write(frame(encode(Message(blocks=[Block(cid_for(b"")[:4], b"not asked")]))))
        await until(lambda: bob.of(Misbehaviour))


async def test_an_old_version_is_asked_nothing() -> None:
    async with peer("alice") as alice, peer("bob") as bob:
        got: list[Message] = []
        deafen(alice, got, V11)
        await meet(alice, bob)
        await until(lambda: alice.id in bob.network._bitswap._links)
        bob.network.hearing.ask(alice.id, [cid_for(b"x")])
        bob.network._bitswap._links[alice.id].push((), [Presence(cid_for(b"y"), False)])
        await until(lambda: got)
        assert not any(message.entries for message in got)


async def test_the_end_of_a_peers_side_is_no_loss_of_our_stream() -> None:
    """Helia ends its side of every stream that we open, at once."""
    async with pair(timing=replace(QUICK, nudges=())) as (alice, bob):
        got: list[Message] = []
        opened: list[INetStream] = []

        async def half_close(stream: INetStream) -> None:
            opened.append(stream)
            await stream.muxed_conn.streams[stream.muxed_stream.stream_id].close()  # type: ignore[attr-defined]
            frames = FrameReader(stream, 1 << 22)
            while (raw := await frames.next()) is not None:
                got.append(decode(raw))

        for each in PROTOCOLS:
            alice.network._host.set_stream_handler(each, half_close)  # type: ignore[arg-type]
        await until(lambda: alice.id in bob.network._bitswap._links)
        for n in range(20):
            bob.network._bitswap._links[alice.id].push((), [Presence(cid_for(b"%d" % n), False)])
            await until(lambda n=n: len(got) == n + 1)
        assert len(opened) == 1
