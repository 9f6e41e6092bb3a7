"""Ours as the only way between two Go peers: what one writes reaches the other at Go's own pace."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.interop.driver import open_gopeer
from tests.peers.harness import eventually, peer


async def test_a_delta_passes_through_ours_between_two_go_peers(
    gopeer_binary: Path, nursery: trio.Nursery, tmp_path: Path
) -> None:
    async with (
        open_gopeer(nursery, binary=gopeer_binary, rebroadcast="1h") as one,
        open_gopeer(nursery, binary=gopeer_binary, rebroadcast="1h") as other,
        peer(tmp_path / "ours") as ours,
    ):
        for go in (one, other):
            await go.connect(ours.session.addrs[0])
            await go.topic_peers(wait_for=ours.peer_id)
        await eventually(lambda: ours.session.topic_peers == 2, what="both on the topic")
        # The other hears of the head when ours may not have the block yet, asks, and gets it as soon as it is there.
        # Without that it asks again only after most of a minute.
        for n in range(5):
            await one.put(f"/agents/k{n}", b"%d" % n)
            await other.wait_event("put", f"/agents/k{n}", within=10)
