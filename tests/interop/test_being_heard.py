"""What ours publishes reaches a Go peer that would not ask us by itself; tests/soak/heard.py has all cases and runs."""

from pathlib import Path

import trio

from tests.interop.driver import open_gopeer
from tests.interop.heard import CASES, FIRST, REBROADCAST, on_topic, publish
from tests.peers.harness import eventually, peer

LIMIT = 5.0


async def test_go_that_starts_its_bitswap_after_it_dialled_ours(tmp_path: Path, gopeer_binary: Path) -> None:
    """Without a second connection it never asks."""
    for n in range(3):
        assert await CASES[FIRST][0](tmp_path / str(n), gopeer_binary) < LIMIT


async def test_go_after_ours_has_come_back_by_another_way(tmp_path: Path, gopeer_binary: Path) -> None:
    """Without a message of ours it takes us for unresponsive. The cases wait for Go to notice dead connections, for half a
    minute, and so run side by side."""
    times: dict[str, float] = {}

    async def run(name: str) -> None:
        times[name] = await CASES[name][0](tmp_path / name, gopeer_binary)

    async with trio.open_nursery() as nursery:
        for name in CASES:
            if name != FIRST:
                nursery.start_soon(run, name)
    assert max(times.values()) < LIMIT, times


async def test_peers_are_seen_to_be_level_or_behind(tmp_path: Path, gopeer_binary: Path, nursery) -> None:
    """A peer of ours says so when it is asked, a Go peer is seen to fetch."""
    async with (
        peer(tmp_path / "ours") as ours,
        peer(tmp_path / "other", bootstrap=ours.session.addrs[:1]) as other,
        open_gopeer(nursery, binary=gopeer_binary, bootstrap=ours.session.addrs[:1], rebroadcast=REBROADCAST) as go,
    ):

        def levels() -> dict[str, int | None]:
            return {each.peer_id: each.behind for each in ours.session.connections()}

        await on_topic(ours, go)
        await eventually(lambda: ours.session.topic_peers == 2, what="both on the topic")
        assert set(levels().values()) == {None}
        for n in range(3):
            await publish(ours, f"n{n}")
            await eventually(lambda: set(levels().values()) == {0}, within=20, what="both level")
        assert all(each.waiting_since is None for each in ours.session.connections())
        await eventually(lambda: other.session.connections()[0].behind == 0, within=20, what="ours level")
