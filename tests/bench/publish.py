"""What a publish costs on a long history, against a short one: turn by turn, so that both see the same machine."""

import statistics
import tempfile
import time
from pathlib import Path

import trio

from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import Peer, open_peer
from tests.bench.common import bar, fill, number, runs
from tests.peers.harness import config

LONG, SHORT, PUBLISHES, AGENTS = number("HISTORY", 200_000), 1000, 200, number("AGENTS", 1000)


async def publish(node: Peer, n: int) -> float:
    """Milliseconds that one publish takes."""
    start = time.perf_counter()
    await node.publish([ListingDraft(f"agent-{n}", n, "x" * 200)])
    return (time.perf_counter() - start) * 1000


async def measure(folder: Path, first: int) -> tuple[float, float]:
    """Medians with the long and the short history."""
    async with (
        open_peer(config(folder / "long"), network=False) as long,
        open_peer(config(folder / "short"), network=False) as short,
    ):
        for n in range(10):
            await publish(long, first + n)
            await publish(short, first + n)
        pairs = [(await publish(long, first + 10 + n), await publish(short, first + 10 + n)) for n in range(PUBLISHES)]
        return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "long", LONG, AGENTS)
        fill(Path(folder) / "short", SHORT, AGENTS)
        found = [trio.run(measure, Path(folder), run * 1000) for run in range(runs())]
    bar(f"a publish with {LONG} deltas of history / with {SHORT}", [a / b for a, b in found], 1.2, "times")
    print(f"  {statistics.median(a for a, _ in found):.2f} ms against {statistics.median(b for _, b in found):.2f} ms")
