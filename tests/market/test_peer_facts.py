"""What is known of peers, and of the search for them, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from betar_tui.market.marketplace import Connectivity, PeerInfo, Status
from betar_tui.market.peer_facts import (
    ALL_CONNECTED,
    NOTHING_TO_TRY,
    STARTING,
    awaits_first_listings,
    head_text,
    is_waiting,
    looking_text,
    next_try,
    not_fetching_text,
    search_text,
)
from betar_tui.values import Search

NOW = 1_795_390_401.0
LAN, DHT = "searching the local network", "searching the DHT"


@pytest.mark.parametrize(
    ("searches", "says", "short"),
    [
        ((), "Nothing to try: --no-mdns, --no-dht, no --bootstrap and no remembered peer", "nothing to try"),
        ((Search(LAN),), "Searching the local network", "trying"),
        ((Search(DHT, NOW + 20),), "Searching the DHT, next try in 20 s", "next try in 20 s"),
        (
            (Search(LAN, NOW + 7), Search("dialling 3 remembered peers", NOW + 150)),
            "Searching the local network, next try in 7 s; dialling 3 remembered peers, next try in 2 min",
            "next try in 7 s",
        ),
        ((Search(DHT, NOW - 1), Search(LAN, NOW + 5)), f"Searching the DHT; {LAN}, next try in 5 s", "trying"),
        (
            (Search(LAN, trouble="no interface carries multicast"),),
            "Searching the local network is not possible: no interface carries multicast",
            "cannot search",
        ),
        (
            (Search(LAN, trouble="no multicast"), Search(DHT, NOW + 0.2)),
            f"Searching the local network is not possible: no multicast; {DHT}, next try in 1 s",
            "next try in 1 s",
        ),
        (
            (Search(DHT, NOW + 9, "no server answers"),),
            "Searching the DHT: no server answers, next try in 9 s",
            "next try in 9 s",
        ),
    ],
)
def test_a_search_is_told_with_its_next_try(searches, says, short) -> None:
    assert search_text(searches, NOW) == says
    assert next_try(searches, NOW) == short


STATUS = Status("1", True, "p", (), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, Connectivity.ALONE)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, NOTHING_TO_TRY),
        ({"searches": (Search(LAN),)}, "Searching the local network"),
        ({"connectivity": Connectivity.STARTING}, STARTING),
        ({"connectivity": Connectivity.STOPPED, "running": False}, ""),
        ({"connectivity": Connectivity.FAILED, "offline": "no port"}, ""),
        ({"peers": 1}, ALL_CONNECTED),
        ({"blocked": ("q",)}, f"{NOTHING_TO_TRY} but blocked ones"),
        ({"blocked": ("q",), "searches": (Search(LAN),)}, "Searching the local network"),
        (
            {"peers": 1, "blocked": ("q",)},
            "Nothing more to try: every known peer that is not blocked is connected, and none of them is on the topic",
        ),
        ({"peers": 1, "topic_peers": 1, "connectivity": Connectivity.ONLINE}, ""),
        ({"peers": 1, "topic_peers": 1, "searches": (Search(LAN),)}, "Searching the local network"),
    ],
)
def test_what_is_done_to_find_peers_depends_on_the_state_of_the_network(fields, says) -> None:
    assert looking_text(replace(STATUS, **fields), NOW) == says


def info(**fields: object) -> PeerInfo:
    return replace(PeerInfo("p", (), "out", None, "betar", (), True, NOW), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "says"),
    [
        (info(), "–"),
        (info(behind=0), "level"),
        (info(behind=-1), "level"),
        (info(behind=1200), "behind by 1,200"),
        (info(behind=0, waiting_since=NOW - 10), "level"),
        (info(behind=2, waiting_since=NOW - 40), "has not answered for 40 s"),
        (info(waiting_since=NOW - 200), "has not answered for 3 min"),
        (info(waiting_since=NOW - 40, on_topic=False), "–"),
    ],
)
def test_a_peer_holds_the_newest_head_or_not(peer, says) -> None:
    assert head_text(peer, NOW) == says
    assert is_waiting(peer, NOW) == says.startswith("has not")


def test_peers_that_do_not_fetch_are_named() -> None:
    assert not_fetching_text(["a"]) == "1 peer on the topic does not fetch what you publish: a"
    assert not_fetching_text([*"abcde"]) == "5 peers on the topic do not fetch what you publish: a, b, c and 2 more"
    assert not_fetching_text(["a", "b"]) == "2 peers on the topic do not fetch what you publish: a, b"


def status(**fields: object) -> Status:
    numbers = dict.fromkeys(("peers", "topic_peers"), 1)
    nothing = dict.fromkeys(("listings", "heads", "height", "blocks", "bytes", "pending", "tombstones"), 0)
    given = {"version": "1", "running": True, "peer_id": "me", "addrs": (), "uptime": 1.0, **numbers, **nothing}
    return Status(**{**given, "connectivity": Connectivity.ONLINE, **fields})  # type: ignore[arg-type]


GO, OURS = info(agent="github.com/asabya/betar"), info(agent="betar-tui/0.1.0")


@pytest.mark.parametrize(
    ("peers", "fields", "waits"),
    [
        ((GO,), {}, True),
        ((GO, replace(OURS, on_topic=False)), {}, True),
        ((GO, OURS), {}, False),
        ((OURS,), {}, False),
        ((), {}, False),
        ((replace(GO, on_topic=False),), {}, False),
        ((replace(GO, agent=""),), {}, False),  # not identified yet
        ((GO,), {"heads": 1}, False),
        ((GO,), {"pending": 1}, False),
        ((GO,), {"listings": 1}, False),
        ((GO,), {"connectivity": Connectivity.ALONE}, False),
        ((replace(GO, connected_since=NOW - 80),), {}, True),
        ((replace(GO, connected_since=NOW - 100),), {}, False),
        ((replace(GO, connected_since=NOW - 100), GO), {}, True),
    ],
)
def test_the_first_listings_of_go_peers_alone_are_waited_for(peers, fields, waits) -> None:
    assert awaits_first_listings(status(**fields), peers, NOW) == waits
