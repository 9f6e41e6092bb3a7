"""Which peers are redialled when, and how many at a time. The swarm is a fake, dials take as long as the test says."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from libp2p.network.swarm import Swarm
from trio.testing import MockClock

from betar_tui.errors import NetworkError
from betar_tui.p2p.address_book import AddressBook
from betar_tui.p2p.dialer import MAX_PARALLEL, MAX_PARALLEL_DOUBTFUL, Dialer
from betar_tui.p2p.types import Timing
from tests.p2p.test_address_book import ALICE, BOB, PUBLIC, some_peers

BLACK_HOLE = 5.0
"""Seconds for a dial that nobody answers."""


class SlowDialer(Dialer):
    """Every dial takes `takes` seconds; then the peers in `answer` are connected."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.listed: set[str] = set()
        swarm = SimpleNamespace(get_connections=lambda peer: [], get_total_connections=lambda: 1)
        book = AddressBook(ALICE, 1.0, 60.0)
        super().__init__(cast(Swarm, swarm), ALICE, book, Timing(), nursery, lambda peer: False)
        self.answer: set[str] = set()
        self.started: dict[str, float] = {}
        self.now = Counter[str]()
        self.most = 0
        self.twice = False
        self.takes = BLACK_HOLE

    def connected(self, peer: str) -> bool:
        return peer in self.listed

    async def _race(self, peer: str, addrs: tuple[str, ...]) -> Any:
        self.started.setdefault(peer, trio.current_time())
        self.now[peer] += 1
        self.twice = self.twice or self.now[peer] > 1
        self.most = max(self.most, self.now.total())
        await trio.sleep(self.takes)
        self.now[peer] -= 1
        if peer in self.answer:
            self.listed.add(peer)
            return None
        raise NetworkError(f"{peer} does not answer")


async def test_strangers_do_not_hold_up_a_lost_member(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    dialer = SlowDialer(nursery)
    strangers = some_peers(200, 1)
    for each in strangers:
        dialer.address_book.add(each, [PUBLIC], "dht")
    nursery.start_soon(dialer.run)
    await trio.sleep(1)
    assert dialer.most == MAX_PARALLEL_DOUBTFUL
    start = trio.current_time()
    dialer.answer.add(BOB)
    dialer.address_book.add(BOB, [PUBLIC], "bootstrap")
    dialer.wake()
    await trio.sleep(BLACK_HOLE + 0.1)
    assert dialer.started[BOB] == start
    assert BOB in dialer.listed
    await trio.sleep(BLACK_HOLE * 200 / MAX_PARALLEL_DOUBTFUL)
    assert dialer.started.keys() == {BOB, *strangers}, "each has its turn"
    assert not dialer.twice


async def test_a_member_has_the_next_place_that_is_free(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    dialer = SlowDialer(nursery)
    for each in some_peers(100, 1):
        dialer.address_book.add(each, [PUBLIC], "remembered")
    nursery.start_soon(dialer.run)
    await trio.sleep(1)
    dialer.address_book.add(BOB, [PUBLIC], "remembered")
    dialer.address_book.joined(BOB, trio.current_time())
    dialer.wake()
    await trio.sleep(BLACK_HOLE)
    assert BOB in dialer.started
    assert dialer.most == MAX_PARALLEL


async def test_a_dial_on_demand_does_not_end_the_mark_of_a_redial(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    dialer = SlowDialer(nursery)
    dialer.address_book.add(BOB, [PUBLIC], "bootstrap")
    nursery.start_soon(dialer.run)
    await trio.sleep(1)
    assert dialer.now[BOB] == 1
    dialer.takes = 1.0
    with pytest.raises(NetworkError):
        await dialer.dial(BOB, (PUBLIC,))
    dialer.wake()
    await trio.sleep(0.1)
    assert dialer.now[BOB] == 1, "only the redial that has run all the time"


async def test_no_redial_starts_while_a_dial_on_demand_runs(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    dialer = SlowDialer(nursery)
    nursery.start_soon(dialer.run)
    with trio.move_on_after(1):
        await dialer.dial(BOB, (PUBLIC,))
    dialer.now.clear()
    async with trio.open_nursery() as dials:
        dials.start_soon(fails, dialer)
        await trio.sleep(1)
        dials.start_soon(fails, dialer)
        dialer.address_book.add(BOB, [PUBLIC], "bootstrap")
        dialer.wake()
        await trio.sleep(BLACK_HOLE - 0.5)
        assert dialer.now[BOB] == 1, "the second dial on demand"
    await trio.sleep(0.1)
    assert dialer.now[BOB] == 1, "the redial, which was put off"


async def fails(dialer: Dialer) -> None:
    with pytest.raises(NetworkError):
        await dialer.dial(BOB, (PUBLIC,))
