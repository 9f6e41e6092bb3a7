"""What a peer costs as its market grows: one of a single listing, one of 100,000 and one of 1,000,000, side by side.

Each market is merged into a data directory, and its catalogue made, once; then the program is started on it again and
again, in turns with the least one, which is called empty. Memory is what the process keeps in RAM once it is ready. With
`BETAR_BENCH_MARKETS`, the directories are kept there and found again: a million listings take some minutes to make.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import trio

from betar_tui.ipld import cid
from betar_tui.peer import open_peer
from betar_tui.replica import DagNode, Replica, decode_node, delta, keys
from betar_tui.replica.node import encode_node
from betar_tui.store.database import open_store
from tests.bench.common import BATCH, bar, number, runs
from tests.peers.harness import clean_environment, config, eventually, served

SIZES = (number("SMALL", 100_000), number("LARGE", 1_000_000))
START, MEMORY = (1.3, 1.5), (30, 60)
COMMANDS = (("status",), ("list", "--limit", "5"), ("show",))
SELLERS, PER_DELTA, SETTLE = 2_000, 8, 3.0
WORDS = (
    *("agent", "scan", "translate", "forecast", "weather", "legal", "ledger", "image"),
    *("voice", "chess", "tutor", "route", "code", "audit", "poem", "recipe"),
)


def listing(n: int, rng: random.Random) -> tuple[str, bytes]:
    """The key and value of a listing of 600 bytes or so."""
    listing_id = f"seller-{n % SELLERS}/{rng.choice(WORDS)}-{n:07}"
    document = {
        "id": listing_id,
        "name": f"{rng.choice(WORDS)} {rng.choice(WORDS)} {n:07}",
        "price": round(rng.random() * 10, 3),
        "metadata": {"description": " ".join(rng.choices(WORDS, k=50)), "tier": rng.choice(("gold", "silver"))},
        "seller_id": f"12D3KooWSeller{n % SELLERS:05}",
        "addrs": [f"/ip4/192.0.2.{n % 256}/tcp/4001"],
        "protocols": ["/x402/libp2p/1.0.0"],
        "timestamp": 1_795_390_401 + n // 100,
    }
    return keys.of_agent(listing_id), json.dumps(document).encode()


def deltas(count: int) -> Iterator[DagNode]:
    """A chain of deltas with so many distinct listings."""
    rng = random.Random(count)
    links: tuple[bytes, ...] = ()
    for height, start in enumerate(range(0, count, PER_DELTA), 1):
        puts = [listing(n, rng) for n in range(start, min(start + PER_DELTA, count))]
        block = encode_node(links, delta.encode(puts, [], height))
        node = decode_node(cid.of(block), block)
        links = (node.cid,)
        yield node


async def make(directory: Path, count: int) -> None:
    """A data directory with a market of so many listings, its catalogue complete."""
    if not directory.exists():
        directory.mkdir(parents=True)
        store = open_store(directory / "replica.db")
        replica, nodes = Replica(store), deltas(count)
        while batch := list(islice(nodes, BATCH)):
            replica.merge(batch, "12D3KooWNeighbour", time.time())
        store.close()
    began = time.perf_counter()
    async with open_peer(config(directory), network=True) as peer:

        async def indexed() -> bool:
            status = await peer.status()
            return status.listings >= count and status.indexing is None  # more if an earlier run left own listings

        await eventually(indexed, within=3600)
    print(f"{count} listings: the catalogue was complete after {time.perf_counter() - began:.0f} s", flush=True)


def memory(pid: int) -> float:
    """MB of RAM that a process has for itself."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    fields = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
    return sum(int(fields[name]) for name in ("Private_Clean", "Private_Dirty")) / 1024


async def start(directory: Path) -> tuple[float, float]:
    """Seconds until `--serve` is ready, and its memory a little later, in MB."""
    began = time.perf_counter()
    async with served(directory) as peer:
        took = time.perf_counter() - began
        await trio.sleep(SETTLE)
        return took, memory(peer.process.pid)


def command(directory: Path, *arguments: str) -> float:
    """Seconds that a command takes while no peer runs."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "betar_tui", "--data-dir", str(directory), *arguments],
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def compare(markets: dict[int, Path]) -> None:
    """Start each market in turns with the empty one, and print what they cost beside it."""
    starts: dict[int, list[tuple[float, float]]] = {size: [] for size in markets}
    commands: dict[tuple[int, tuple[str, ...]], list[float]] = {(s, c): [] for s in markets for c in COMMANDS}
    for _ in range(runs()):
        for size, directory in markets.items():
            starts[size].append(trio.run(start, directory))
            for arguments in COMMANDS:
                name = any_id(directory) if arguments == ("show",) else ""
                commands[size, arguments].append(command(directory, *arguments, *([name] if name else [])))
    empty = statistics.median(took for took, _ in starts[0]), statistics.median(used for _, used in starts[0])
    print(f"empty: ready after {empty[0]:.3g} s, {empty[1]:.3g} MB")
    for size, most, room in zip(SIZES, START, MEMORY, strict=True):
        bar(f"{size}: ready / empty", [took / empty[0] for took, _ in starts[size]], most, "times")
        bar(f"{size}: memory above empty", [used - empty[1] for _, used in starts[size]], room, "MB")
        for arguments in COMMANDS:
            base = statistics.median(commands[0, arguments])
            bar(f"{size}: {' '.join(arguments)} / empty", [t / base for t in commands[size, arguments]], 1.3, "times")


def any_id(directory: Path) -> str:
    """The id of some listing of a market."""
    found = subprocess.run(
        [sys.executable, "-m", "betar_tui", "--data-dir", str(directory), "list", "--limit", "1", "--json"],
        env=clean_environment(),
        capture_output=True,
        check=True,
    )
    return str(json.loads(found.stdout)[0]["id"])


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("BETAR_BENCH_MARKETS", temporary))
        markets = {size: folder / f"market-{size}" for size in (0, *SIZES)}
        for size, directory in markets.items():
            trio.run(make, directory, size or 1)  # `show` needs one listing to show
        compare(markets)
