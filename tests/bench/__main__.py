"""Run benchmarks by name, or all of them. Each prints medians, and ratios where Go is measured beside it."""

import sys

from . import latency, sync

BENCHMARKS = {"latency": latency.main, "sync": sync.main}


def main() -> int:
    chosen = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in chosen if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark is called {unknown[0]}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in chosen:
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
