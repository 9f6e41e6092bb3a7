"""The addresses of the peers to dial, and the pauses after failures."""

from __future__ import annotations

import base58
import pytest

from betar_tui.p2p.address_book import MAX_CLAIMED_PEERS, MAX_PEERS, MAX_STRANGERS, AddressBook

ALICE = "12D3KooWRkZhiRhsqmrQ28rt73K7V3aCBpqKrLGSXmZ99PTcTZby"
BOB = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"
PUBLIC, LAN, LOOP = "/ip4/93.184.216.34/tcp/4001", "/ip4/192.168.1.5/tcp/4001", "/ip4/127.0.0.1/tcp/4001"


def test_pauses_grow_with_jitter_and_a_success_resets_them() -> None:
    address_book = AddressBook(ALICE, 1.0, 8.0, jitter=lambda: 0.5)
    assert address_book.add(BOB, [PUBLIC])
    nobody = {}.__contains__
    assert address_book.due(0.0, nobody) == (BOB,)
    dues = []
    for _ in range(5):
        address_book.failed(BOB, 100.0)
        dues.append(address_book.next_due(nobody) - 100.0)
    assert dues == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert address_book.due(107.0, nobody) == ()
    assert address_book.due(108.0, nobody) == (BOB,)
    assert address_book.due(108.0, lambda peer: True) == ()
    address_book.connected(BOB, 108.0, reached=True)
    address_book.joined(BOB, 108.0)
    address_book.failed(BOB, 1000.0)
    assert address_book.next_due(nobody) == 1001.0
    low, high = AddressBook(ALICE, 1.0, 8.0, jitter=lambda: 0.0), AddressBook(ALICE, 1.0, 8.0, jitter=lambda: 1.0)
    for each in (low, high):
        each.add(BOB, [PUBLIC])
        each.failed(BOB, 0.0)
    assert low.next_due(nobody) < 1.0 < high.next_due(nobody)


def test_only_dialable_addresses_of_other_peers_are_kept() -> None:
    address_book = AddressBook(ALICE, 1.0, 8.0)
    assert not address_book.add(ALICE, [PUBLIC])
    assert not address_book.add(BOB, ["/ip4/1.2.3.4/udp/4001/quic-v1", "garbage", f"{PUBLIC}/p2p/{ALICE}"])
    assert not address_book.add("not a peer id", [PUBLIC])
    assert not address_book.add("", [PUBLIC])
    assert address_book.add(BOB, [LOOP, PUBLIC])
    assert address_book.addrs(BOB) == (f"{PUBLIC}/p2p/{BOB}", f"{LOOP}/p2p/{BOB}")
    address_book.replace(BOB, [LAN])
    assert address_book.addrs(BOB) == (f"{LAN}/p2p/{BOB}",)
    address_book.replace(BOB, [])
    assert address_book.addrs(BOB)
    address_book.add(BOB, [f"/ip4/10.0.0.{n}/tcp/1" for n in range(100)])
    assert len(address_book.addrs(BOB)) == 16
    address_book.forget(BOB)
    assert address_book.addrs(BOB) == ()
    assert address_book.due(0.0, {}.__contains__) == ()


def new_book() -> AddressBook:
    return AddressBook(ALICE, 1.0, 60.0, jitter=lambda: 0.5)


def pauses(address_book: AddressBook, peer: str, now: float, count: int) -> list[float]:
    """The pauses after this many failures in a row, all at one time."""
    found = []
    for _ in range(count):
        address_book.failed(peer, now)
        found.append(address_book.next_due({}.__contains__) - now)
    return found


def test_a_given_address_stays_whatever_the_peer_says() -> None:
    address_book = new_book()
    address_book.add(BOB, [LAN], "connect")
    address_book.replace(BOB, [PUBLIC])
    address_book.forget(BOB)
    assert address_book.addrs(BOB) == (f"{PUBLIC}/p2p/{BOB}", f"{LAN}/p2p/{BOB}")
    address_book.dismiss(BOB)
    assert not address_book.add(BOB, [PUBLIC], "incoming")
    assert address_book.add(BOB, [LAN], "connect")
    assert address_book.addrs(BOB) == (f"{LAN}/p2p/{BOB}",)


@pytest.mark.parametrize("known", ["member", "reached", "remembered", "bootstrap"])
@pytest.mark.parametrize("discovery", ["dht", "mdns"])
def test_addresses_that_a_discovery_invents_displace_none_of_a_known_peer(known: str, discovery: str) -> None:
    """Nor do they keep a newer one out that may be true."""
    address_book = new_book()
    mine = [f"/ip4/192.168.1.{n}/tcp/4001" for n in range(8)]
    address_book.add(BOB, mine, known if known in ("remembered", "bootstrap") else "dht")
    if known == "reached":
        address_book.answered(BOB, 0.0)
    elif known == "member":
        address_book.joined(BOB, 0.0)
    for n in range(3):
        address_book.add(BOB, [f"/ip4/93.184.{n}.{m}/tcp/1" for m in range(16)], discovery)
        address_book.add(BOB, [f"{LOOP[:-4]}{n + 1}"], discovery)
        addrs = address_book.addrs(BOB)
        assert len(addrs) == 16
        assert {f"{each}/p2p/{BOB}" for each in mine} < set(addrs)
        assert f"{LOOP[:-4]}{n + 1}/p2p/{BOB}" in addrs
    address_book.replace(BOB, [LAN])
    kept = mine if known == "bootstrap" else []
    assert set(address_book.addrs(BOB)) == {f"{each}/p2p/{BOB}" for each in (LAN, *kept)}


def test_a_peer_that_is_no_member_is_dialled_with_growing_pauses() -> None:
    """It accepts connections and ends them: without the topic that is no success."""
    address_book = new_book()
    address_book.add(BOB, [PUBLIC], "bootstrap")
    dues = []
    for _ in range(3):
        address_book.connected(BOB, 100.0, reached=True)
        address_book.lost(BOB, 100.0)
        dues.append(address_book.next_due({}.__contains__) - 100.0)
    assert dues == [1.0, 2.0, 4.0]
    assert address_book.take_failures() == {BOB: 3}
    assert address_book.take_failures() == {}


def test_there_is_a_pause_after_a_dial_that_succeeded() -> None:
    """The connection may have ended before the end is reported, or even before the success is."""
    address_book = new_book()
    nobody = {}.__contains__
    address_book.add(BOB, [PUBLIC], "connect")
    address_book.answered(BOB, 100.0)
    address_book.connected(BOB, 100.0, reached=True)
    assert address_book.next_due(nobody) == 101.0
    address_book.lost(BOB, 100.0)
    address_book.lost(BOB, 200.0)
    address_book.answered(BOB, 200.0)
    assert address_book.next_due(nobody) == 204.0


def test_a_lost_member_is_dialled_more_often_at_first() -> None:
    address_book = new_book()
    address_book.add(BOB, [PUBLIC], "incoming")
    address_book.connected(BOB, 0.0, reached=True)
    address_book.joined(BOB, 0.0)
    address_book.lost(BOB, 100.0)
    assert address_book.next_due({}.__contains__) == 100.5
    assert max(pauses(address_book, BOB, 110.0, 20)) == 15.0
    assert pauses(address_book, BOB, 10_000.0, 1) == [60.0]
    address_book.retry(10_000.0)
    assert address_book.due(10_000.0, {}.__contains__) == (BOB,)
    assert pauses(address_book, BOB, 10_000.0, 2) == [1.0, 2.0]


def test_a_claimed_address_is_dialled_more_and_more_rarely() -> None:
    address_book = new_book()
    address_book.add(BOB, [PUBLIC], "incoming")
    assert max(pauses(address_book, BOB, 10_000.0, 20)) == 600.0


def test_failures_of_the_own_network_are_not_counted() -> None:
    address_book = new_book()
    address_book.add(BOB, [PUBLIC], "remembered")
    address_book.failed(BOB, 1.0, count=False)
    assert address_book.take_failures() == {}
    address_book.failed(BOB, 1.0)
    assert address_book.take_failures() == {BOB: 1}
    address_book.failed(BOB, 1.0)
    address_book.joined(BOB, 2.0)
    assert address_book.take_failures() == {}


def test_strangers_are_dropped() -> None:
    address_book = new_book()
    for _ in range(2):  # as often as a discovery finds it
        address_book.add(BOB, [PUBLIC], "dht")
        pauses(address_book, BOB, 0.0, 7)
        assert address_book.addrs(BOB)
        address_book.failed(BOB, 0.0)
        assert not address_book.addrs(BOB)
    address_book.add(BOB, [PUBLIC], "mdns")
    address_book.connected(BOB, 100.0, reached=True)
    address_book.lost(BOB, 101.0)  # too soon to say that it is not a member
    assert address_book.addrs(BOB)
    address_book.connected(BOB, 110.0, reached=True)
    address_book.lost(BOB, 120.0)
    assert not address_book.addrs(BOB)
    address_book.add(BOB, [PUBLIC], "mdns")
    address_book.joined(BOB, 130.0)
    address_book.lost(BOB, 140.0)
    assert address_book.addrs(BOB)


def test_invented_peers_have_few_places() -> None:
    address_book = AddressBook(ALICE, 1.0, 8.0)
    address_book.add(BOB, [PUBLIC], "bootstrap")
    claimed, found = some_peers(300, 1), some_peers(600, 2)
    added = [address_book.add(each, [PUBLIC], "incoming") for each in claimed]
    assert sum(added) == MAX_CLAIMED_PEERS
    address_book.failed(claimed[5], 0.0)
    assert address_book.add(claimed[-1], [PUBLIC], "incoming")  # takes the place of the one that failed
    assert not address_book.addrs(claimed[5])
    assert sum(address_book.add(each, [PUBLIC], "dht") for each in found) == MAX_STRANGERS
    remembered = some_peers(2000, 3)
    assert sum(address_book.add(each, [PUBLIC], "remembered") for each in remembered) < MAX_PEERS
    assert address_book.addrs(BOB)


def test_strangers_that_stay_connected_without_the_topic_are_to_be_left() -> None:
    address_book = AddressBook(ALICE, 1.0, 8.0)
    strangers = some_peers(MAX_STRANGERS + 1, 2)
    for each in strangers[:-1]:
        address_book.add(each, [PUBLIC], "dht")
        address_book.connected(each, 100.0, reached=True)
    address_book.joined(strangers[0], 101.0)
    address_book.add(BOB, [PUBLIC], "connect")
    address_book.connected(BOB, 100.0, reached=True)
    assert address_book.overstayed(109.0) == ()
    assert address_book.overstayed(110.0) == tuple(strangers[1:-1])
    assert address_book.add(some_peers(1, 3)[0], [PUBLIC], "dht")  # the place of the one that is a member now
    assert not address_book.add(strangers[-1], [PUBLIC], "dht")
    address_book.lost(strangers[1], 110.0)
    assert address_book.add(strangers[-1], [PUBLIC], "dht")


def test_those_that_failed_least_are_dialled_first() -> None:
    address_book = new_book()
    peers = some_peers(3, 1)
    for number, each in enumerate(peers):
        address_book.add(each, [PUBLIC], "remembered")
        pauses(address_book, each, 0.0, 2 - number)
    address_book.retry(0.0)
    assert address_book.due(0.0, {}.__contains__) == tuple(reversed(peers))


def some_peers(count: int, kind: int) -> list[str]:
    return [
        base58.b58encode(b"\x00\x24\x08\x01\x12\x20" + bytes([kind]) + n.to_bytes(31)).decode() for n in range(count)
    ]


def test_doubtful_peers_are_dialled_last_and_members_first() -> None:
    address_book = new_book()
    stranger, claimed, remembered, member, given = some_peers(5, 1)
    for each, found in ((stranger, "dht"), (claimed, "incoming"), (remembered, "remembered"), (member, "dht")):
        address_book.add(each, [PUBLIC], found)
    address_book.add(given, [PUBLIC], "bootstrap")
    address_book.joined(member, 0.0)
    for each, failures in ((claimed, 1), (member, 2), (given, 3)):
        pauses(address_book, each, 0.0, failures)
    address_book.retry(0.0)
    assert address_book.due(0.0, {}.__contains__) == (member, given, remembered, stranger, claimed)
    doubtful = [each for each in (stranger, claimed, remembered, member, given) if address_book.is_doubtful(each)]
    assert doubtful == [stranger, claimed]


def test_peers_that_are_not_connected_are_counted_by_how_they_were_found() -> None:
    address_book = AddressBook(ALICE, 1.0, 8.0, jitter=lambda: 0.5)
    carol = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
    address_book.add(BOB, [PUBLIC], "remembered")
    address_book.add(carol, [LAN], "remembered")
    address_book.failed(BOB, 10.0)
    address_book.failed(carol, 20.0)
    assert address_book.unconnected(lambda peer: False) == {"remembered": (2, 11.0)}
    assert address_book.unconnected(BOB.__eq__) == {"remembered": (1, 21.0)}
    assert address_book.unconnected(lambda peer: True) == {}
