"""The replica's limit: what is allowed, when it is full, and that a peer takes nothing of others then but its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio

from betar_tui.limits import Limits
from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import disk, open_peer
from betar_tui.peer.disk import DEFAULT_MOST, DiskQuota
from tests.peers.harness import config, eventually


class Shelf:
    """A store of a size that the test says."""

    def __init__(self, size: int = 0) -> None:
        self.size = size

    def used(self) -> int:
        return self.size


@pytest.mark.parametrize(
    ("chosen", "used", "free", "allowed"),
    [
        (None, 100, 1 << 20, 100 + (1 << 19)),
        (None, 100, 1 << 50, DEFAULT_MOST),
        (5000, 100, 1 << 20, 5000),
        (0, 100, 10, 0),
    ],
)
def test_half_of_the_free_disk_is_allowed_at_most_10_gib(tmp_path, monkeypatch, chosen, used, free, allowed):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert DiskQuota(Shelf(used), tmp_path, chosen).allowed == allowed


async def test_it_is_full_until_there_is_some_room_again(tmp_path: Path) -> None:
    shelf = Shelf()
    quota = DiskQuota(shelf, tmp_path, 1000)
    for size, changed, full in ((999, False, False), (1000, True, True), (985, False, True), (979, True, False)):
        shelf.size = size
        assert (await quota.look(), quota.full) == (changed, full), size
    shelf.size = 10**9
    assert not (unlimited := DiskQuota(shelf, tmp_path, 0)).full
    assert not await unlimited.look()


async def test_a_full_peer_takes_nothing_of_others_and_publishes_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("betar_tui.peer.network_session.LOOK_EVERY", 0.02)
    small = replace(config(tmp_path / "a"), limits=Limits(disk=1))
    async with open_peer(small, network=True) as full, open_peer(config(tmp_path / "b"), network=True) as other:
        await full.session.ready.wait()
        await other.session.ready.wait()
        assert full.session._replication is not None
        assert full.session._replication.full
        await full.connect(other.session.addrs[0])
        await eventually(lambda: _on_topic(full, other), what="both on the topic")
        await other.publish([ListingDraft("theirs", 1)])
        await full.publish([ListingDraft("ours", 1)])

        async def refused() -> bool:
            return (await full.status()).limits.disk.refused > 0

        async def heard() -> bool:
            return (await other.status()).listings == 2

        await eventually(refused, what="theirs refused")
        await eventually(heard, what="ours at the other peer")
        assert [each.name for each in (await full.listings()).listings] == ["ours"]
        limits = (await full.status()).limits
        assert limits.disk.allowed == 1
        assert (limits.disk.used or 0) > 1

        full.session._disk.allowed = 0  # as if there were room again

        await other.publish([ListingDraft("more", 1)])
        await eventually(lambda: _has(full, 3), what="everything that it did not take before")


async def _on_topic(*peers: object) -> bool:
    return all([(await each.status()).topic_peers for each in peers])  # type: ignore[attr-defined]


async def _has(peer: object, listings: int) -> bool:
    await trio.lowlevel.checkpoint()
    return (await peer.status()).listings == listings  # type: ignore[attr-defined,no-any-return]
