"""What a peer costs that has nothing to do: ten neighbours on one link, with discovery on, and beside it with discovery off.

Each peer is a process in a network namespace of its own. The cost is processor time over wall time, once all are level;
beside it is that of a program that only wakes, since that is the greater part of it and differs from machine to machine.
"""

import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import trio

from tests.bench.common import bar, number, processor_seconds, runs
from tests.namespaces import open_lan, why_not
from tests.peers.harness import Served, eventually, served

NEIGHBOURS, SECONDS = number("NEIGHBOURS", 10), number("IDLE_SECONDS", 60)
SETTLE = 75
"""Seconds from the start after which the searches of the beginning are over."""
ANYWHERE = ("/ip4/0.0.0.0/tcp/0",)
ON, OFF = ("--mdns", "--dht", "--dht-server"), ("--no-mdns", "--no-dht")


async def bare() -> float:
    """Percent of a core that a program takes which does nothing but wake ten times a second.

    On a virtual machine that is mostly what waking costs there: the caches are cold after each pause."""

    before = time.process_time()
    for _ in range(round(SECONDS / 2 / 0.1)):
        await trio.sleep(0.1)
    return (time.process_time() - before) / (SECONDS / 2) * 100


async def share(folder: Path, options: tuple[str, ...]) -> float:
    """Percent of a core that the peer in the middle takes while it is idle."""
    async with open_lan() as lan, AsyncExitStack() as stack:

        async def start(number: int, *more: str) -> Served:
            machine = await lan.machine(f"10.1.0.{number + 1}/24")
            return await stack.enter_async_context(
                served(folder / str(number), *options, *more, listen=ANYWHERE, inside=machine.command())
            )

        first = await start(0)
        for number in range(1, NEIGHBOURS + 1):
            await start(number, "--bootstrap", first.address)

        async def joined() -> bool:
            return (await first.market.status()).topic_peers >= NEIGHBOURS

        await eventually(joined, within=120)
        await trio.sleep(SETTLE)
        before = processor_seconds(first.process.pid)
        await trio.sleep(SECONDS)
        return (processor_seconds(first.process.pid) - before) / SECONDS * 100


def main() -> None:
    if reason := why_not():
        print(f"not measured: {reason}")
        return
    with tempfile.TemporaryDirectory() as folder:
        on, off, idle = [], [], []
        for run in range(runs()):
            on.append(trio.run(share, Path(folder) / f"on{run}", ON))
            off.append(trio.run(share, Path(folder) / f"off{run}", OFF))
            idle.append(trio.run(bare))
    found = bar(f"idle with {NEIGHBOURS} neighbours, mDNS and DHT on", on, 1, "% of a core")
    plain = bar("  with both off", off, None, "% of a core")
    least = bar("  a bare trio program that wakes ten times a second", idle, None, "% of a core")
    print(f"  on / off = {found / plain:.3g}; on / bare = {found / least:.3g}")
