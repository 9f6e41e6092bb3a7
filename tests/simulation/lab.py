"""A few replicas in one process, for tests that decide which blocks each gets."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from betar_tui.replica import DagNode, Effect, Merged, Replica, Written, decode_node
from tests.simulation.memory import MemoryStorage, values_of
from tests.simulation.oracle import cid_of, make_block


class Bench:
    """One replica over dictionaries."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.replica = Replica(self.storage)

    def put(self, key: str, value: bytes) -> Written:
        (written,) = tuple(self.replica.writing({key: value}, (), 0))
        return written

    def delete(self, *keys: str) -> tuple[Written, ...]:
        return tuple(self.replica.writing({}, keys, 0))

    def batch(self, puts: Mapping[str, bytes], deletes: Iterable[str] = ()) -> tuple[Written, ...]:
        return tuple(self.replica.writing(puts, deletes, 0))

    def merge(self, *nodes: DagNode) -> Merged:
        return self.replica.merge(nodes, "peer", 0)

    def restart(self) -> None:
        self.replica = Replica(self.storage)

    @property
    def map(self) -> dict[str, bytes]:
        return {key: value for key, (_, value) in values_of(self.storage).items()}

    @property
    def heads(self) -> set[bytes]:
        return set(self.replica.heads)

    def hear(self, other: Bench) -> list[Effect]:
        """Walk down from the other's heads, newest first, a block at a time."""
        effects: list[Effect] = []
        wants = [*self.replica.missing(sorted(other.heads)), *sorted(self.replica.wants)]
        while wants:
            for name in wants:
                if self.replica.missing([name]):
                    effects += self.merge(decode_node(name, other.storage.data[name])).effects
            wants = sorted(self.replica.wants & other.storage.data.keys())
        return effects


def benches(n: int) -> list[Bench]:
    return [Bench() for _ in range(n)]


def gossip(*all_of_them: Bench) -> None:
    """Let everyone hear of everyone, twice, so that news travels on."""
    for _ in range(2):
        for one in all_of_them:
            for other in all_of_them:
                if one is not other:
                    one.hear(other)


def node(
    links: Iterable[DagNode | bytes] = (),
    puts: Iterable[tuple[str, bytes]] = (),
    tombstones: Iterable[tuple[str, DagNode | bytes]] = (),
    priority: int = 1,
) -> DagNode:
    """Any node, also one that we would never write."""

    def name(each: DagNode | bytes) -> bytes:
        return each if isinstance(each, bytes) else each.cid

    block = make_block([name(each) for each in links], puts, [(key, name(each)) for key, each in tombstones], priority)
    return decode_node(cid_of(block), block)


def random_dag(rng: random.Random, size: int, keys: tuple[str, ...] = ("/a", "/a/v", "/ab")) -> list[DagNode]:
    """Blocks as hostile as they may be: ties, empty values, heights out of order, tombstones of anything."""
    nodes: list[DagNode] = []
    while len(nodes) < size:
        links = rng.sample(nodes, min(len(nodes), rng.choice((0, 1, 1, 1, 2, 3))))
        height = max((each.delta.priority for each in links), default=0) + 1
        priority = height if rng.random() < 0.8 else rng.choice((1, height + 5, (1 << 63) - 1, 1 << 63, (1 << 64) - 1))
        puts = [(rng.choice(keys), rng.choice((b"", b"1", b"2", b"\xff\x00"))) for _ in range(rng.choice((0, 1, 1, 2)))]
        tombstones = [(rng.choice(keys), rng.choice(nodes)) for _ in range(rng.choice((0, 0, 1, 3))) if nodes]
        new = node(links, puts, tombstones, min(priority, (1 << 64) - 1))
        if all(new.cid != each.cid for each in nodes):
            nodes.append(new)
    return nodes
