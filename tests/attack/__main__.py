"""Run scenarios by name, or all of them; prints each figure beside its bar. Exit code 1 when one is missed."""

from __future__ import annotations

import argparse
import sys
from functools import partial

import trio

from tests.attack.figures import Report, table
from tests.attack.lab import run
from tests.attack.scenarios import SCENARIOS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="*", metavar="scenario", help=f"of {', '.join(SCENARIOS)}; all without any")
    chosen = parser.parse_args().what or list(SCENARIOS)
    for name in chosen:
        if name not in SCENARIOS:
            parser.error(f"{name}: there are {', '.join(SCENARIOS)}")
    missed = 0
    for name in chosen:
        scenario = SCENARIOS[name]
        report, bars = _run(name), scenario.bars
        print(table(report, bars), flush=True)
        missed += len(report.missed(bars))
    print(f"{missed} bars missed in {len(chosen)} scenarios" if missed else f"all bars of {len(chosen)} scenarios met")
    return 1 if missed else 0


def _run(name: str) -> Report:
    """One scenario. A lab that breaks down, because the attacked peer does, misses every bar."""
    try:
        return trio.run(partial(run, SCENARIOS[name].plan))
    except Exception as error:
        return Report(name, (), f"the lab broke down: {error!r:.300}")


if __name__ == "__main__":
    sys.exit(main())
