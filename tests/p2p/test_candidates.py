"""Peers that somebody told of: dialled, and remembered when they come to the topic."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from betar_tui.errors import NetworkError
from betar_tui.p2p.address_book import AddressBook
from betar_tui.p2p.candidates import AGAIN, DEFERENCE, MAX_CANDIDATES, MAX_MET, MAX_PARALLEL, Candidates
from betar_tui.p2p.dialer import Dialer

ALICE = "12D3KooWRkZhiRhsqmrQ28rt73K7V3aCBpqKrLGSXmZ99PTcTZby"
BOB = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"
AT_BOB = (f"/ip4/10.1.0.2/tcp/4001/p2p/{BOB}",)
MOVED = (f"/ip4/10.1.0.3/tcp/4001/p2p/{BOB}",)

LONG = 100 * AGAIN
"""Seconds of the mock clock after which every dial is over."""


class FakeDialer:
    """Dials as long as `wait` says; `refuses` is whether it fails then."""

    def __init__(self) -> None:
        self.address_book = AddressBook(ALICE, 1.0, 60.0)
        self.dials: list[str] = []
        self.where: list[tuple[str, ...]] = []
        self.refuses = False
        self.wait = 0.0
        self.listed: set[str] = set()
        self.most = self.now = 0

    def connected(self, peer: str) -> bool:
        return peer in self.listed

    async def dial(self, peer: str, addrs: tuple[str, ...]) -> Any:
        self.dials.append(peer)
        self.where.append(addrs)
        self.now += 1
        self.most = max(self.most, self.now)
        await trio.sleep(self.wait)
        self.now -= 1
        if self.refuses:
            raise NetworkError("refused")
        self.listed.add(peer)
        return SimpleNamespace()


def candidates(nursery: trio.Nursery, *members: str, banned: tuple[str, ...] = ()) -> tuple[Candidates, FakeDialer]:
    dialer = FakeDialer()
    own = cast(Dialer, dialer)
    return Candidates(ALICE, own, nursery, lambda: members, banned.__contains__), dialer


async def test_a_candidate_is_remembered_once_it_is_on_the_topic(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    some, dialer = candidates(nursery)
    some.add("mdns", BOB, AT_BOB)
    await trio.sleep(DEFERENCE + 0.1)
    assert dialer.dials == [BOB]
    assert some.found(BOB) == "mdns"
    assert dialer.address_book.addrs(BOB) == ()
    some.joined(BOB)
    assert dialer.address_book.addrs(BOB) == AT_BOB
    assert dialer.address_book.found(BOB) == "mdns"


async def test_one_that_is_on_the_topic_already_is_remembered_at_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    some, dialer = candidates(nursery, BOB)
    some.add("mdns", BOB, AT_BOB)
    await trio.sleep(DEFERENCE + 0.1)
    assert dialer.address_book.addrs(BOB) == AT_BOB


async def test_what_a_stranger_says_does_not_replace_known_addresses(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    some, dialer = candidates(nursery, BOB)
    known = f"/ip4/10.1.0.77/tcp/4001/p2p/{BOB}"
    dialer.address_book.add(BOB, (known,), "bootstrap")
    some.add("mdns", BOB, AT_BOB)
    await trio.sleep(DEFERENCE + 0.1)
    assert dialer.address_book.addrs(BOB) == (known,)
    assert dialer.address_book.found(BOB) == "bootstrap"


async def test_one_that_cannot_be_reached_is_forgotten_and_tried_again_when_heard_of_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    some, dialer = candidates(nursery)
    dialer.refuses = True
    for _ in range(2):
        some.add("mdns", BOB, AT_BOB)
        some.add("mdns", BOB, AT_BOB)  # it is being dialled: no second time
        await trio.sleep(DEFERENCE + 0.1)
    assert dialer.dials == [BOB, BOB]
    assert some.found(BOB) == ""
    some.joined(BOB)
    assert dialer.address_book.addrs(BOB) == ()


async def test_one_that_has_just_come_is_dialled_once_more(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    some, dialer = candidates(nursery)
    dialer.refuses = True
    some.add("mdns", BOB, AT_BOB, fresh=False)
    await trio.sleep(LONG)
    assert dialer.dials == [BOB], "not one that has been there"
    some.add("mdns", BOB, AT_BOB)
    await trio.sleep(LONG)
    assert dialer.dials == [BOB] * 3
    some.add("mdns", BOB, AT_BOB)
    await trio.sleep(AGAIN)
    dialer.refuses = False
    await trio.sleep(LONG)
    assert dialer.dials == [BOB] * 5
    assert some.found(BOB) == "mdns"
    some.add("mdns", BOB, AT_BOB, fresh=False)
    await trio.sleep(LONG)
    assert dialer.dials == [BOB] * 5


async def test_one_that_moves_while_it_is_dialled_is_dialled_where_it_is(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    some, dialer = candidates(nursery)
    dialer.refuses, dialer.wait = True, LONG
    some.add("mdns", BOB, AT_BOB)
    await trio.sleep(LONG / 2)
    for _ in range(2):
        some.add("mdns", BOB, MOVED)
    await trio.sleep(LONG)
    dialer.refuses = False
    await trio.sleep(LONG)
    assert dialer.where == [AT_BOB, MOVED]
    some.joined(BOB)
    assert dialer.address_book.addrs(BOB) == MOVED


async def test_a_connected_one_is_probed_only_if_it_is_fresh_and_a_banned_one_never_dialled(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    some, dialer = candidates(nursery, banned=("banned",))
    dialer.listed.add(BOB)
    some.add("mdns", BOB, AT_BOB, fresh=False)
    some.add("mdns", "banned", AT_BOB)
    await trio.sleep(DEFERENCE + 0.1)
    assert dialer.dials == []
    some.add("mdns", BOB, AT_BOB, fresh=True)
    await trio.sleep(DEFERENCE + 0.1)
    assert dialer.dials == [BOB]


async def test_one_that_the_user_does_not_want_is_not_dialled_until_they_connect_to_it(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    some, dialer = candidates(nursery)
    dialer.address_book.dismiss(BOB)
    some.add("mdns", BOB, AT_BOB)
    await trio.sleep(DEFERENCE + 0.1)
    assert dialer.dials == []
    dialer.address_book.add(BOB, AT_BOB, "connect")
    some.add("mdns", BOB, AT_BOB)
    await trio.sleep(DEFERENCE + 0.1)
    assert dialer.dials == [BOB]


async def test_one_that_is_heard_of_again_is_dialled_where_it_was_heard_of(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    some, dialer = candidates(nursery)
    dialer.refuses = True
    some.add("mdns", BOB, AT_BOB)
    await trio.sleep(DEFERENCE + AGAIN / 2)
    some.add("mdns", BOB, MOVED)
    await trio.sleep(AGAIN / 2)
    assert dialer.where == [AT_BOB, MOVED]
    await trio.sleep(LONG)
    assert dialer.where == [AT_BOB, MOVED, MOVED]


async def test_one_that_comes_while_it_is_dialled_has_its_second_dial(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    some, dialer = candidates(nursery)
    dialer.refuses, dialer.wait = True, LONG
    some.add("mdns", BOB, AT_BOB, fresh=False)
    await trio.sleep(LONG / 2)
    some.add("mdns", BOB, AT_BOB)
    dialer.wait = 0.0
    await trio.sleep(LONG)
    assert dialer.dials == [BOB] * 3


async def test_those_that_wait_for_a_second_dial_are_bounded(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    some, dialer = candidates(nursery)
    dialer.refuses = True
    for number in range(10 * MAX_CANDIDATES):
        some.add("mdns", f"peer{number}", ())
        await trio.sleep(AGAIN / (9 * MAX_CANDIDATES))
    await trio.sleep(DEFERENCE + 0.1)
    assert len(nursery.child_tasks) <= 2 * MAX_CANDIDATES
    await trio.sleep(LONG)
    assert not nursery.child_tasks
    assert len(set(dialer.dials)) == 10 * MAX_CANDIDATES


async def test_dials_and_what_is_kept_are_bounded(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    some, dialer = candidates(nursery)
    dialer.wait = 5.0
    for number in range(1000):
        some.add("mdns", f"peer{number}", ())
    await trio.sleep(1000)
    assert len(dialer.dials) == MAX_CANDIDATES
    assert dialer.most == MAX_PARALLEL
    dialer.wait = 0.0
    for number in range(MAX_MET + 10):
        some.add("mdns", f"another{number}", ())
        await wait_all_tasks_blocked()
        await trio.sleep(DEFERENCE + 0.1)
    assert some.found("another0") == ""
    assert some.found(f"another{MAX_MET}") == "mdns"
