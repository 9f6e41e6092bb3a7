"""What history costs on disk, how fast an old block is served, and how fast deltas are merged. No network.

The market is the one that grows fastest: Go peers that put every listing again every thirty seconds, so that nearly all
of history is superseded. Beside it one in which every delta is another listing, where nothing can be packed. Sizes are
what `du` shows of the database, its log and its index together, right after the last slice of packing.
"""

import base64
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

from betar_tui.ipld import cid
from betar_tui.replica import DagNode, Replica, decode_node, delta, keys
from betar_tui.replica.node import encode_node
from betar_tui.store.database import Store, open_store

DELTAS = int(os.environ.get("BETAR_BENCH_DELTAS", "20000"))
HISTORY = int(os.environ.get("BETAR_BENCH_HISTORY", "200000"))
AGENTS, SLICE = 20, 4096
EPOCH = 1_795_390_401


def listing(agent: int, at: int) -> tuple[str, bytes]:
    """Key and value as a Go peer writes them: about 600 bytes, of which a put again changes the timestamp."""
    seed = hashlib.sha256(b"agent %d" % agent).digest()
    name = base64.b32encode(seed).decode().lower()[:44]
    peer = "12D3KooW" + base64.b64encode(seed).decode()[:44].replace("+", "x").replace("/", "y")
    text = (
        f'{{"id":"did:key:z6Mk{name}","name":"Agent {agent:05}","price":0.5,"metadata":"bafybei{name}aaaaaaaa",'
        f'"sellerId":"{peer}","addrs":["/ip4/192.0.2.{agent % 256}/tcp/4101",'
        f'"/ip4/192.0.2.{agent % 256}/udp/4101/quic-v1","/ip4/198.51.100.{agent % 256}/tcp/4101",'
        f'"/ip6/2001:db8::{agent % 9999}/tcp/4101","/ip6/2001:db8::{agent % 9999}/udp/4101/quic-v1",'
        f'"/ip4/198.51.100.{agent % 256}/udp/4101/quic-v1"],"protocols":["/x402/libp2p/1.0.0",'
        f'"/betar/marketplace/1.0.0"],"tokenId":"{seed.hex()}","timestamp":{at}}}'
    )
    return keys.of_agent(f"did:key:z6Mk{name}"), text.encode()


def chain(count: int, agents: int) -> list[bytes]:
    """The blocks of `count` puts, each built on the one before; every agent puts once in thirty seconds."""
    blocks: list[bytes] = []
    for n in range(count):
        links = [cid.of(blocks[-1])] if blocks else []
        at = EPOCH + 30 * (n // agents) + n % agents
        blocks.append(encode_node(links, delta.encode([listing(n % agents, at)], [], n + 1)))
    return blocks


def size(path: Path) -> int:
    """Bytes on disk, as `du` counts them."""
    files = [Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm")]
    return sum(each.stat().st_blocks * 512 for each in files if each.exists())


def nodes_of(blocks: Iterable[bytes]) -> list[DagNode]:
    """Verified and decoded."""
    return [decode_node(cid.of(block), block) for block in blocks]


def pack(store: Store, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Pack until nothing is due, as an idle peer does; seconds of each slice."""
    slices = []
    while True:
        start = clock()
        packed = store.pack(256)
        if not packed:
            return slices
        slices.append(clock() - start)


def fill(store: Store, blocks: Sequence[bytes], slice_size: int = SLICE) -> None:
    """Merge a chain, oldest first."""
    replica = Replica(store)
    for i in range(0, len(blocks), slice_size):
        replica.merge(nodes_of(blocks[i : i + slice_size]), "peer", EPOCH + 1.5 * i)


def disk(directory: Path, agents: int) -> None:
    """Print bytes a delta, merged first and packed then, and packed as it comes; then how old blocks are served."""
    blocks = chain(DELTAS, agents)
    value = len(listing(0, EPOCH)[1])
    block = statistics.mean(map(len, blocks))
    print(f"{DELTAS} deltas of {agents} agents, listings of {value} bytes, blocks of {block:.0f}:")
    path = directory / f"{agents}.db"
    store = open_store(path)
    fill(store, blocks)
    print(f"  unpacked                     {size(path) / DELTAS:6.0f} bytes a delta")
    slices = pack(store)
    print(f"  packed                       {size(path) / DELTAS:6.0f} bytes a delta")
    if slices:
        totals = store.totals()
        print(
            f"    {totals.packed} blocks in {totals.groups} groups, {totals.bytes_packed / totals.packed:.0f} bytes each;"
            f" {len(slices)} slices, {sum(slices):.2f} s, the longest {max(slices) * 1000:.1f} ms"
        )
    if agents < DELTAS:
        serve(path, store, blocks)
        steady(directory / f"{agents}-steady.db", blocks)
    store.close()
    print(f"  closed                       {size(path) / DELTAS:6.0f} bytes a delta")


def steady(path: Path, blocks: Sequence[bytes]) -> None:
    """Print the size of a database that packs every so often, and the greatest that it had."""
    store = open_store(path)
    replica = Replica(store)
    greatest = 0
    for i in range(0, len(blocks), 100):
        replica.merge(nodes_of(blocks[i : i + 100]), "peer", EPOCH + 1.5 * i)
        pack(store)
        greatest = max(greatest, size(path))
    print(
        f"  packed as it comes           {size(path) / DELTAS:6.0f} bytes a delta, at most {greatest / 1e6:.1f} MB"
        " on the way"
    )
    store.close()


def serve(path: Path, store: Store, blocks: Sequence[bytes]) -> None:
    """Print the time of one block each, in three orders, with what was read before in memory and with nothing."""
    names = [cid.of(each) for each in blocks]
    scattered = sorted(range(len(names)), key=lambda i: names[i])

    def one(of: Store, i: int) -> float:
        start = time.perf_counter()
        found = of.blocks([names[i]])
        took = time.perf_counter() - start
        assert found == {names[i]: blocks[i]}
        return took * 1000

    cold = []
    for i in islice(scattered, 0, None, max(1, len(scattered) // 300)):
        fresh = open_store(path)
        cold.append(one(fresh, i))
        fresh.close()
    for order, samples in (
        ("newest first", [one(store, i) for i in reversed(range(len(names)))]),
        ("scattered", [one(store, i) for i in scattered]),
        ("just opened", cold),
    ):
        samples.sort()
        p99 = samples[len(samples) * 99 // 100]
        print(f"  served, {order:<13} p50 {statistics.median(samples):.3f}  p99 {p99:.3f}  max {samples[-1]:.3f} ms")


def merging(directory: Path, agents: int) -> None:
    """Print deltas a second, decoding included."""
    blocks = chain(DELTAS, agents)
    for order, source, slice_size in (
        ("oldest first", blocks, SLICE),
        ("newest first", blocks[::-1], SLICE),
        ("one by one", blocks[:5000], 1),
    ):
        rates, cpu = [], []
        for run in range(3):
            store = open_store(directory / f"{order}-{agents}-{run}.db")
            start, used = time.perf_counter(), time.process_time()
            fill(store, source, slice_size)
            rates.append(len(source) / (time.perf_counter() - start))
            cpu.append(len(source) / (time.process_time() - used))
            store.close()
        print(
            f"merged, {agents} agents, {order:<13} {statistics.median(rates):7.0f} deltas/s"
            f"  ({', '.join(f'{each:.0f}' for each in rates)}), {statistics.median(cpu):.0f} a second of CPU"
        )


def publishing(directory: Path) -> None:
    """Print the time of a durable put after a short and after a long history, packed as an idle peer leaves it."""
    small, large = open_store(directory / "small.db"), open_store(directory / "large.db")
    blocks = chain(HISTORY, AGENTS)
    fill(small, blocks[:1000])
    fill(large, blocks)
    stores = {"1000": small, str(HISTORY): large}
    pack(large)
    replicas = {each: Replica(each) for each in (small, large)}
    samples: dict[str, list[float]] = {name: [] for name in stores}
    for n in range(300):
        for name, store in stores.items():
            start = time.perf_counter()
            tuple(replicas[store].writing(dict([listing(n % AGENTS, n)]), (), EPOCH))
            samples[name].append((time.perf_counter() - start) * 1000)
    for name, each in samples.items():
        print(f"publish after {name} deltas: p50 {statistics.median(each):.3f} ms, mean {statistics.mean(each):.3f}")
    short, long = (statistics.median(each) for each in samples.values())
    print(f"  ratio {long / short:.2f}")
    small.close()
    large.close()


def main() -> None:
    """Print what history costs."""
    with tempfile.TemporaryDirectory() as folder:
        disk(Path(folder), AGENTS)
        disk(Path(folder), DELTAS)
        merging(Path(folder), AGENTS)
        merging(Path(folder), DELTAS)
        publishing(Path(folder))


if __name__ == "__main__":
    main()
