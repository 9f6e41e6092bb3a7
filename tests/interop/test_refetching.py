"""What is here already is not fetched again: a branch that starts low in the history costs its own blocks only."""

from __future__ import annotations

from pathlib import Path

import trio

from betar_tui.p2p.types import ReceivedBlock
from tests.interop.driver import open_gopeer
from tests.peers.harness import eventually, peer

DELTAS = 100


async def test_a_concurrent_write_of_go_brings_one_block(
    gopeer_binary: Path, nursery: trio.Nursery, tmp_path: Path
) -> None:
    async with (
        open_gopeer(nursery, binary=gopeer_binary, rebroadcast="300ms") as go,
        peer(tmp_path / "ours") as ours,
    ):
        for n in range(DELTAS):
            await go.put(f"/agents/k{n % 5}", b"%d" % n)
        await ours.connect(go.address)
        replica, replication = ours._writer.replica, ours.session._replication
        await eventually(lambda: replica.height == DELTAS and not ours.session.pending, what="the whole chain")
        fetched: list[bytes] = []
        on_block = replication.on_block

        async def counted(block: ReceivedBlock) -> None:
            fetched.append(block.cid)
            await on_block(block)

        replication.on_block = counted
        await ours._writer.write(
            {"/agents/ours": b"x"}
        )  # not announced yet: Go builds on what is no head here any more
        written = await go.put("/agents/go", b"y")
        await eventually(lambda: len(replica.heads) == 2, what="both heads")
        # Another put, whose arrival shows that nothing from before it is on its way any more.
        await go.put("/agents/go", b"z")
        await eventually(lambda: replica.height == DELTAS + 2 and not ours.session.pending, what="the last one")
        assert len(written.cids) == 1
        assert len(fetched) <= 3, "history that was here came again"
