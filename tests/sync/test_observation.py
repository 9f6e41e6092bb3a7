"""Whom we ask whether it holds our heads, and what follows from the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from betar_tui.p2p.types import PeerDisconnected, PeerJoined
from betar_tui.replica import Head
from betar_tui.sync.levels import ASK_AFTER, PATIENCE
from betar_tui.sync.observation import PASS_INTERVAL, Observation
from betar_tui.sync.reannouncing import MAX_TIMES, REANNOUNCE_AFTER
from betar_tui.values import PeerInfo
from tests.sync.fakes import Network, Writer

SOON = ASK_AFTER + PASS_INTERVAL + 0.1
AT = 1_000_000.0


@asynccontextmanager
async def observing() -> AsyncIterator[tuple[Observation, Network, Writer, list[int]]]:
    """An observation of alice and bob, and the numbers of peers that it reported to have a delta."""
    network, writer = Network(), Writer()
    counts: list[int] = []
    observation: Any = Observation(
        network,  # type: ignore[arg-type]
        writer,  # type: ignore[arg-type]
        lambda cid, keys, peers: counts.append(peers),
        lambda heads: network.sent.append((trio.current_time(), [Head(cid, None) for cid in heads])),
    )
    writer.listen(lambda applied: applied, observation.applied)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(observation.run)
        for peer in ("alice", "bob"):
            observation.handle(PeerJoined(peer))
        yield observation, network, writer, counts
        nursery.cancel_scope.cancel()


def described(observation: Observation, peer: str) -> tuple[int | None, float | None]:
    (info,) = observation.describe([PeerInfo(peer, (), "in", None, "", (), True, AT)], AT)
    return info.behind, info.waiting_since


async def test_those_not_seen_to_hold_a_head_are_asked(autojump_clock) -> None:
    async with observing() as (observation, network, writer, counts):
        await trio.sleep(SOON)
        assert network.hearing.asked == []  # no heads
        head = writer.put("/agents/a")
        observation.announced("alice", [head])
        await trio.sleep(SOON)
        assert network.hearing.asked == [("bob", (head,))]
        assert described(observation, "bob") == (None, None)
        network.hearing.answered("bob", head, True)
        assert counts == [1, 2]
        assert described(observation, "bob") == described(observation, "alice") == (0, None)
        await trio.sleep(100)
        assert network.hearing.asked == [("bob", (head,))]
        assert network.hearing.deaf == []


async def test_one_that_lacks_it_does_not_hear_us(autojump_clock) -> None:
    async with observing() as (observation, network, writer, counts):
        first = writer.put("/agents/a")
        observation.sent("alice", [first])
        observation.brought("bob", [first])
        second = writer.put("/agents/b")
        observation.sent("bob", [second])
        await trio.sleep(SOON)
        network.hearing.answered("alice", second, False)
        assert network.hearing.deaf == ["alice"]
        assert described(observation, "alice") == (1, None)
        await trio.sleep(PATIENCE)
        behind, since = described(observation, "alice")
        assert behind == 1
        assert since is not None
        assert AT - since > PATIENCE
        observation.sent("alice", [second])
        assert described(observation, "alice") == (0, None)
        assert counts


async def test_a_head_that_is_new_is_not_held_against_one_that_lacks_an_older(autojump_clock) -> None:
    async with observing() as (_, network, writer, _counts):
        writer.put("/agents/a")
        await trio.sleep(40)
        network.hearing.deaf.clear()
        fresh = writer.put("/agents/b")
        await trio.sleep(PASS_INTERVAL * 2)
        network.hearing.answered("alice", fresh, False)
        assert network.hearing.deaf == []


async def test_a_head_that_a_peer_says_it_lacks_is_announced_again_but_not_for_ever(autojump_clock) -> None:
    """As a Go peer that has missed the broadcasts."""
    async with observing() as (observation, network, writer, _):
        start = trio.current_time()
        head = writer.put("/agents/a")
        observation.announced("bob", [head])
        while trio.current_time() < start + 200:
            asked = len(network.hearing.asked)
            await trio.sleep(0.5)
            for peer, heads in network.hearing.asked[asked:]:
                for cid in heads:
                    network.hearing.answered(peer, cid, False)
        assert [[each.cid for each in heads] for _, heads in network.sent] == [[head]] * MAX_TIMES
        times = [at - start for at, _ in network.sent]
        assert 2.4 <= times[0] <= 4.5
        pauses = [b - a for a, b in zip(times, times[1:], strict=False)]
        assert pauses[1] > pauses[0] > REANNOUNCE_AFTER


async def test_one_that_fetches_it_meanwhile_is_not_told_again(autojump_clock) -> None:
    async with observing() as (observation, network, writer, _):
        head = writer.put("/agents/a")
        await trio.sleep(SOON)
        for peer in ("alice", "bob"):
            network.hearing.answered(peer, head, False)
        observation.sent("alice", [head])
        observation.handle(PeerDisconnected("bob"))
        await trio.sleep(100)
        assert network.sent == []


async def test_one_that_does_not_answer_does_not_hear_us_either(autojump_clock) -> None:
    async with observing() as (observation, network, writer, _):
        head = writer.put("/agents/a")
        observation.handle(PeerDisconnected("bob"))
        await trio.sleep(SOON + 1.5)
        assert network.hearing.asked == [("alice", (head,))] * 2
        assert network.hearing.deaf == ["alice"]


async def test_a_sign_wakes_the_one_who_asks(autojump_clock) -> None:
    async with observing() as (observation, network, writer, _):
        lower = writer.put("/agents/a")
        head = writer.put("/agents/b")
        observation.handle(PeerDisconnected("bob"))
        await trio.sleep(40)
        asked = len(network.hearing.asked)
        observation.sent("alice", [lower])
        await trio.sleep(SOON)
        assert network.hearing.asked[asked:] == [("alice", (head,))]


async def test_a_burst_costs_one_question(autojump_clock) -> None:
    async with observing() as (observation, network, writer, _):
        for n in range(50):
            head = writer.put(f"/agents/{n}")
            observation.announced("alice", [head])
        await trio.sleep(SOON)
        assert network.hearing.asked == [("bob", (head,))]
