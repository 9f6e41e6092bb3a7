"""Run benchmarks by name, or all of them. Each prints medians beside the bars, and ratios where Go is measured too.

Sizes shrink with BETAR_BENCH_…: RUNS, PUBLISHES, CHAIN, LONG_CHAIN, GO_CHAIN, BURST, HISTORY and so on.
"""

import importlib
import sys
import time

BENCHMARKS = (
    "latency",
    "sync",
    "bitswap",
    "helia",
    "listings",
    "burst",
    "merge",
    "publish",
    "ticker",
    "disk",
    "interface",
    "idle",
    "starting",
    "scale",
    "query",
    "capacity",
    "beside",
)


def main() -> int:
    chosen = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in chosen if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark is called {unknown[0]}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in chosen:
        start = time.perf_counter()
        print(f"== {name}", flush=True)
        importlib.import_module(f"{__package__}.{name}").main()
        print(f"   {time.perf_counter() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
