"""Publish on one peer to visible on the other, on loopback and at a round trip of 50 ms: ours beside two Go peers.

Ours runs from just before the publish is asked for on the control socket to the moment at which the other peer's
event stream, which `watch` prints, has the change; Go's from its put to its put event. Runs alternate, so that both
see the same machine. At 50 ms the connection goes through a delay proxy, and only through it.
"""

import statistics
import tempfile
import time
from pathlib import Path

import trio

from betar_tui.market.marketplace import Change, ListingDraft
from tests.bench.common import ONE_WAY, bar, beside_go, number, runs
from tests.interop.driver import go_available, open_gopeer
from tests.interop.latency import put_and_wait
from tests.peers.harness import eventually, served
from tests.proxy import open_proxy

PUBLISHES, WARM_UP = number("PUBLISHES", 30), 5


async def measure_ours(directory: Path, n: int, delay: float) -> list[float]:
    """Milliseconds from publish to applied on the other peer, of `n` publishes one after the other."""
    async with (
        served(directory / "a") as a,
        open_proxy(a.address, delay) as proxy,
        served(directory / "b", "--bootstrap", proxy.address if delay else a.address) as b,
        b.market.events() as events,
    ):

        async def both_on_topic() -> bool:
            return all([(await each.market.status()).topic_peers for each in (a, b)])

        await eventually(both_on_topic, what="both on the topic")
        samples = []
        for i in range(WARM_UP + n):
            asked = time.time()
            await a.market.publish([ListingDraft(f"agent-{i}", 0.05, "x" * 200)])
            async for event in events:
                if isinstance(event, Change):
                    samples.append((time.time() - asked) * 1000)
                    break
        assert not delay or (proxy.accepted, proxy.bypassing()) == (1, 0), "the peers went around the proxy"
        return samples[WARM_UP:]


async def measure_go(n: int, delay: float) -> list[float]:
    """The same between two Go peers."""
    async with (
        trio.open_nursery() as nursery,
        open_gopeer(nursery) as writer,
        open_gopeer(nursery) as reader,
        open_proxy(writer.address, delay) as proxy,
    ):
        await reader.connect(proxy.address if delay else writer.address)
        await writer.topic_peers(reader.peer_id)
        await reader.topic_peers(writer.peer_id)
        samples = [
            await put_and_wait(writer, reader, f"/agents/k{i}", b"%06d" % i + b"v" * 494) for i in range(WARM_UP + n)
        ]
        assert not delay or (proxy.accepted, proxy.bypassing()) == (1, 0), "the peers went around the proxy"
        return samples[WARM_UP:]


def compare(what: str, delay: float, limit: float) -> None:
    """Print both medians and the ratio."""
    ours, go, tails = [], [], []
    for _ in range(runs()):
        with tempfile.TemporaryDirectory() as directory:
            samples = trio.run(measure_ours, Path(directory), PUBLISHES, delay)
            ours.append(statistics.median(samples))
            tails.append(statistics.quantiles(samples, n=20)[-1])
        if go_available():
            go.append(statistics.median(trio.run(measure_go, PUBLISHES, delay)))
    median = bar(f"publish to visible on a second peer, {what}, p50 of {PUBLISHES}", ours, limit, "ms")
    print(f"  p95: {statistics.median(tails):.1f} ms")
    if go:
        beside_go(median, statistics.median(go), "ms")


def main() -> None:
    """Loopback, where half of Go's 20 ms is the bar, then 50 ms."""
    compare("loopback", 0.0, 8.0)
    compare("round trip 50 ms", ONE_WAY, 35.0)
