"""What a person has in hand: disconnect, hold a sync, choose a dialect; and what a peer tells of itself meanwhile."""

import tomllib

import pytest
import trio

from betar_tui.errors import ConfigError, NetworkError
from betar_tui.ipld import cid
from betar_tui.market.marketplace import Change, ListingDraft, Seen
from betar_tui.peer import Peer, open_peer
from betar_tui.replica import Head, delta, encode_broadcast, keys
from betar_tui.replica.node import encode_node
from tests.bench.common import fill
from tests.peers.harness import config, eventually, meet, peer

HISTORY = 3000


async def test_disconnecting_closes_the_connection_and_keeps_it_closed(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        await a.disconnect(b.peer_id)
        await eventually(lambda: not a.session.connections() and not b.session.connections(), what="both alone")
        with pytest.raises(NetworkError, match="is not connected"):
            await a.disconnect(b.peer_id)


async def test_traffic_is_counted(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        before = (await a.peers())[0]
        assert before.bytes_in > 0
        assert before.bytes_out > 0
        await b.publish([ListingDraft("large", 1, "x" * 12_000)])
        await eventually(lambda: _count(a, 1), what="the listing")
        after = (await a.peers())[0]
        assert after.bytes_in - before.bytes_in > 12_000
        assert after.bytes_out - before.bytes_out < 12_000


async def test_a_change_tells_what_it_cost(tmp_path):
    async with peer(tmp_path / "a") as a, a.events() as events:
        receipt = (await a.publish([ListingDraft("swift-ocr", 0.05)]))[0]
        with trio.fail_after(10):
            put = await anext(each async for each in events if isinstance(each, Change))
        size = next(each.bytes for each in await a.log() if each.cid == receipt.cid)
        assert put.bytes == size > 300
        assert 0 < put.took < 5
        removal = await a.delist(receipt.id)
        with trio.fail_after(10):
            gone = await anext(each async for each in events if isinstance(each, Change))
        assert gone.bytes == next(each.bytes for each in await a.log() if each.cid == removal.cid) > 0


async def test_whoever_builds_on_a_delta_of_ours_has_seen_it(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        async with a.events() as events:
            receipt = (await a.publish([ListingDraft("mine", 1)]))[0]
            await eventually(lambda: _count(b, 1), what="the listing at the other")
            await b.publish([ListingDraft("theirs", 2)])
            with trio.fail_after(20):
                seen = await anext(each async for each in events if isinstance(each, Seen))
        assert seen == Seen(receipt.cid, (receipt.id,), 1)


async def test_a_held_sync_fetches_no_history_but_what_is_announced(tmp_path):
    fill(tmp_path / "a", HISTORY, 10)
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await b.hold_sync(True)
        await meet(a, b)
        await a.publish([ListingDraft("fresh", 1)])
        await eventually(lambda: _shows(b, "fresh"), what="what was announced")
        status = await b.status()
        assert status.sync_held
        assert status.pending > 0
        assert status.blocks < 20
        await b.hold_sync(False)
        await eventually(lambda: _blocks(b, HISTORY + 1), what="the history")
        assert not (await b.status()).sync_held


async def test_a_dialect_is_chosen_while_the_peer_runs_and_kept(tmp_path):
    settings = tmp_path / "a" / "config.toml"
    async with peer(tmp_path / "a", listing_dialect="documents") as a:
        settings.write_text('# mine\nlog-level = "debug"\n')
        receipt = (await a.publish([ListingDraft("swift-ocr", 1, "reads scans")]))[0]
        assert (await a.status()).dialect_choice == "documents"
        await a.choose_dialect("betar-go")
        await eventually(lambda: _metadata_is_a_cid(a, receipt.id), what="the listing in the other dialect")
        status = await a.status()
        assert (status.dialect, status.dialect_choice) == ("betar-go", "betar-go")
        with pytest.raises(ConfigError, match="is not a dialect"):
            await a.choose_dialect("klingon")
    assert settings.read_text().startswith("# mine\n")
    assert tomllib.loads(settings.read_text()) == {"log-level": "debug", "listing_dialect": "betar-go"}
    async with open_peer(config(tmp_path / "c", listing_dialect="auto"), network=False) as c:
        await c.choose_dialect("auto")
        assert (await c.status()).dialect == "documents"


async def test_a_head_whose_author_left_comes_when_it_is_back(tmp_path):
    """Its author has the block but does not know it for a head any more, like a Go peer after a restart."""
    value = b'{"id":"did:key:z6Mk","name":"forgotten","price":1,"sellerId":"x","timestamp":1}'
    block = encode_node([], delta.encode([(keys.of_agent("did:key:z6Mk"), value)], [], 1))
    name = cid.of(block)
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        await a.session.network.broadcast(encode_broadcast([Head(name)]))
        await eventually(lambda: b.session.pending == 1, what="the head is wanted")
        await a.disconnect(b.peer_id)
        await eventually(lambda: not b.session.connections(), what="the author is gone")
        a._store.put_files({name: block})
        await meet(a, b)
        await eventually(lambda: _shows(b, "forgotten"), what="the head")
        # It is shown once it is stored, a moment before the event loop hears of it.
        await eventually(lambda: b.session.pending == 0, what="nothing is wanted")


async def _count(node: Peer, count: int) -> bool:
    return (await node.status()).listings == count


async def _blocks(node: Peer, count: int) -> bool:
    return (await node.status()).blocks == count


async def _shows(node: Peer, name: str) -> bool:
    return any(each.name == name for each in (await node.listings()).listings)


async def _metadata_is_a_cid(node: Peer, listing_id: str) -> bool:
    return isinstance((await node.show(listing_id)).listing.metadata, str)
