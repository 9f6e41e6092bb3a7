"""The addresses of the peers to dial, and the pauses after failures."""

from __future__ import annotations

from betar_tui.p2p.address_book import AddressBook

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
    address_book.succeeded(BOB)
    assert address_book.due(0.0, nobody) == (BOB,)
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
    address_book.remove(BOB)
    assert address_book.addrs(BOB) == ()
    assert address_book.due(0.0, {}.__contains__) == ()


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
