"""Run soak tests by name, or all of them: `python -m tests.soak [name[=count] …] [--seed N]`.

    simulation     seeds of ten simulated replicas in trouble (20,000)
    differential   live schedules over Go peers and ours that must agree (300)
    kills          kill -9 of a serving peer under load (200)
    bulk           kill -9 of a bulk import, and the catalogue that it leaves (200)
    interruptions  of one first sync of 20,000 deltas (20)
    mesh           ten processes, ours and Go, that restart and freeze while they publish (20)
    heard          ways in which a Go peer comes to be deaf to ours, 25 runs (1)

Each prints its progress and a line "N passed, M failed"; the exit code is 1 when anything failed.
"""

import argparse
import importlib
import sys
import time

SOAKS = ("simulation", "differential", "kills", "bulk", "interruptions", "mesh", "heard")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="*", metavar="name[=count]", help=f"of {', '.join(SOAKS)}; all without any")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    chosen = [each.partition("=") for each in arguments.what or SOAKS]
    for name, _, count in chosen:
        if name not in SOAKS or (count and not count.isdigit()):
            parser.error(f"{name}{'=' + count if count else ''}: there are {', '.join(SOAKS)}, each with =count")
    failed = 0
    for name, _, count in chosen:
        soak = importlib.import_module(f"{__package__}.{name}")
        start = time.perf_counter()
        print(f"== {name}, from seed {arguments.seed}", flush=True)
        good, bad = soak.run(int(count) if count else soak.COUNT, arguments.seed)
        print(f"{name}: {good} passed, {bad} failed in {time.perf_counter() - start:.0f} s", flush=True)
        failed += bad
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
