"""Cold sync of one chain by an empty peer of ours from another, on loopback and at a round trip of 50 ms.

Time runs from the call to connect to the moment at which the chain is complete on the new peer. Go's own pace is taken
from a shorter chain in the same run and scaled, since Go with Go takes the same time for each delta whatever the length.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import trio

from tests.bench.common import ONE_WAY, bar, complete, fill, number, runs
from tests.interop.driver import go_available, open_gopeer
from tests.peers.harness import eventually, served
from tests.proxy import open_proxy

CHAIN, LONG_CHAIN, AGENTS = number("CHAIN", 10_000), number("LONG_CHAIN", 100_000), number("AGENTS", 1000)
GO_CHAIN, GO_FAR_CHAIN = number("GO_CHAIN", 500), number("GO_FAR_CHAIN", 100)


async def ours_from_ours(directory: Path, count: int, delay: float) -> tuple[float, float]:
    """Seconds until all current listings are shown, and until the whole chain is here. `directory`/a holds it."""
    agents = min(AGENTS, count)
    async with (
        served(directory / "a") as a,
        served(directory / "b") as b,
        open_proxy(a.address, delay) as proxy,
    ):

        async def shown() -> bool:
            return (await b.market.status()).listings == agents

        start = time.perf_counter()
        await b.market.connect(proxy.address if delay else a.address)
        await eventually(shown, within=600)
        listed = time.perf_counter() - start
        await eventually(lambda: complete(b, count), within=600)
        whole = time.perf_counter() - start
        assert not delay or (proxy.accepted, proxy.bypassing()) == (1, 0), "the peers went around the proxy"
        return listed, whole


async def go_from_go(count: int, delay: float) -> float:
    """Milliseconds a delta."""
    async with trio.open_nursery() as nursery, open_gopeer(nursery, rebroadcast="200ms") as source:
        for n in range(count):
            await source.put(f"/agents/k{n}", b"v" * 600)
        async with (
            open_gopeer(nursery, rebroadcast="200ms") as other,
            open_proxy(source.address, delay) as proxy,
        ):
            start = time.perf_counter()
            await other.connect(proxy.address if delay else source.address)

            async def same() -> bool:
                return bool((await other.stats())["keys"] == count)

            await eventually(same, within=600)
            return (time.perf_counter() - start) * 1000 / count


def compare(count: int, what: str, delay: float, limit: float, go_count: int) -> None:
    """Print both of ours, and Go's scaled time."""
    listed, whole, go = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "full", count, min(AGENTS, count))
        for run in range(runs()):
            directory = Path(folder) / str(run)
            shutil.copytree(Path(folder) / "full", directory / "a")
            first, last = trio.run(ours_from_ours, directory, count, delay)
            listed.append(first)
            whole.append(last)
            shutil.rmtree(directory)
            if go_count and go_available() and len(go) < 2:
                go.append(trio.run(go_from_go, go_count, delay))
    median = bar(f"cold sync of {count} deltas, ours from ours, {what}", whole, limit, "s")
    rate = count / median
    print(f"  {rate:.0f} deltas/s; all {min(AGENTS, count)} listings after {statistics.median(listed):.2f} s")
    if go:
        pace = statistics.median(go)
        seconds = pace * count / 1000
        print(
            f"  Go with Go: {pace:.1f} ms a delta ({go_count} of them), {seconds:.0f} s; ours is {seconds / median:.0f}x"
        )


def main() -> None:
    """Loopback, then 50 ms, then the long chain."""
    compare(CHAIN, "loopback", 0.0, 1.5, GO_CHAIN)
    compare(CHAIN, "round trip 50 ms", ONE_WAY, 2.5, GO_FAR_CHAIN)
    compare(LONG_CHAIN, "loopback", 0.0, 15.0, 0)
