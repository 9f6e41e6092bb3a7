"""The warning to a seller whose addresses others cannot dial."""

from dataclasses import replace

import pytest

from betar_tui.market.dialling import dialling_warning, host_and_port, leads_from_anywhere, own_address, own_addresses
from betar_tui.market.marketplace import Reachability, Status

LOOPBACK, HOME, OUTSIDE = "/ip4/127.0.0.1/tcp/4001", "/ip4/192.168.1.5/tcp/4001", "/ip4/44.1.2.3/tcp/4001"
NAME = "/dns4/example.org/tcp/443"


def status(*addrs: str, verdict: str = "unknown", listen: tuple[str, ...] = ()) -> Status:
    numbers = dict.fromkeys(
        ("peers", "topic_peers", "listings", "heads", "height", "blocks", "bytes", "pending", "tombstones"), 0
    )
    own = tuple(f"{address}/p2p/12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS" for address in addrs)
    return Status(
        "1", True, "me", own, uptime=0.0, reachability=Reachability(verdict=verdict), listen=listen, **numbers
    )


@pytest.mark.parametrize(
    ("given", "own", "verdict", "expected"),
    [
        ((), (LOOPBACK,), "unknown", "only programs on this machine can dial 127.0.0.1;"),
        (
            (),
            (HOME, LOOPBACK),
            "unknown",
            "only peers on your own network can dial 192.168.1.5; for others, forward TCP port 4001",
        ),
        ((), (HOME, "/ip6/fd00::1/tcp/4001"), "unknown", "can dial 192.168.1.5 and the like;"),
        ((), (HOME, LOOPBACK, OUTSIDE), "unknown", ""),
        ((), (HOME, LOOPBACK, OUTSIDE), "public", ""),
        ((), (OUTSIDE,), "private", "peers outside tried to dial this one and could not; forward TCP port 4001"),
        ((), (), "unknown", ""),  # no peer runs
        ((HOME,), (OUTSIDE,), "public", "only peers on your own network"),
        ((NAME,), (HOME,), "private", ""),  # another machine's address is not what was tested
        ((HOME, NAME), (HOME,), "unknown", ""),
        (("/ip4/100.64.1.1/udp/5/quic-v1",), (), "unknown", "can dial 100.64.1.1; for others, forward the port"),
    ],
)
def test_the_seller_is_warned_when_others_cannot_dial(
    given: tuple[str, ...], own: tuple[str, ...], verdict: str, expected: str
) -> None:
    warning = dialling_warning([given], status(*own, verdict=verdict))
    assert expected in warning
    assert bool(warning) is bool(expected)


EVERYWHERE, EVERYWHERE_6 = "/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"


@pytest.mark.parametrize(
    ("given", "own", "listen", "end"),
    [
        ((), (LOOPBACK,), (LOOPBACK,), "127.0.0.1; listen on another address, or give one"),
        ((), (LOOPBACK,), (EVERYWHERE,), ", for this machine has no other network now; give another address if it will "
         "have one"),
        ((), (LOOPBACK,), (LOOPBACK, EVERYWHERE_6), ", for this machine has no other network now; give another address "
         "if it will have one"),
        ((LOOPBACK,), (HOME, LOOPBACK), (EVERYWHERE,), "127.0.0.1; give another address"),
    ],
)  # fmt: skip
def test_who_listens_everywhere_is_not_told_to_do_so(given, own, listen, end) -> None:
    assert dialling_warning([given], status(*own, listen=listen)).endswith(end)


def test_one_of_several_listings_is_enough() -> None:
    assert "192.168.1.5" in dialling_warning([(NAME,), (HOME,)], status(OUTSIDE))
    assert dialling_warning([], status(LOOPBACK)) == ""


PEER_ID = "12D3KooWMbbPVGsZYh3ChQjue712NHHGNybRRXwnuSpezYjGbCDS"


@pytest.mark.parametrize(
    ("own", "best"),
    [
        ((LOOPBACK, HOME, OUTSIDE), OUTSIDE),
        ((LOOPBACK, HOME), HOME),
        ((LOOPBACK,), LOOPBACK),
        (("/ip6/fe80::1/tcp/4001", HOME), HOME),
        ((HOME, NAME), NAME),
    ],
)
def test_the_address_to_give_away_is_the_one_that_most_can_dial(own, best):
    assert own_address(status(*own)) == f"{best}/p2p/{PEER_ID}"


LINK = "/ip6/fe80::1/tcp/4001"
MAPPED, CONFIRMED = "/ip4/45.1.2.3/tcp/4501", "/ip4/46.1.2.3/tcp/4601"


@pytest.mark.parametrize(
    ("own", "reach", "expected"),
    [
        ((HOME, LOOPBACK), Reachability(mapped=MAPPED), (MAPPED, HOME)),
        ((HOME, LOOPBACK), Reachability(mapped=MAPPED, confirmed=(CONFIRMED,)), (CONFIRMED, MAPPED, HOME)),
        ((LINK, HOME, NAME, OUTSIDE), Reachability(), (NAME, OUTSIDE, HOME, LINK)),
        ((OUTSIDE, HOME), Reachability(confirmed=(OUTSIDE,)), (OUTSIDE, HOME)),
        (
            (HOME,),
            Reachability(mapped="/ip4/100.64.1.1/tcp/9"),
            ("/ip4/100.64.1.1/tcp/9", HOME),
        ),  # a router behind another
        ((HOME,), Reachability(mapped=MAPPED, verdict="private"), (HOME,)),  # it was tried in vain
        ((LOOPBACK,), Reachability(), (LOOPBACK,)),
        ((), Reachability(), ()),
    ],
)
def test_all_addresses_are_there_those_that_most_can_dial_first(own, reach, expected):
    found = replace(status(*own), reachability=reach, peer_id=PEER_ID)
    assert own_addresses(found) == tuple(f"{each}/p2p/{PEER_ID}" for each in expected)
    assert own_address(found) == next(iter(own_addresses(found)), "")


@pytest.mark.parametrize(
    ("address", "far"),
    [
        (OUTSIDE, True),
        (NAME, True),
        (HOME, False),
        (LINK, False),
        (LOOPBACK, False),
        ("/ip6/2002:a01:203::1/tcp/1", False),
    ],
)
def test_which_addresses_lead_from_anywhere(address, far):
    assert leads_from_anywhere(address) is far


def test_it_has_the_id_at_its_end():
    bare = replace(status(), addrs=(HOME,), peer_id=PEER_ID)
    assert own_address(bare) == f"{HOME}/p2p/{PEER_ID}"
    assert own_address(status()) == ""


@pytest.mark.parametrize(
    ("address", "short"),
    [
        (f"{HOME}/p2p/{PEER_ID}", "192.168.1.5:4001"),
        ("/ip6/2001:db8::1/tcp/4001", "[2001:db8::1]:4001"),
        (NAME, ""),
        ("", ""),
    ],
)
def test_an_address_in_short(address, short):
    assert host_and_port(address) == short
