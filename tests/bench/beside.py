"""What the catalogue may cost publishing and a cold sync: this checkout beside another one, turn by turn in one run.

BETAR_BENCH_BASELINE=<another checkout> names that one, such as the last without a catalogue. Each measurement runs in
processes of its own in which `betar_tui` is that of one checkout; the measuring code is this one's. Without a baseline only
this checkout's figures are printed.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio

from tests.bench import burst, latency
from tests.bench.common import complete, fill, number, runs
from tests.peers.harness import Served, eventually, served

HERE = Path(__file__).parents[2]
LISTINGS = number("LISTINGS", 100_000)
SLOWER, SYNC_SLOWER, SEARCHABLE = 1.1, 1.15, 3.0
"""The bars: by what a publish and a burst, and a sync until the replica is complete and until every listing is searchable,
may be multiplied; the last is a multiple of the time that the replica took before."""


def publish_latency() -> float:
    """Milliseconds from a publish to its being visible on the other peer, p50, on loopback."""
    with tempfile.TemporaryDirectory() as folder:
        return statistics.median(trio.run(latency.measure_ours, Path(folder), latency.PUBLISHES, 0.0))


def burst_visible(how: str) -> float:
    """Seconds until a burst is visible on the other peer."""
    with tempfile.TemporaryDirectory() as folder:
        return trio.run(burst.ours, Path(folder), how)[1]


def fill_source(folder: str) -> None:
    """A data directory with a chain of distinct listings."""
    fill(Path(folder), LISTINGS, LISTINGS)


def cold_sync(source: str) -> tuple[float, float]:
    """Seconds until the replica of a new peer is complete, and until every listing can be found."""
    with tempfile.TemporaryDirectory() as folder:
        return trio.run(_cold_sync, Path(source), Path(folder))


async def _cold_sync(source: Path, directory: Path) -> tuple[float, float]:
    async with served(source) as a, served(directory) as b:
        # The source makes its own catalogue first.
        await eventually(lambda: _all_found(a), within=3600)
        start = time.perf_counter()
        await b.market.connect(a.address)
        await eventually(lambda: complete(b, LISTINGS), within=600)
        whole = time.perf_counter() - start
        await eventually(lambda: _all_found(b), within=600)
        return whole, time.perf_counter() - start


async def _all_found(peer: Served) -> bool:
    status = await peer.market.status()
    return status.listings == LISTINGS and getattr(status, "indexing", None) is None


def run_in(checkout: Path, function: str, *arguments: object) -> Any:
    """The result of a function of this module with the `betar_tui` of a checkout."""
    call = f"import json; from tests.bench import beside; print(json.dumps(beside.{function}(*{arguments!r})))"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "betar_tui").symlink_to(checkout / "betar_tui")
        (Path(folder) / "tests").symlink_to(HERE / "tests")
        done = subprocess.run(
            [sys.executable, "-c", call],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": folder},
            stdout=subprocess.PIPE,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def compare(what: str, unit: str, ours: Sequence[float], before: Sequence[float], most: float) -> None:
    """Print the medians and their ratio beside the bar."""
    print(f"{what}: {_listed(ours)} {unit}", flush=True)
    if before:
        ratio = statistics.median(ours) / statistics.median(before)
        print(f"  baseline: {_listed(before)} {unit}")
        print(f"  ours / baseline = {ratio:.3g}  (bar ≤ {most:g}: {'met' if ratio <= most else 'MISSED'})", flush=True)


def _listed(samples: Sequence[float]) -> str:
    return f"{statistics.median(samples):.3g} [{', '.join(f'{each:.3g}' for each in samples)}]"


def alternate(checkouts: Sequence[Path], function: str, *arguments: Sequence[object]) -> list[list[Any]]:
    """Call a function in each checkout in turns; `arguments` are those for each of them."""
    found: list[list[Any]] = [[] for _ in checkouts]
    for _ in range(runs()):
        for checkout, samples, given in zip(checkouts, found, arguments, strict=True):
            samples.append(run_in(checkout, function, *given))
    return found


def main() -> None:
    baseline = os.environ.get("BETAR_BENCH_BASELINE")
    checkouts = [HERE, *([Path(baseline)] if baseline else [])]
    ours, *before = alternate(checkouts, "publish_latency", *[()] * len(checkouts))
    compare("publish to visible on a second peer, p50", "ms", ours, before[0] if before else [], SLOWER)
    for how in ("one by one", f"{burst.PUBLISHERS} at a time", "batch"):
        ours, *before = alternate(checkouts, "burst_visible", *[(how,)] * len(checkouts))
        compare(
            f"{burst.BURST} puts, {how}, until visible on a second peer",
            "s",
            ours,
            before[0] if before else [],
            SLOWER,
        )
    with tempfile.TemporaryDirectory() as folder:
        sources = [f"{folder}/{number}" for number in range(len(checkouts))]
        for checkout, source in zip(checkouts, sources, strict=True):
            run_in(checkout, "fill_source", source)
        ours, *before = alternate(checkouts, "cold_sync", *[(source,) for source in sources])
    whole = [each[0] for each in before[0]] if before else []
    what = f"cold sync of {LISTINGS} distinct listings"
    compare(f"{what}, replica complete", "s", [each[0] for each in ours], whole, SYNC_SLOWER)
    compare(f"{what}, all searchable", "s", [each[1] for each in ours], whole, SEARCHABLE)
