"""Multiaddrs: which can be dialled, and in which order."""

from __future__ import annotations

import pytest
from multiaddr import Multiaddr

from betar_tui.errors import NetworkError
from betar_tui.p2p.addresses import (
    MAX_CLAIMED,
    dial_order,
    is_dialable,
    reachable,
    split_peer,
    with_peer,
    worth_dialling,
)

ALICE = "12D3KooWRkZhiRhsqmrQ28rt73K7V3aCBpqKrLGSXmZ99PTcTZby"
BOB = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"
PUBLIC, LAN, LOOP = "/ip4/93.184.216.34/tcp/4001", "/ip4/192.168.1.5/tcp/4001", "/ip4/127.0.0.1/tcp/4001"
NAME, SIX = "/dns4/example.org/tcp/4001", "/ip6/2606:2800::1/tcp/4001"
LINK = "/ip4/169.254.7.7/tcp/4001"
MAPPED_LOOP, MAPPED_LAN, MAPPED = (
    f"/ip6/::ffff:{each}/tcp/4001" for each in ("127.0.0.1", "192.168.1.5", "93.184.216.34")
)
CLAIMED = (LOOP, LAN, LINK, PUBLIC, SIX, NAME, "/ip6/fe80::1/tcp/4001", "/ip4/224.0.0.1/tcp/4001")


def test_the_order_to_dial_in() -> None:
    assert dial_order([LOOP, SIX, LAN, NAME, PUBLIC, LOOP]) == (PUBLIC, NAME, SIX, LAN, LOOP)


@pytest.mark.parametrize(
    "address", ["dns4/example.org/tcp/443", "ip4/0.0.0.0/tcp/1", "/ip4/192.0.2.1" + "/tcp/1" * 10_000]
)
def test_what_the_library_takes_for_an_address_and_nobody_can_dial(address: str) -> None:
    """Without its first slash, as a TXT record in the DNS may have it, and one that takes long to parse."""
    assert not is_dialable(address)
    with pytest.raises(NetworkError):
        split_peer(f"{address}/p2p/12D3KooWQCkBm1BYtkHpocxCwMgR8yjitEeHGx8spzcDLGt2gkBm")


def test_which_addresses_can_be_dialled() -> None:
    for good in (PUBLIC, LAN, LOOP, NAME, SIX, f"{PUBLIC}/p2p/{BOB}", f"/dnsaddr/example.org/p2p/{BOB}"):
        assert is_dialable(good), good
    bad = [
        "",
        "x",
        "/ip4/1.2.3.4",
        "/ip4/1.2.3.4/tcp/0",
        "/ip4/0.0.0.0/tcp/1",
        "/ip6/::ffff:0.0.0.0/tcp/1",
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


@pytest.mark.parametrize(
    ("seen_at", "kept"),
    [
        ("/ip4/127.0.0.1/tcp/9", (LOOP, LAN, LINK, PUBLIC, SIX)),
        ("/ip4/192.168.1.9/tcp/9", (LAN, PUBLIC, SIX)),
        ("/ip4/169.254.1.9/tcp/9", (LAN, LINK, PUBLIC, SIX)),
        ("/ip4/93.184.216.34/tcp/9", (PUBLIC, SIX)),
        ("/dns4/example.org/tcp/9", (PUBLIC, SIX)),
        ("", (PUBLIC, SIX)),
    ],
)
def test_only_addresses_that_may_lead_to_a_peer_from_here_are_kept(seen_at: str, kept: tuple[str, ...]) -> None:
    assert set(worth_dialling(CLAIMED, [seen_at] if seen_at else [])) == set(kept)


def test_an_address_mapped_into_ipv6_counts_as_itself() -> None:
    claimed = (MAPPED_LOOP, MAPPED_LAN, MAPPED)
    assert worth_dialling(claimed, [PUBLIC]) == (MAPPED,)
    assert worth_dialling(claimed, [MAPPED]) == (MAPPED,)
    assert worth_dialling(claimed, [LAN]) == (MAPPED_LAN, MAPPED)
    assert set(worth_dialling(claimed, [LOOP])) == set(claimed)
    assert dial_order(claimed) == (MAPPED, MAPPED_LAN, MAPPED_LOOP)


def test_the_host_that_a_peer_is_seen_at_comes_first_and_claims_are_few() -> None:
    many = [f"/ip4/93.184.216.{n}/tcp/4001" for n in range(40)]
    kept = worth_dialling(many, ["/ip4/93.184.216.34/tcp/50123"])
    assert kept[0] == "/ip4/93.184.216.34/tcp/4001"
    assert len(kept) == MAX_CLAIMED
