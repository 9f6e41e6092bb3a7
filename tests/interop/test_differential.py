"""A history that Go peers made, in any order of arrival, means to us what it means to Go.

A few Go peers live a random schedule of puts, deletes, batches and partitions; then they heal and agree. All their
blocks, fetched from one of them, go into replicas of ours in random orders and batches: the map must be Go's map, and
the heads the DAG's tips. Left out because Go's own result hangs on the order of arrival: one key twice in a delta (the
last one counts for Go until the key is recomputed) and empty values (which a recomputation takes for none). Go's heads
are compared as a superset only: it may keep a head that is no tip (go-ds-crdt issue 357).
And live: Go peers and ours in one mesh, over schedules of writes, partitions and restarts (see mesh.py).
BETAR_TUI_DIFFERENTIAL_SEEDS and BETAR_TUI_LIVE_SEEDS choose how many schedules; `make soak` runs many.
"""

from __future__ import annotations

import os
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from betar_tui.ipld import cid
from betar_tui.replica import DagNode, Replica, decode_node
from betar_tui.store.database import open_store
from tests.interop.driver import GoPeer, GoPeerError, join, open_gopeer, wait_until
from tests.interop.mesh import live
from tests.simulation.memory import MemoryStorage, truth_of
from tests.simulation.oracle import judge

LIVE_SEEDS = range(int(os.environ.get("BETAR_TUI_LIVE_SEEDS", "3")))
SEEDS = range(int(os.environ.get("BETAR_TUI_DIFFERENTIAL_SEEDS", "2")))
KEYS = ("/agents/a", "/agents/a/v", "/agents/ab", "/agents/p", "/agents/b")
PEERS = 3


async def act(rng: random.Random, peer: GoPeer, turn: int) -> tuple[str, ...]:
    value = rng.choice((b"same", b"%d" % turn, b"\xff", b"\x00", b"long" * 50))
    match rng.randrange(6):
        case 0:
            return (await peer.delete(rng.choice(KEYS))).cids
        case 1:
            first, *others = rng.sample(KEYS, 3)
            # A key put and deleted in one batch would be a put of it and a tombstone in one delta, which is fine.
            return (await peer.batch({first: value, others[0]: b"batch"}, [others[1]])).cids
        case _:
            return (await peer.put(rng.choice(KEYS), value)).cids


async def all_blocks(peer: GoPeer, tips: list[str]) -> dict[bytes, DagNode]:
    """Everything below these, from the peer's own store."""
    nodes: dict[bytes, DagNode] = {}
    ahead = [cid.from_str(tip) for tip in tips]
    while ahead:
        name = ahead.pop()
        if name not in nodes:
            nodes[name] = decode_node(name, await peer.block(cid.to_str(name)))
            ahead += nodes[name].links
    return nodes


async def divide(rng: random.Random, peers: list[GoPeer]) -> None:
    for one in peers:
        for other in peers:
            if one is not other and rng.random() < 0.5:
                await one.disconnect(other.peer_id)


async def heal(peers: list[GoPeer]) -> None:
    for i, one in enumerate(peers):
        for other in peers[i + 1 :]:
            await join(one, other)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_history_of_go_peers(seed: int, gopeer_binary: Path, nursery: trio.Nursery, tmp_path: Path) -> None:
    rng = random.Random(seed)
    written: list[str] = []
    async with AsyncExitStack() as stack:
        peers = [
            await stack.enter_async_context(open_gopeer(nursery, binary=gopeer_binary, rebroadcast="300ms"))
            for _ in range(PEERS)
        ]

        async def settled() -> bool:
            maps = [await peer.list() for peer in peers]
            if any(each != maps[0] for each in maps):
                return False
            try:
                return all([len(await all_blocks(peer, written)) for peer in peers])
            except GoPeerError:  # a block has not arrived there
                return False

        for turn in range(60):
            if turn % 15 == 5:
                await heal(peers)
                await wait_until(settled, within=60)
            elif turn % 15 == 10:
                await divide(rng, peers)
            written += await act(rng, rng.choice(peers), turn)
        await heal(peers)
        await wait_until(settled, within=60)
        maps = [await peer.list() for peer in peers]
        nodes = await all_blocks(peers[0], written)
        go_heads = {cid.from_str(head.cid) for head in await peers[0].heads()}

    assert any(len(node.links) > 1 for node in nodes.values())  # what was written apart was joined
    assert set(nodes) == {cid.from_str(each) for each in written}
    assert maps == [maps[0]] * PEERS
    truth = judge(node.data for node in nodes.values())
    assert {key: value for key, (_, value) in truth.values.items()} == maps[0]
    assert go_heads >= truth.heads.keys()
    for order in range(6):
        storage = open_store(tmp_path / f"{order}.db") if order % 2 else MemoryStorage()
        replica = Replica(storage)
        shuffled = rng.sample(list(nodes.values()), len(nodes))
        while shuffled:
            size = rng.choice((1, 1, 4, 20))
            replica.merge(shuffled[:size], "go", 0)
            del shuffled[:size]
        assert truth_of(storage) == truth
        assert dict(replica.heads) == truth.heads
    # Ours goes on from there: above all tips, at the height Go would give it.
    (ours,) = tuple(replica.writing({"/agents/ours": b"v"}, ["/agents/a"], 0))
    assert set(ours.node.links) == truth.heads.keys()
    assert ours.node.delta.priority == max(truth.heads.values()) + 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", LIVE_SEEDS)
async def test_a_live_mesh_of_go_and_ours(seed: int, gopeer_binary: Path, tmp_path: Path) -> None:
    report = await live(seed, tmp_path, gopeer_binary)
    assert report.go
    assert report.ours
    assert report.writes > 20
    assert report.partitions
