"""Which peers of earlier runs are dialled, and which are forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing

from betar_tui.p2p.address_book import AddressBook
from betar_tui.p2p.network import Network
from betar_tui.peer.peer_memory import (
    BATCH,
    CLAIMED_IN_BATCH,
    DAY,
    INTERVAL,
    MANY_FAILURES,
    MAX_CLAIMED,
    MAX_STORED,
    PeerMemory,
    in_order,
    is_useless,
    worth_keeping,
)
from betar_tui.replica.facts import PeerRow
from betar_tui.store.database import Store, open_store
from tests.p2p.test_address_book import ALICE, BOB, LAN, PUBLIC, some_peers

NOW = 1e9


def row(number: int, age: float = 0.0, *, reached: bool = True, failures: int = 0) -> PeerRow:
    return PeerRow(f"peer{number}", (PUBLIC,), NOW - age, reached, failures)


def test_the_order_to_dial_in() -> None:
    rows = [row(1, 50), row(2, 10, failures=3), row(3, 20), row(4, 5, failures=3)]
    assert [each.peer_id for each in in_order(rows)] == ["peer3", "peer1", "peer4", "peer2"]


def test_claims_cannot_keep_the_others_away() -> None:
    claimed = [row(n, reached=False) for n in range(60)]
    reached = [row(100 + n, DAY) for n in range(30)]
    first = in_order(claimed + reached)[:BATCH]
    assert sum(not each.reached for each in first) == CLAIMED_IN_BATCH
    assert sorted(in_order(claimed + reached), key=str) == sorted(claimed + reached, key=str)


def test_what_is_forgotten() -> None:
    many = MANY_FAILURES
    assert not is_useless(row(1, 400 * DAY), NOW)  # the machine was off for a year
    assert not is_useless(row(1, 13 * DAY, failures=10_000), NOW)
    assert not is_useless(row(1, 400 * DAY, failures=many - 1), NOW)
    assert is_useless(row(1, 15 * DAY, failures=many), NOW)
    assert is_useless(row(1, 3 * DAY, failures=many, reached=False), NOW)
    assert not is_useless(row(1, 1 * DAY, failures=many, reached=False), NOW)


def test_places() -> None:
    rows = {each.peer_id: each for each in (row(n, n, reached=n % 2 == 0) for n in range(1000))}
    kept = worth_keeping(rows, NOW).values()
    assert len(kept) == MAX_STORED
    assert sum(not each.reached for each in kept) == MAX_CLAIMED
    assert max(each.last_seen for each in rows.values() if each not in kept) < NOW


class FakeNetwork:
    """The parts of a network that the memory uses."""

    def __init__(self) -> None:
        self.address_book = AddressBook(ALICE, 1.0, 60.0)
        self.members: tuple[str, ...] = ()

    @property
    def audience(self) -> int:
        return len(self.members)

    def topic_peers(self) -> tuple[str, ...]:
        return self.members

    def remember(self, peer: str, addrs: tuple[str, ...], found: str) -> bool:
        return self.address_book.add(peer, addrs, found)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "db")
    yield opened
    opened.close()


async def test_a_member_is_stored_and_brought_up_to_date(
    store: Store, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.1  # the store is written by a thread
    network = FakeNetwork()
    memory = PeerMemory(store, lambda: NOW)
    assert await memory.load() == ()
    nursery.start_soon(memory.run, cast(Network, network))
    await memory.note(cast(Network, network), BOB)
    assert store.peers() == []  # no address of it is known
    network.address_book.add(BOB, [PUBLIC], "incoming")
    await memory.note(cast(Network, network), BOB)
    assert store.peers() == [PeerRow(BOB, (f"{PUBLIC}/p2p/{BOB}",), NOW, reached=False)]
    network.members = (BOB,)
    network.address_book.replace(BOB, [LAN])
    network.address_book.connected(BOB, 0.0, reached=True)
    await trio.sleep(INTERVAL * 1.5)
    assert store.peers() == [PeerRow(BOB, (f"{LAN}/p2p/{BOB}",), NOW)]
    nursery.cancel_scope.cancel()


async def test_more_are_dialled_while_few_answer_and_the_useless_are_forgotten(
    store: Store, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.1
    network = FakeNetwork()
    peers = some_peers(40, 1)
    store.change_peers([PeerRow(peer, (PUBLIC,), NOW - 20 * DAY + n) for n, peer in enumerate(peers)])
    memory = PeerMemory(store, lambda: NOW)
    first = [peer for peer, _ in await memory.load()]
    assert first == peers[::-1][: BATCH - CLAIMED_IN_BATCH] + peers[::-1][BATCH - CLAIMED_IN_BATCH : BATCH]
    for peer in first:
        network.remember(peer, (PUBLIC,), "remembered")
    nursery.start_soon(memory.run, cast(Network, network))
    await trio.sleep(INTERVAL * 1.5)
    assert all(network.address_book.addrs(peer) for peer in peers[::-1][: 2 * BATCH])
    assert not network.address_book.addrs(peers[0])
    network.members = tuple(some_peers(6, 2))
    for _ in range(MANY_FAILURES):
        network.address_book.failed(first[0], 0.0)
        network.address_book.failed(first[1], 0.0, count=False)
    await trio.sleep(INTERVAL)
    assert not network.address_book.addrs(first[0])
    assert network.address_book.addrs(first[1])
    assert not network.address_book.addrs(peers[0]), "enough are on the topic"
    assert {each.peer_id for each in store.peers()} == set(peers) - {first[0]}
    nursery.cancel_scope.cancel()
