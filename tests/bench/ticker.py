"""How late the event loop of a peer is while it takes in a long history: a 20 ms ticker beside the syncing node.

The source is another process. The history comes as a cold sync of one chain.
"""

import statistics
import tempfile
from pathlib import Path

import trio

from tests.bench.common import bar, fill, number, runs
from tests.peers.harness import eventually, peer, served

LENGTH, AGENTS, TICK = number("LONG_CHAIN", 100_000), number("AGENTS", 1000), 0.02


async def measure(source: str, directory: Path) -> tuple[float, float, float]:
    """How late the ticker was during one sync, in milliseconds: p50, p99 and at worst."""
    late: list[float] = []

    async def tick() -> None:
        while True:
            due = trio.current_time() + TICK
            await trio.sleep_until(due)
            late.append((trio.current_time() - due) * 1000)

    async with peer(directory) as node, trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        await node.connect(source)
        replica = node._writer.replica
        await eventually(lambda: replica.height == LENGTH and not replica.wants, within=600)
        nursery.cancel_scope.cancel()
    cuts = statistics.quantiles(late, n=100)
    return cuts[49], cuts[98], max(late)


async def measure_all(folder: Path) -> list[tuple[float, float, float]]:
    async with served(folder / "source") as source:
        return [await measure(source.address, folder / f"reader{run}") for run in range(runs())]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "source", LENGTH, AGENTS)
        found = trio.run(measure_all, Path(folder))
    bar(
        f"a ticker of {TICK * 1000:.0f} ms while {LENGTH} deltas come in: late by p99",
        [b for _, b, _ in found],
        50,
        "ms",
    )
    print(
        f"  p50 {statistics.median(a for a, _, _ in found):.1f} ms,"
        f" at worst {statistics.median(c for *_, c in found):.0f} ms"
    )
