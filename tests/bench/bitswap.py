"""Cold sync where one side is Go, over Bitswap on loopback: ours from Go, and Go from ours beside Go from Go.

Go's rebroadcast interval is short, so that a sync does not wait for the next announcement.
"""

import statistics
import tempfile
import time
from pathlib import Path

import trio

from tests.bench.common import bar, beside_go, complete, fill, listing, number, runs
from tests.interop.driver import GoPeer, go_available, open_gopeer
from tests.peers.harness import eventually, served

FROM_GO, TO_GO = number("FROM_GO", 3000), number("GO_CHAIN", 500)


async def ours_from_go(directory: Path, go: GoPeer, count: int) -> float:
    """Deltas a second."""
    async with served(directory) as ours:
        start = time.perf_counter()
        await ours.market.connect(go.address)
        await eventually(lambda: complete(ours, count), within=600)
        return count / (time.perf_counter() - start)


async def go_from(address: str, count: int, nursery: trio.Nursery) -> float:
    """Deltas a second of an empty Go peer that connects to this address."""
    async with open_gopeer(nursery, rebroadcast="200ms") as go:

        async def all_here() -> bool:
            return bool((await go.stats())["keys"] == count)

        start = time.perf_counter()
        await go.connect(address)
        await eventually(all_here, within=600)
        return count / (time.perf_counter() - start)


async def measure(folder: Path) -> None:
    async with trio.open_nursery() as nursery:
        async with open_gopeer(nursery, rebroadcast="200ms") as go:
            for n in range(FROM_GO):
                await go.put(*listing(n, FROM_GO))
            rates = [await ours_from_go(folder / f"reader{run}", go, FROM_GO) for run in range(runs())]
        fill(folder / "ours", TO_GO, TO_GO)
        from_ours, from_go = [], []
        async with served(folder / "ours") as ours, open_gopeer(nursery, rebroadcast="200ms") as go:
            for n in range(TO_GO):
                await go.put(*listing(n, TO_GO))
            for _ in range(runs()):
                from_ours.append(await go_from(ours.address, TO_GO, nursery))
                from_go.append(await go_from(go.address, TO_GO, nursery))
    median = bar(f"cold sync of {FROM_GO} deltas, ours from Go", rates, 240, "deltas/s", least=True)
    beside_go(median, statistics.median(from_go), "deltas/s", f"Go from Go, {TO_GO} deltas")
    ratios = [ours / go for ours, go in zip(from_ours, from_go, strict=True)]
    bar(f"cold sync of {TO_GO} deltas, Go from ours / Go from Go", ratios, 0.95, "times", least=True)
    print(f"  Go from ours {statistics.median(from_ours):.1f}, Go from Go {statistics.median(from_go):.1f} deltas/s")


def main() -> None:
    if not go_available():
        print("no `go` on PATH: nothing to measure")
        return
    with tempfile.TemporaryDirectory() as folder:
        trio.run(measure, Path(folder))
