"""Two thousand puts in a burst, until the second peer shows them all: one by one as fast as it goes, and as one batch.

The writer is a peer in this process, the reader a `--serve` process. Time runs from the first put to the last change
that the reader tells of. Go's own pace comes from a smaller burst in the same run; it only gets worse with more.
"""

import statistics
import tempfile
import time
from pathlib import Path

import trio

from betar_tui.market.marketplace import ListingDraft
from tests.bench.common import bar, number, runs
from tests.interop.driver import go_available, join, open_gopeer
from tests.peers.harness import eventually, peer, served

BURST, GO_BURST = number("BURST", 2000), number("GO_BURST", 500)
PUBLISHERS = 8


async def ours(directory: Path, how: str) -> tuple[float, float]:
    """Seconds until all were written, and until all are visible on the other peer."""
    drafts = [ListingDraft(f"agent-{n}", n, "x" * 200) for n in range(BURST)]
    async with served(directory / "b") as b, peer(directory / "a", bootstrap=(b.address,)) as a:

        async def on_topic() -> bool:
            return bool(a.session.topic_peers and (await b.market.status()).topic_peers)

        async def all_here() -> bool:
            return (await b.market.status()).listings == BURST

        async def publish() -> None:
            while waiting:
                await a.publish([waiting.pop()])

        await eventually(on_topic, what="both on the topic")
        start = time.perf_counter()
        if how == "batch":
            await a.publish(drafts)
        else:
            waiting = drafts[::-1]
            async with trio.open_nursery() as nursery:
                for _ in range(1 if how == "one by one" else PUBLISHERS):
                    nursery.start_soon(publish)
        written = time.perf_counter() - start
        await eventually(all_here, within=300)
        return written, time.perf_counter() - start


async def go_with_go() -> float:
    """Seconds until a burst of puts on one Go peer is visible at the other."""
    async with trio.open_nursery() as nursery, open_gopeer(nursery) as writer, open_gopeer(nursery) as reader:
        await join(writer, reader)
        start = time.perf_counter()
        for n in range(GO_BURST):
            await writer.put(f"/agents/k{n}", b"v" * 600)

        async def all_here() -> bool:
            return bool((await reader.stats())["keys"] == GO_BURST)

        await eventually(all_here, within=300)
        return time.perf_counter() - start


def main() -> None:
    go: list[float] = []
    medians = {}
    for how in ("one by one", f"{PUBLISHERS} at a time", "batch"):
        samples = []
        for _ in range(runs()):
            with tempfile.TemporaryDirectory() as folder:
                samples.append(trio.run(ours, Path(folder), how))
            if go_available() and len(go) < runs():
                go.append(trio.run(go_with_go))
        medians[how] = bar(
            f"{BURST} puts, {how}, until visible on a second peer", [all_ for _, all_ in samples], 2, "s"
        )
        print(f"  all were written after {statistics.median(written for written, _ in samples):.2f} s")
    if go:
        pace = statistics.median(go) / GO_BURST
        whole = pace * BURST
        print(f"  Go with Go: {GO_BURST} puts after {statistics.median(go):.1f} s, {BURST} at that pace {whole:.0f} s")
        print(f"  ours / Go = {medians['one by one'] / whole:.3g}")
