"""Old history is packed when nothing else is to be done, and a hostile delta does not change when that is."""

import trio

from betar_tui.ipld import cid
from betar_tui.peer import open_peer
from betar_tui.peer import peer as module
from tests.peers.harness import config, eventually
from tests.simulation.lab import node as delta
from tests.store.test_packing import chain


async def test_history_is_packed_though_a_block_is_wanted_that_nobody_has(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PACK_INTERVAL", 0.02)
    monkeypatch.setattr(module, "QUIET", 0.1)
    async with open_peer(config(tmp_path), network=False) as peer, trio.open_nursery() as nursery:
        await peer._writer.merge_nodes([delta([cid.of(b"invented")], [("/x", b"1")], (), 1)], "hostile")
        await peer._writer.merge_nodes(chain(3000, 1), "honest")
        assert (await peer.status()).pending == 1
        nursery.start_soon(peer.run_maintenance)

        async def packed() -> bool:
            return (await peer.status()).packed > 500

        await eventually(packed, what="most of it packed")
        nursery.cancel_scope.cancel()


async def test_nothing_is_packed_while_history_comes_in(tmp_path):
    async with open_peer(config(tmp_path), network=False) as peer:
        await peer._writer.merge_nodes(chain(3000, 1), "honest")
        assert await peer._pack() == 0
        peer._bulk_merged -= module.QUIET
        for n in range(2 * module.BULK):  # single deltas are no reason to wait: a market has some every second
            await peer._writer.merge_nodes([delta((), [("/y", b"%d" % n)], (), n + 1)], "honest")
        assert await peer._pack() > 0


async def test_history_that_comes_in_without_end_does_not_keep_it_from_being_packed_for_good(tmp_path):
    async with open_peer(config(tmp_path), network=False) as peer:
        packed = []
        for n in range(module.MAX_POSTPONED + 5):
            await peer._writer.merge_nodes(chain(1000, 1, start=1000 * n), "hostile")
            packed.append(await peer._pack())
        assert packed[: module.MAX_POSTPONED] == [0] * module.MAX_POSTPONED
        assert all(packed[module.MAX_POSTPONED :]), "and not one slice alone"
