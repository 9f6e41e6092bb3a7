"""Twenty agents that put themselves again and again: how soon an empty peer shows all current listings.

Time runs from the moment at which the peer hears of the head to that at which it shows all twenty, from ours over
dagsync and from Go over Bitswap. What lies below, twenty thousand old versions, comes later.
"""

import tempfile
import time
from pathlib import Path

import trio

from betar_tui.market.marketplace import Change
from betar_tui.p2p.types import NetworkEvent, ReceivedBroadcast
from tests.bench.common import bar, fill, listing, number, runs
from tests.interop.driver import go_available, open_gopeer
from tests.peers.harness import peer, served

PUTS, GO_PUTS, AGENTS = number("REPUTS", 20_000), number("GO_REPUTS", 20_000), 20


async def shown_after(directory: Path, address: str, newest: int) -> float:
    """Seconds from the head's arrival until the current listing of each agent is shown by a new peer.

    The prices of the current listings are the twenty numbers up to `newest`.
    """
    heard: list[float] = []
    async with peer(directory) as node:
        replication = node.session._replication
        handle = replication.handle

        async def timed(event: NetworkEvent) -> None:
            if isinstance(event, ReceivedBroadcast) and not heard:
                heard.append(time.perf_counter())
            await handle(event)

        replication.handle = timed
        current: set[float] = set()
        async with node.events() as events:
            await node.connect(address)
            with trio.fail_after(60):
                async for event in events:
                    if isinstance(event, Change) and event.listing and event.listing.price > newest - AGENTS:
                        current.add(event.listing.price)
                        if len(current) == AGENTS:
                            break
        return time.perf_counter() - heard[0]


async def from_ours(folder: Path) -> list[float]:
    fill(folder / "a", PUTS, AGENTS)
    async with served(folder / "a") as a:
        return [await shown_after(folder / f"ours{run}", a.address, PUTS - 1) for run in range(runs())]


async def from_go(folder: Path) -> list[float]:
    async with trio.open_nursery() as nursery, open_gopeer(nursery, rebroadcast="500ms") as go:
        for n in range(GO_PUTS):
            await go.put(*listing(n, AGENTS))
        return [await shown_after(folder / f"go{run}", go.address, GO_PUTS - 1) for run in range(runs())]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours = trio.run(from_ours, Path(folder))
        bar(f"{AGENTS} agents put {PUTS} times, ours from ours: all current listings after", ours, 0.3, "s")
        if go_available():
            go = trio.run(from_go, Path(folder))
            bar(f"{AGENTS} agents put {GO_PUTS} times, ours from Go: all current listings after", go, 0.3, "s")
