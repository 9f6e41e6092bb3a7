"""Ways in which a Go peer comes to be deaf to ours; each returns the seconds until it has what ours published.

Silence is made by `tests.proxy`: a frozen connection stays open at both ends, and nothing passes."""

from __future__ import annotations

from pathlib import Path

import trio

from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import Peer
from betar_tui.replica import keys
from tests.interop.driver import GoPeer, open_gopeer
from tests.peers.harness import eventually, peer
from tests.proxy import open_proxy

REBROADCAST = "1m"
"""As betar does it: soon enough rebroadcasts would hide that a peer is deaf."""
LATE = 240.0


async def publish(ours: Peer, name: str) -> str:
    """Publish a listing; returns its key."""
    (receipt,) = await ours.publish([ListingDraft(name, 1)])
    return keys.of_agent(receipt.id)


async def at(go: GoPeer, key: str) -> float:
    """The seconds until Go has the key."""
    start = trio.current_time()

    async def there() -> bool:
        return await go.get(key) is not None

    await eventually(there, within=LATE, what="the listing at Go")
    return trio.current_time() - start


async def on_topic(ours: Peer, go: GoPeer, within: float = 150.0) -> None:
    """Wait until each sees the other on the topic."""
    await eventually(lambda: ours.session.topic_peers, within=within, what="Go on the topic")
    await go.topic_peers(wait_for=ours.peer_id, within=within)


async def dialled_before_bitswap(directory: Path, binary: Path) -> float:
    """Go dials ours, and starts its Bitswap after that."""
    async with peer(directory / "ours") as ours, trio.open_nursery() as nursery:
        key = await publish(ours, "before")
        async with open_gopeer(
            nursery, binary=binary, bootstrap=[ours.session.addrs[0]], rebroadcast=REBROADCAST
        ) as go:
            return await at(go, key)


async def after_a_network_switch(directory: Path, binary: Path) -> float:
    """Ours loses its connection without a word, and finds Go again by another way. Measured from then on."""
    async with (
        trio.open_nursery() as nursery,
        open_gopeer(nursery, binary=binary, rebroadcast=REBROADCAST) as go,
        open_proxy(go.address) as proxy,
        peer(directory / "ours", bootstrap=(proxy.address,)) as ours,
    ):
        await on_topic(ours, go)
        await at(go, await publish(ours, "first"))
        proxy.freeze()
        meanwhile = await publish(ours, "meanwhile")
        await eventually(lambda: not ours.session.topic_peers, within=60, what="the loss")
        await on_topic(ours, go)
        start = trio.current_time()
        await at(go, await publish(ours, "after"))
        await at(go, meanwhile)
        return trio.current_time() - start


async def beside_a_dead_connection(directory: Path, binary: Path) -> float:
    """Ours stops without a word and is back at once; Go still holds the dead connection. Measured from the moment at
    which each sees the other on the topic."""
    async with (
        trio.open_nursery() as nursery,
        open_gopeer(nursery, binary=binary, rebroadcast=REBROADCAST) as go,
        open_proxy(go.address) as proxy,
    ):
        async with peer(directory / "ours", bootstrap=(proxy.address,)) as ours:
            await on_topic(ours, go)
            await at(go, await publish(ours, "first"))
            proxy.freeze()
        async with peer(directory / "ours", bootstrap=(go.address,)) as ours:
            await eventually(lambda: ours.session.topic_peers, within=150, what="Go on the topic")
            start = trio.current_time()
            await at(go, await publish(ours, "after"))
            return trio.current_time() - start


async def beside_dead_connections_to_both(directory: Path, binary: Path) -> float:
    """The same, with another peer of ours that holds a dead connection as well."""
    async with (
        trio.open_nursery() as nursery,
        open_gopeer(nursery, binary=binary, rebroadcast=REBROADCAST) as go,
        peer(directory / "other") as other,
    ):
        theirs = other.session.addrs[0]
        async with open_proxy(go.address) as one, open_proxy(theirs) as two:
            async with peer(directory / "ours", bootstrap=(one.address, two.address)) as ours:
                await eventually(lambda: ours.session.topic_peers == 2, what="both on the topic")
                await at(go, await publish(ours, "first"))
                one.freeze()
                two.freeze()
            async with peer(directory / "ours", bootstrap=(go.address, theirs)) as ours:
                await eventually(lambda: ours.session.topic_peers == 2, within=150, what="both on the topic")
                start = trio.current_time()
                await at(go, await publish(ours, "after"))
                return trio.current_time() - start


FIRST = "dialled before its Bitswap started"
CASES = {
    FIRST: (dialled_before_bitswap, 2.0, 10),
    "after a network switch": (after_a_network_switch, 5.0, 5),
    "beside a dead connection": (beside_a_dead_connection, 5.0, 5),
    "beside dead connections to both": (beside_dead_connections_to_both, 5.0, 5),
}
"""By name: the case, the seconds that it may take, and the runs that must all be in time."""
