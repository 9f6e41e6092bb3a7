"""Cold sync of one chain, loopback: an empty peer of ours gets it from ours, and from Go over Bitswap; Go from ours.

Time runs from the call to connect to the moment at which the map is complete on the new peer. Go's own pace is taken
from a shorter chain in the same run, since Go with Go takes twenty milliseconds a delta whatever the length.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import trio

from betar_tui.replica import Replica, keys
from betar_tui.store.database import open_store

from ..interop.driver import go_available, join, open_gopeer
from ..peers.harness import eventually, served

CHAIN = int(os.environ.get("BETAR_BENCH_CHAIN", "10000"))
GO_CHAIN = int(os.environ.get("BETAR_BENCH_GO_CHAIN", "500"))


def fill(directory: Path, count: int, agents: int) -> None:
    """A chain of `count` deltas of 600-byte values, spread over so many keys."""
    directory.mkdir(parents=True)
    store = open_store(directory / "replica.db")
    replica = Replica(store)
    for n in range(count):
        agent = f"agent-{n % agents}"
        value = (f'{{"id":"{agent}","name":"{agent}","price":{n},"x":"').encode()
        replica.write({keys.of_agent(agent): value + b"v" * (598 - len(value)) + b'"}'}, [], time.time())
    store.close()


async def ours_from_ours(directory: Path, count: int, agents: int) -> tuple[float, float]:
    """Seconds until all current listings are shown, and until the whole chain is here."""
    fill(directory / "a", count, agents)
    async with served(directory / "a") as a, served(directory / "b") as b:

        async def shown() -> bool:
            return (await b.market.status()).listings == agents

        async def complete() -> bool:
            status = await b.market.status()
            return status.blocks == count and status.pending == 0 and status.height == count

        start = time.perf_counter()
        await b.market.connect(a.address)
        await eventually(shown, within=600)
        listed = time.perf_counter() - start
        await eventually(complete, within=600)
        return listed, time.perf_counter() - start


async def between(count: int, writer: str, reader: str) -> float:
    """Deltas a second of a cold sync where at least one side is Go."""
    with tempfile.TemporaryDirectory() as directory:
        async with trio.open_nursery() as nursery:
            if writer == "ours":
                fill(Path(directory) / "ours", count, count)
            async with served(Path(directory) / "ours") as ours, open_gopeer(nursery, rebroadcast="200ms") as go:
                if writer == "go":
                    for n in range(count):
                        await go.put(f"/agents/k{n}", b"v" * 600)

                async def done() -> bool:
                    if reader == "go":
                        return (await go.stats())["keys"] == count
                    return (await ours.market.status()).height == count

                if "ours" in (writer, reader):
                    start = time.perf_counter()
                    await go.connect(ours.address)
                    await eventually(done, within=600)
                else:
                    async with open_gopeer(nursery, rebroadcast="200ms") as other:
                        start = time.perf_counter()
                        await join(go, other)

                        async def same() -> bool:
                            return (await other.stats())["keys"] == count

                        await eventually(same, within=600)
                return count / (time.perf_counter() - start)


def main() -> None:
    """Print seconds for ours, and rates beside Go's."""
    for count, agents in ((CHAIN, 1000), (20_000, 20)):
        listed, whole = [], []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as directory:
                a, b = trio.run(ours_from_ours, Path(directory), count, agents)
                listed.append(a)
                whole.append(b)
        print(
            f"cold sync of {count} deltas of {agents} agents, ours from ours: all listings after"
            f" {statistics.median(listed):.2f} s, complete after {statistics.median(whole):.2f} s"
            f" ({count / statistics.median(whole):.0f} deltas/s)"
        )
    if not go_available():
        return
    rates = {}
    for writer, reader in (("go", "go"), ("go", "ours"), ("ours", "go")):
        rates[writer, reader] = trio.run(between, GO_CHAIN, writer, reader)
        print(f"cold sync of {GO_CHAIN} deltas, {reader} from {writer}: {rates[writer, reader]:.0f} deltas/s")
    print(f"  ours from Go against Go from Go: {rates['go', 'ours'] / rates['go', 'go']:.1f}")
    print(f"  Go from ours against Go from Go: {rates['ours', 'go'] / rates['go', 'go']:.2f}")
