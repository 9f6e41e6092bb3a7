"""Blocks between ours and Helia over Bitswap on loopback, beside Helia with Helia: sixty at once, a chain of three hundred.

Helia opens a stream for each message, so most of what a block of a chain takes is its own time.
"""

import os
import time
from pathlib import Path

import trio

from betar_tui.ipld.cid import from_str, to_str
from tests.bench.common import bar, number, runs
from tests.interop.helia.blocks import connected, shelve_chain, walk
from tests.interop.helia.driver import install, open_helia, why_not

BLOCKS, CHAIN = number("HELIA_BLOCKS", 60), number("HELIA_CHAIN", 300)
SIZE = 600
LIMIT = 5.0
"""Seconds for each."""


async def ours_with_helia(packages: Path) -> tuple[float, float, float, float]:
    """Seconds of blocks to Helia and from it, and of a chain to it and from it."""
    async with connected(packages) as (ours, helia):
        there = await helia.fetch([to_str(ours.shelf.put(os.urandom(SIZE))) for _ in range(BLOCKS)])
        put = [from_str(each) for each in await helia.put(*(os.urandom(SIZE) for _ in range(BLOCKS)))]
        start = time.perf_counter()
        await ours.fetch(put, helia.peer_id)
        back = time.perf_counter() - start
        chain_there = await helia.walk(to_str(shelve_chain(ours, CHAIN)), CHAIN)
        name = from_str(await helia.put_chain(CHAIN))
        start = time.perf_counter()
        await walk(ours, name, CHAIN, helia.peer_id)
        return there, back, chain_there, time.perf_counter() - start


async def helia_with_helia(packages: Path) -> float:
    """Seconds of a chain from one Helia to another."""
    async with open_helia(packages) as first, open_helia(packages) as second:
        name = await first.put_chain(CHAIN)
        await second.request("connect", addr=first.address)
        return await second.walk(name, CHAIN)


async def measure(packages: Path) -> None:
    samples = [await ours_with_helia(packages) for _ in range(runs())]
    theirs = [await helia_with_helia(packages) for _ in range(runs())]
    there, back, chain_there, chain_back = (list(each) for each in zip(*samples, strict=True))
    bar(f"{BLOCKS} blocks, ours to Helia", there, LIMIT, "s")
    bar(f"{BLOCKS} blocks, Helia to ours", back, LIMIT, "s")
    ours = bar(f"a chain of {CHAIN}, ours to Helia", chain_there, LIMIT, "s")
    bar(f"a chain of {CHAIN}, Helia to ours", chain_back, LIMIT, "s")
    between = bar(f"a chain of {CHAIN}, Helia to Helia", theirs, None, "s")
    print(f"  ours to Helia / Helia to Helia = {ours / between:.3g}")


def main() -> None:
    if reason := why_not():
        print(f"not measured: {reason}")
        return
    trio.run(measure, install())
