"""Live schedules over Go peers and ours, one from each seed (see tests/interop/mesh.py)."""

import statistics
import tempfile
import time
import traceback
from pathlib import Path

import trio

from tests.interop.driver import build_gopeer, go_available
from tests.interop.mesh import Report, live

COUNT = 300
PATIENCE = 300.0


def run(count: int, first: int) -> tuple[int, int]:
    """How many schedules passed and failed."""
    if not go_available():
        print("  no `go` on PATH: the Go peers cannot be built")
        return 0, count
    binary = build_gopeer()
    failed = holes = overwritten = 0
    took: list[float] = []
    for seed in range(first, first + count):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                report = trio.run(_live, seed, Path(folder), binary)
                took.append(time.perf_counter() - start)
                holes += bool(report.go_holes)
                overwritten += bool(report.go_overwritten)
                print(f"  {seed}: {took[-1]:.1f} s, {report}", flush=True)
            except Exception:
                failed += 1
                print(f"  FAILED seed {seed}\n{traceback.format_exc()}", flush=True)
    if took:
        print(f"  a schedule took {statistics.median(took):.1f} s (median), {max(took):.1f} s at most")
    print(f"  in {holes} a Go peer had lost a branch by itself; all others agreed, and one of them held what it lacked")
    print(
        f"  in {overwritten} a delete in a Go peer had overwritten what it merged at the same time; all others agreed"
    )
    return count - failed, failed


async def _live(seed: int, folder: Path, binary: Path) -> Report:
    with trio.fail_after(PATIENCE):
        return await live(seed, folder, binary)
