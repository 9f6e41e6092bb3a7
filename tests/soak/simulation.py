"""Simulated networks of ten replicas, one from each seed, against the oracle."""

from tests.simulation import simulator

COUNT = 20_000
SLICE = 250


def run(count: int, first: int) -> tuple[int, int]:
    """How many seeds passed and failed. A failed one is named; the rest of the seeds go on."""
    total = simulator.Report()
    failed = 0
    seed, end = first, first + count
    while seed < end:
        try:
            total.add(simulator.run(range(seed, min(seed + SLICE, end))))
        except AssertionError:
            failed += _one_by_one(seed, min(seed + SLICE, end), total)
        seed += SLICE
        if (seed - first) % (4 * SLICE) == 0:
            print(f"  {min(seed, end) - first} of {count}, {failed} failed; {total.seconds:.0f} s", flush=True)
    print(f"  {total}")
    return count - failed, failed


def _one_by_one(seed: int, end: int, total: simulator.Report) -> int:
    failed = 0
    for each in range(seed, end):
        try:
            total.add(simulator.run([each]))
        except AssertionError as error:
            failed += 1
            print(f"  FAILED {error}", flush=True)
    return failed
