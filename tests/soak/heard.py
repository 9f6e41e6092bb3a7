"""Go peers that would not ask us by themselves: every run of every case must be in time (see tests/interop/heard.py)."""

import tempfile
from pathlib import Path

import trio

from tests.interop.conftest import require_gopeer
from tests.interop.heard import CASES

COUNT = 1


def run(count: int, seed: int) -> tuple[int, int]:
    """How many runs were in time and how many were not; `count` times the runs of each case."""
    binary = require_gopeer()
    good = bad = 0
    for name, (case, limit, runs) in CASES.items():
        times = []
        for _ in range(count * runs):
            with tempfile.TemporaryDirectory() as folder:
                times.append(trio.run(case, Path(folder), binary))
        late = sum(took > limit for took in times)
        print(f"  {name}: {' '.join(f'{took:.2f}' for took in times)} s, {limit:g} allowed", flush=True)
        good, bad = good + len(times) - late, bad + late
    return good, bad
