"""Multiaddrs: which can be dialled, and in which order."""

from __future__ import annotations

from multiaddr import Multiaddr

from betar_tui.p2p.addresses import dial_order, is_dialable, reachable, with_peer

ALICE = "12D3KooWRkZhiRhsqmrQ28rt73K7V3aCBpqKrLGSXmZ99PTcTZby"
BOB = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"
PUBLIC, LAN, LOOP = "/ip4/93.184.216.34/tcp/4001", "/ip4/192.168.1.5/tcp/4001", "/ip4/127.0.0.1/tcp/4001"
NAME, SIX = "/dns4/example.org/tcp/4001", "/ip6/2606:2800::1/tcp/4001"


def test_the_order_to_dial_in() -> None:
    assert dial_order([LOOP, SIX, LAN, NAME, PUBLIC, LOOP]) == (PUBLIC, NAME, SIX, LAN, LOOP)


def test_which_addresses_can_be_dialled() -> None:
    for good in (PUBLIC, LAN, LOOP, NAME, SIX, f"{PUBLIC}/p2p/{BOB}", f"/dnsaddr/example.org/p2p/{BOB}"):
        assert is_dialable(good), good
    bad = [
        "",
        "x",
        "/ip4/1.2.3.4",
        "/ip4/1.2.3.4/tcp/0",
        "/ip4/0.0.0.0/tcp/1",
        "/ip4/1.2.3.4/tcp/1/ws",
        f"{PUBLIC}/p2p/{ALICE}/p2p-circuit/p2p/{BOB}",
        "/ip4/1.2.3.4/udp/1/quic-v1",
    ]
    for each in bad:
        assert not is_dialable(each), each
    twice = [f"{PUBLIC}/p2p/{ALICE}/p2p/{BOB}", f"/dnsaddr/example.org/p2p/{ALICE}/p2p/{BOB}"]
    assert with_peer(twice, BOB) == ()
    assert with_peer([PUBLIC, f"{PUBLIC}/p2p/{BOB}", LOOP, *bad], BOB) == (f"{PUBLIC}/p2p/{BOB}", f"{LOOP}/p2p/{BOB}")
    assert reachable([Multiaddr(LOOP)]) == (LOOP,)
