"""How fast fetched blocks are verified, decoded and merged into a database: in bulk, and one by one.

The blocks come newest first, as a sync brings them.
"""

import statistics
import tempfile
import time
from pathlib import Path

import trio

from betar_tui.replica import Replica, decode_node
from betar_tui.store.database import open_store
from betar_tui.sync.writer import RawBlock, ReplicaWriter
from tests.bench.common import BATCH, bar, chain, number, runs

BULK, SINGLE, AGENTS = number("MERGE_BULK", 50_000), number("MERGE_SINGLE", 5000), number("AGENTS", 1000)


def rate(path: Path, blocks: list[RawBlock], batch: int) -> float:
    """Blocks a second, on the replica itself."""
    store = open_store(path)
    replica = Replica(store)
    start = time.perf_counter()
    for n in range(0, len(blocks), batch):
        replica.merge([decode_node(block.cid, block.data) for block in blocks[n : n + batch]], "peer", 1.0)
    seconds = time.perf_counter() - start
    assert replica.height == len(blocks)
    store.close()
    return len(blocks) / seconds


async def rate_of_writer(path: Path, blocks: list[RawBlock], batch: int) -> float:
    """Blocks a second through the writer, which has a worker thread do it."""
    store = open_store(path)
    writer = ReplicaWriter(Replica(store), time.time)
    start = time.perf_counter()
    for n in range(0, len(blocks), batch):
        await writer.merge(blocks[n : n + batch])
    seconds = time.perf_counter() - start
    store.close()
    return len(blocks) / seconds


def main() -> None:
    bulk = [RawBlock(node.cid, node.data, "peer") for node in chain(BULK, AGENTS)][::-1]
    single = bulk[-SINGLE:]
    bulks, singles, through = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(runs()):
            bulks.append(rate(Path(folder) / f"bulk{run}.db", bulk, BATCH))
            singles.append(rate(Path(folder) / f"single{run}.db", single, 1))
            through.append(
                tuple(
                    trio.run(rate_of_writer, Path(folder) / f"writer{run}-{batch}.db", blocks, batch)
                    for blocks, batch in ((bulk, BATCH), (single, 1))
                )
            )
    bar(f"merging {BULK} fetched blocks, {BATCH} at a time", bulks, 25_000, "blocks/s", least=True)
    print(f"  through the writer's thread: {statistics.median(a for a, _ in through):.0f} blocks/s")
    bar(f"merging {SINGLE} fetched blocks one by one", singles, 4000, "blocks/s", least=True)
    print(f"  through the writer's thread: {statistics.median(b for _, b in through):.0f} blocks/s")
