"""Deltas of Go that say nothing, and files that Go takes for deltas: both lie in its history, between real deltas."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio

from betar_tui.ipld import cid
from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import Peer
from betar_tui.replica import Head, decode_node, encode_broadcast
from betar_tui.replica.delta import MAX_PRIORITY
from betar_tui.replica.node import compose, encode_node
from betar_tui.store.database import open_store
from tests.interop.driver import GoPeer, join, open_gopeer, wait_until
from tests.interop.members import has_read
from tests.interop.test_ours_with_go import acquainted, no_pending, same_map
from tests.peers.harness import eventually, peer


async def same_heads(ours: Peer, go: GoPeer) -> bool:
    return {each.cid for each in await ours.heads()} == {each.cid for each in await go.heads()}


async def test_empty_deltas_of_go_are_history_wherever_they_lie(tmp_path: Path, gopeer_binary: Path) -> None:
    """At the bottom, in between, and as the newest: a batch that deletes an absent key makes one."""
    async with trio.open_nursery() as nursery, open_gopeer(nursery, binary=gopeer_binary, rebroadcast="500ms") as go:
        empty = []
        for n in range(3):
            empty += (await go.batch((), ["/agents/absent"])).cids
            await go.put(f"/agents/{n}", b"v")
        empty += (await go.batch((), ["/agents/absent"])).cids
        assert len(empty) == 4
        for each in empty:
            node = decode_node(cid.from_str(each), await go.block(each))
            assert (node.is_delta, node.delta.elements, node.delta.tombstones) == (True, (), ())
        async with peer(tmp_path / "ours", bootstrap=(go.address,)) as ours:
            await eventually(partial(same_heads, ours, go), what="the heads of Go")
            assert await same_map(tmp_path, go)
            assert await no_pending(ours)
            await go.put("/agents/after", b"v")
            await eventually(partial(same_heads, ours, go), what="the head above an empty delta")


async def test_a_file_that_go_took_for_a_delta_does_not_cut_its_history(tmp_path: Path, gopeer_binary: Path) -> None:
    async with (
        trio.open_nursery() as nursery,
        open_gopeer(nursery, binary=gopeer_binary, rebroadcast="500ms") as go,
        open_gopeer(nursery, binary=gopeer_binary, rebroadcast="1h") as teller,
    ):
        await go.put("/agents/below", b"v")
        await join(go, teller)
        await teller.mesh_peers(wait_for=go.peer_id)
        file = await teller.add_file(b"")
        await teller.publish(encode_broadcast([Head(cid.from_str(file), None)]))
        await wait_until(partial(has_read, go, [file]))
        assert file in {each.cid for each in await go.heads()}
        (above,) = (await go.put("/agents/above", b"v")).cids
        assert cid.from_str(file) in decode_node(cid.from_str(above), await go.block(above)).links
        await teller.stop()
        async with peer(tmp_path / "ours", bootstrap=(go.address,)) as ours:
            await eventually(partial(same_heads, ours, go), what="the head of Go")
            assert await same_map(tmp_path, go)
            assert await no_pending(ours)


async def test_a_file_that_go_announces_is_not_taken(tmp_path: Path, gopeer_binary: Path) -> None:
    async with (
        trio.open_nursery() as nursery,
        open_gopeer(nursery, binary=gopeer_binary, rebroadcast="1h") as go,
        peer(tmp_path / "ours", bootstrap=(go.address,)) as ours,
    ):
        await acquainted(ours, go)
        await go.mesh_peers(wait_for=ours.peer_id)
        await ours.publish([ListingDraft("mine", 1)])
        heads = await ours.heads()
        files = [await go.add_file(content) for content in (b"", b'{"type":"agent"}')]
        await go.publish(encode_broadcast([Head(cid.from_str(each), None) for each in files]))
        refused = ours.session._replication.fetcher.is_refused
        await eventually(lambda: all(refused(cid.from_str(each)) for each in files), what="the files were looked at")
        assert (await ours.heads(), await no_pending(ours)) == (heads, True)
    store = open_store(tmp_path / "ours" / "replica.db")
    assert not store.blocks([cid.from_str(each) for each in files])
    store.close()


async def test_deltas_of_go_whose_heights_overflowed_count(tmp_path: Path, gopeer_binary: Path) -> None:
    """Above the greatest height Go begins at 0 again."""
    async with (
        trio.open_nursery() as nursery,
        open_gopeer(nursery, binary=gopeer_binary, rebroadcast="500ms") as go,
        peer(tmp_path / "ours", bootstrap=(go.address,)) as ours,
    ):
        await acquainted(ours, go)
        await go.mesh_peers(wait_for=ours.peer_id)
        await go.put("/agents/YQ", b"first")
        await eventually(partial(same_heads, ours, go), what="the first delta of Go")
        highest = compose(ours._writer.heads, [("/agents/Yg", b"highest")], (), MAX_PRIORITY)
        await ours._writer.merge_nodes([highest], "hostile")
        await ours.session._replication.announce([highest.cid])
        await wait_until(partial(has_read, go, [cid.to_str(highest.cid)]))
        (name,) = (await go.put("/agents/Yw", b"listing")).cids
        assert decode_node(cid.from_str(name), await go.block(name)).delta.priority == 0
        await go.delete("/agents/YQ")
        await eventually(partial(same_heads, ours, go), what="the deltas at height 0 and above")
        assert await same_map(tmp_path, go)
        assert set(await go.list()) == {"/agents/Yg", "/agents/Yw"}


async def test_a_folder_that_hides_the_heads_of_go_hides_nothing_from_us(tmp_path: Path, gopeer_binary: Path) -> None:
    """Go takes it for its head and announces nothing else; it lies in a folder, so that Go takes two in a row."""
    async with (
        trio.open_nursery() as nursery,
        open_gopeer(nursery, binary=gopeer_binary, rebroadcast="500ms") as go,
    ):
        await go.put("/agents/below", b"v")
        heads = [cid.from_str(each.cid) for each in await go.heads()]
        inner = encode_node(heads, b"\x08\x01")
        outer = encode_node([cid.of(inner)], b"\x08\x01")
        async with peer(tmp_path / "teller", bootstrap=(go.address,)) as teller:
            await acquainted(teller, go)
            await go.mesh_peers(wait_for=teller.peer_id)
            teller._store.put_files({cid.of(each): each for each in (inner, outer)})
            payload = encode_broadcast([Head(cid.of(outer), None)])
            await teller.session._replication._network.broadcast(payload)
            await wait_until(partial(has_read, go, [cid.to_str(cid.of(outer))]))
            assert {each.cid for each in await go.heads()} == {cid.to_str(cid.of(outer))}
        # The inner one is served by Go, which has it by now.
        async with peer(tmp_path / "ours", bootstrap=(go.address,)) as ours:
            await acquainted(ours, go)
            await eventually(lambda: set(ours._writer.heads) == set(heads), what="the heads below the folders")
            assert await same_map(tmp_path, go)
            await eventually(partial(no_pending, ours), what="nothing is missing")
