"""Publish on one peer to visible on the other, over loopback: two `--serve` processes beside two Go peers.

Ours runs from just before the publish is asked for on the control socket to the moment at which the other peer's
event stream, which `watch` prints, has the change; Go's from its put to its put event. Runs alternate, so that both see the same
machine.
"""

import statistics
import tempfile
import time
from pathlib import Path

import trio

from betar_tui.market.marketplace import Change, ListingDraft

from ..interop.driver import go_available
from ..interop.latency import measure_go_latency
from ..peers.harness import eventually, served

RUNS, PUBLISHES, WARM_UP = 3, 30, 5


async def measure_ours(directory: Path, n: int) -> list[float]:
    """Milliseconds from publish to applied on the other peer, of `n` publishes one after the other."""
    async with (
        served(directory / "a") as a,
        served(directory / "b", "--bootstrap", a.address) as b,
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
        return samples[WARM_UP:]


def main() -> None:
    """Print medians and the ratio."""
    ours, go = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as directory:
            ours.append(statistics.median(trio.run(measure_ours, Path(directory), PUBLISHES)))
        if go_available():
            go.append(statistics.median(trio.run(measure_go_latency, PUBLISHES)))
    print(f"publish to visible on a second peer, loopback, p50 of {PUBLISHES}, {RUNS} runs:")
    print(f"  ours with ours  {statistics.median(ours):6.1f} ms  ({', '.join(f'{each:.1f}' for each in ours)})")
    if go:
        print(f"  Go with Go      {statistics.median(go):6.1f} ms  ({', '.join(f'{each:.1f}' for each in go)})")
        print(f"  ratio           {statistics.median(ours) / statistics.median(go):6.2f}")
