"""Go peers on machines of their own find each other as betar does."""

from functools import partial
from pathlib import Path

import trio

from tests.interop.driver import GoPeer, GoPeerError, open_gopeer
from tests.namespaces import Lan

ANY = ("/ip4/0.0.0.0/tcp/0",)
FOUND = 5.0
"""Seconds within which a Go peer has another on the topic, unless their dials cross."""
STARTS = 4
"""How often one is started at most; dials cross in about one start of twenty."""


async def test_go_peers_find_each_other_by_mdns(lan: Lan, gopeer_binary: Path, nursery: trio.Nursery) -> None:
    one, other = await lan.machine("10.1.0.1/24"), await lan.machine("10.1.0.2/24")
    start = partial(open_gopeer, nursery, binary=gopeer_binary, listen=ANY, mdns=True)
    async with start(inside=one.command()) as a:
        met, starts = False, 0
        while not met and starts < STARTS:
            starts += 1
            async with start(inside=other.command()) as b:
                met = await _meet(a, b)
        assert met, f"they did not meet, though one of them was started {starts} times"


async def _meet(a: GoPeer, b: GoPeer) -> bool:
    try:
        await a.topic_peers(b.peer_id, within=FOUND)
        await b.topic_peers(a.peer_id, within=FOUND)
    except GoPeerError:
        # Each dials from the port that it listens on. Where the two dials cross, TCP makes one connection of them that both
        # take for theirs; it fails, and mDNS tells of no peer twice.
        return False
    return True


async def test_go_peers_dial_their_bootstrap_peers(lan: Lan, gopeer_binary: Path, nursery: trio.Nursery) -> None:
    one, other = await lan.machine("10.1.0.1/24"), await lan.machine("10.1.0.2/24")
    async with open_gopeer(nursery, binary=gopeer_binary, listen=ANY, dht="server", inside=one.command()) as a:
        address = next(each for each in a.addrs if "/10.1.0.1/" in each)
        async with open_gopeer(
            nursery, binary=gopeer_binary, listen=ANY, dht="auto", bootstrap=[address], inside=other.command()
        ) as b:
            await a.topic_peers(b.peer_id)
