"""What the benchmarks share: long histories made quickly, and one line for each bar."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from betar_tui.ipld import cid
from betar_tui.replica import DagNode, Replica, decode_node, delta, keys
from betar_tui.replica.node import encode_node
from betar_tui.store.database import open_store
from tests.peers.harness import Served

VALUE_SIZE = 600
BATCH = 1024
ONE_WAY = 0.025
"""Seconds: a round trip of 50 ms."""


def number(name: str, default: int) -> int:
    """A size that BETAR_BENCH_<name> may change."""
    return int(os.environ.get(f"BETAR_BENCH_{name}", str(default)))


def runs() -> int:
    """How often each thing is measured; medians are printed."""
    return number("RUNS", 3)


def processor_seconds(pid: int) -> float:
    """User and system time of a process and its threads so far, to the nanosecond.

    The clock of another process (Linux: `CPUCLOCK_SCHED` in the low bits, the inverted pid above). The figures in
    `/proc/PID/stat` are sampled in ticks, which for a process that wakes by timers can be wrong by half."""
    return time.clock_gettime(~pid << 3 | 2)


def listing(n: int, agents: int) -> tuple[str, bytes]:
    """The n-th put, spread over so many agents: its key and a value of 600 bytes."""
    agent = f"agent-{n % agents}"
    start = json.dumps({"id": agent, "name": agent, "price": n, "x": ""})[:-2].encode()
    return keys.of_agent(agent), start + b"v" * (VALUE_SIZE - len(start) - 2) + b'"}'


def chain(count: int, agents: int) -> Iterator[DagNode]:
    """A chain of puts, oldest first."""
    links: tuple[bytes, ...] = ()
    for n in range(count):
        block = encode_node(links, delta.encode([listing(n, agents)], [], n + 1))
        node = decode_node(cid.of(block), block)
        links = (node.cid,)
        yield node


def fill(directory: Path, count: int, agents: int) -> None:
    """A data directory with such a chain."""
    directory.mkdir(parents=True)
    store = open_store(directory / "replica.db")
    replica, nodes = Replica(store), chain(count, agents)
    while batch := list(islice(nodes, BATCH)):
        replica.merge(batch, "", 1.0)
    store.close()


async def complete(peer: Served, count: int) -> bool:
    """Whether a whole chain is at a peer."""
    status = await peer.market.status()
    return status.blocks == count and status.pending == 0 and status.height == count


def bar(what: str, samples: Sequence[float], limit: float | None, unit: str, *, least: bool = False) -> float:
    """Print a measurement beside its bar; `least` ones must not be below it. Returns the median."""
    median = statistics.median(samples)
    within = limit is None or (median >= limit if least else median <= limit)
    bound = (
        "" if limit is None else f"  (bar {'≥' if least else '≤'} {limit:g} {unit}: {'met' if within else 'MISSED'})"
    )
    each = f"  [{', '.join(_short(s) for s in samples)}]" if 1 < len(samples) < 12 else ""
    print(f"{what}: {_short(median)} {unit}{bound}{each}", flush=True)
    return median


def beside_go(ours: float, go: float, unit: str, what: str = "Go with Go") -> None:
    """Print Go's measurement of the same run, and ours as a multiple of it."""
    print(f"  {what}: {_short(go)} {unit}; ours / Go = {ours / go:.3g}", flush=True)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
