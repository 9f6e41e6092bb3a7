"""Whom we ask whether it holds our heads, and what follows from the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from betar_tui.p2p.types import PeerDisconnected, PeerJoined
from betar_tui.sync.levels import ASK_AFTER, PATIENCE
from betar_tui.sync.observation import PASS_INTERVAL, Observation
from betar_tui.values import PeerInfo
from tests.sync.fakes import Network, Writer

SOON = ASK_AFTER + PASS_INTERVAL + 0.1
AT = 1_000_000.0


@asynccontextmanager
async def observing() -> AsyncIterator[tuple[Observation, Network, Writer, list[int]]]:
    """An observation of alice and bob, and the numbers of peers that it reported to have a delta."""
    network, writer = Network(), Writer()
    counts: list[int] = []
    observation: Any = Observation(network, writer, lambda cid, keys, peers: counts.append(peers))  # type: ignore[arg-type]
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
