"""Blocking and muting: kept across restarts, taken over from the interface's settings, undone by a beginning of the id."""

from dataclasses import replace
from pathlib import Path

import pytest

from betar_tui.errors import UnknownPeerError
from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import open_peer
from betar_tui.stored import open_stored
from tests.peers.harness import config

A = "12D3KooWGRUKZ8sRKx5n3xzwtTxhsHCqDM1NXGDRYrbkkmqBKqyk"
B = "12D3KooWJVJJJPAohDNheBgMbXkq8B14uZVXKZMQqmZfdsiSWUq5"


async def test_the_lists_outlive_the_peer(tmp_path: Path) -> None:
    async with open_peer(config(tmp_path), network=False) as peer:
        assert await peer.block(A) == A
        assert await peer.block(A) == A, "twice is once"
        assert await peer.mute(B) == B
        at = peer._clock()
    async with open_peer(config(tmp_path), network=False) as peer:
        (blocked,), (muted,) = await peer.blocks(), await peer.mutes()
        assert (blocked.peer_id, muted.peer_id) == (A, B)
        assert at - 60 < blocked.at <= at
        status = await peer.status()
        assert (status.blocked, status.muted) == ((A,), (B,))
        assert await peer.unblock(A[:10]) == A
        assert await peer.unmute("12D3…" + B[-4:]) == B
        assert await peer.blocks() == await peer.mutes() == ()
        with pytest.raises(UnknownPeerError, match="there is no blocked peer"):
            await peer.unblock(A)


async def test_nobody_blocks_or_mutes_oneself(tmp_path: Path) -> None:
    async with open_peer(config(tmp_path), network=False) as peer:
        await peer.publish([ListingDraft("a", 1)])
        for act in (peer.block, peer.mute):
            with pytest.raises(UnknownPeerError, match="this peer itself"):
                await act(peer.peer_id[:20])
        assert await peer.blocks() == await peer.mutes() == ()


async def test_the_old_setting_is_taken_over_once(tmp_path: Path) -> None:
    settings = replace(config(tmp_path), interface={"muted": [A, B]})
    async with open_peer(config(tmp_path), network=False):
        pass
    with open_stored(settings) as market:
        assert [each.peer_id for each in await market.mutes()] == [A, B], "before a peer has taken them over"
    async with open_peer(settings, network=False) as peer:
        assert [each.peer_id for each in await peer.mutes()] == [A, B]
        await peer.unmute(A)
        await peer.unmute(B)
    async with open_peer(settings, network=False) as peer:
        assert await peer.mutes() == ()
    with open_stored(settings) as market:
        assert await market.mutes() == ()
