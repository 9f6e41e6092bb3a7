"""One first sync of 20,000 deltas that is interrupted over and over: by kill -9, and by cutting the connection.

All traffic goes through a proxy, whose bytes are compared with those of a sync that nobody interrupted: what is fetched
twice shows there. In the end the chain is complete, without a hole, and the database sound.
"""

import os
import random
import shutil
import sqlite3
import tempfile
import traceback
from pathlib import Path

import trio

from ..bench.common import complete, fill
from ..interop.mesh import judged_replica
from ..peers.harness import Served, eventually, served
from ..proxy import Proxy, open_proxy

COUNT = 20
DELTAS = int(os.environ.get("BETAR_SOAK_DELTAS", "20000"))
AGENTS = 500
WASTE = 4 << 20
"""Bytes that may be on their way at an interruption, and lost: sockets and windows hold so much."""


async def straight(source: Served, directory: Path) -> int:
    """Bytes of a sync that nobody interrupts."""
    async with open_proxy(source.address) as proxy, served(directory, "--bootstrap", proxy.address) as reader:
        await eventually(lambda: complete(reader, DELTAS), within=300, what="the whole chain")
        return proxy.from_target


async def interrupted(source: Served, directory: Path, count: int, rng: random.Random, size: int) -> int:
    """The same with interruptions, spread over what is left; the bytes it took."""
    async with open_proxy(source.address) as proxy:
        left = count
        while left:
            async with served(directory, "--bootstrap", proxy.address) as reader:
                while left:
                    left -= 1
                    held = (await reader.market.status()).blocks
                    rest = size * (1 - held / DELTAS)
                    await _until(proxy, proxy.from_target + int(rest / (left + 2) * rng.uniform(0.5, 1.5)), reader)
                    if rng.random() < 0.5:
                        reader.process.kill()
                        await reader.process.wait()
                        await eventually(lambda: not proxy.live, what="the connection is gone")
                        _sound(directory)
                        break
                    before = proxy.accepted
                    proxy.cut()
                    await eventually(lambda: proxy.accepted > before, what="the peer comes back by itself")  # noqa: B023
                else:
                    await eventually(lambda: complete(reader, DELTAS), within=300, what="the whole chain")
                    return proxy.from_target
        async with served(directory, "--bootstrap", proxy.address) as reader:
            await eventually(lambda: complete(reader, DELTAS), within=300, what="the whole chain")
            return proxy.from_target


async def _until(proxy: Proxy, target: int, reader: Served) -> None:
    """Wait for so many bytes, or for the end of the sync."""

    async def over() -> bool:
        return proxy.from_target >= target or await complete(reader, DELTAS)

    await eventually(over, within=120, what="progress")


def _sound(directory: Path) -> int:
    """Check the database; the number of blocks in it."""
    database = sqlite3.connect(directory / "replica.db")
    sound = database.execute("PRAGMA integrity_check").fetchone()
    (blocks,) = database.execute("SELECT count(*) FROM blocks").fetchone()
    database.close()
    assert sound == ("ok",), f"the database is damaged: {sound}"
    return int(blocks)


async def sync(count: int, seed: int, folder: Path) -> None:
    rng = random.Random(seed)
    fill(folder / "full", DELTAS, AGENTS)
    shutil.copytree(folder / "full", folder / "source")
    async with served(folder / "source") as source:
        size = await straight(source, folder / "straight")
        took = await interrupted(source, folder / "reader", count, rng, size)
    assert _sound(folder / "reader") == DELTAS, "blocks are missing"
    judged_replica(folder / "reader")
    extra = (took - size) / size
    print(
        f"  {count} interruptions: {took / 1e6:.1f} MB for a sync that takes {size / 1e6:.1f} MB"
        f" ({extra:+.1%}, {max(0, took - size) / count / 1e3:.0f} kB an interruption)"
    )
    assert took - size <= count * WASTE + size // 10, "much of it was fetched again"


def run(count: int, seed: int) -> tuple[int, int]:
    """One sync with so many interruptions: passed or failed as a whole."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            trio.run(sync, count, seed, Path(folder))
        except Exception:
            print(f"  FAILED\n{traceback.format_exc()}", flush=True)
            return 0, count
    return count, 0
