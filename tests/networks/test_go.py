"""Go peers on machines of their own find each other as betar does."""

from pathlib import Path

import trio

from tests.interop.driver import open_gopeer
from tests.namespaces import Lan

ANY = ("/ip4/0.0.0.0/tcp/0",)


async def test_go_peers_find_each_other_by_mdns(lan: Lan, gopeer_binary: Path, nursery: trio.Nursery) -> None:
    one, other = await lan.machine("10.1.0.1/24"), await lan.machine("10.1.0.2/24")
    async with (
        open_gopeer(nursery, binary=gopeer_binary, listen=ANY, mdns=True, inside=one.command()) as a,
        open_gopeer(nursery, binary=gopeer_binary, listen=ANY, mdns=True, inside=other.command()) as b,
    ):
        await a.topic_peers(b.peer_id)
        await b.topic_peers(a.peer_id)


async def test_go_peers_dial_their_bootstrap_peers(lan: Lan, gopeer_binary: Path, nursery: trio.Nursery) -> None:
    one, other = await lan.machine("10.1.0.1/24"), await lan.machine("10.1.0.2/24")
    async with open_gopeer(nursery, binary=gopeer_binary, listen=ANY, dht="server", inside=one.command()) as a:
        address = next(each for each in a.addrs if "/10.1.0.1/" in each)
        async with open_gopeer(
            nursery, binary=gopeer_binary, listen=ANY, dht="auto", bootstrap=[address], inside=other.command()
        ) as b:
            await a.topic_peers(b.peer_id)
