"""An unmodified Go peer and ours in one market: whoever starts first, whoever was away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from betar_tui.ipld import cid
from betar_tui.market.marketplace import ListingDraft, Provenance
from betar_tui.p2p.types import LARGE_BLOCK
from betar_tui.peer import Peer
from betar_tui.replica import Head, encode_broadcast, keys
from tests.interop.driver import GoPeer, open_gopeer
from tests.peers.harness import eventually, peer, values
from tests.simulation.lab import node

GO_LISTING = {
    "id": "did:key:z6MkgoSeller",
    "name": "Hagga",
    "price": 0.5,
    "metadata": "",
    "sellerId": "12D3KooWGoSeller",
    "addrs": ["/ip4/192.0.2.1/tcp/4101"],
    "protocols": ["/x402/libp2p/1.0.0"],
    "timestamp": 1795390401,
}


@asynccontextmanager
async def pair(
    tmp_path: Path, binary: Path, first: str, betar: bool = False, **settings: object
) -> AsyncIterator[tuple[Peer, GoPeer]]:
    """Ours and a Go peer on one topic; `first` ("ours" or "go") is started before the other and is dialled by it."""
    async with trio.open_nursery() as nursery:
        if first == "go":
            async with (
                open_gopeer(nursery, binary=binary, betar=betar) as go,
                peer(tmp_path / "ours", bootstrap=(go.address,), **settings) as ours,
            ):
                await acquainted(ours, go)
                yield ours, go
        else:
            async with (
                peer(tmp_path / "ours", **settings) as ours,
                open_gopeer(nursery, binary=binary, betar=betar) as go,
            ):
                await go.connect(ours.session.addrs[0])
                await acquainted(ours, go)
                yield ours, go


async def acquainted(ours: Peer, go: GoPeer) -> None:
    await go.topic_peers(wait_for=ours.peer_id)
    await eventually(lambda: ours.session.topic_peers, what="Go on the topic")


async def same_map(tmp_path: Path, go: GoPeer) -> bool:
    return values(tmp_path / "ours") == await go.list()


async def test_a_large_block_of_go_comes_over_bitswap(tmp_path, gopeer_binary):
    async with pair(tmp_path, gopeer_binary, "go") as (ours, go):
        large = {**GO_LISTING, "metadata": "x" * LARGE_BLOCK}
        await go.put(keys.of_agent(GO_LISTING["id"]), json.dumps(large).encode())
        await eventually(partial(same_map, tmp_path, go), what="its block is here")


@pytest.mark.parametrize("first", ["ours", "go"])
async def test_concurrent_writes_on_both_sides_end_in_equal_maps(tmp_path, gopeer_binary, first):
    async with pair(tmp_path, gopeer_binary, first) as (ours, go):

        async def write_ours() -> None:
            ids = [(await ours.publish([ListingDraft(f"n{n}", n)]))[0].id for n in range(50)]
            for each in ids[:20]:
                await ours.delist(each)

        async def write_go() -> None:
            for n in range(50):
                await go.put(f"/agents/g{n}", b"%d" % n)
            for n in range(20):
                await go.delete(f"/agents/g{n}")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write_ours)
            nursery.start_soon(write_go)
        await eventually(lambda: same_map(tmp_path, go), what="equal maps")
        assert len(values(tmp_path / "ours")) == 60 + 20, "and the withdrawals of what ours delisted"
        # Both go on from there: what either writes now reaches the other.
        await go.put("/agents/after", b"go")
        await ours.publish([ListingDraft("after", 1)])
        await eventually(lambda: same_map(tmp_path, go), what="equal maps again")


@pytest.mark.parametrize("first", ["ours", "go"])
async def test_a_go_listing_shows_with_name_price_and_seller(tmp_path, gopeer_binary, first):
    async with pair(tmp_path, gopeer_binary, first) as (ours, go):
        metadata = {"type": "agent", "name": "Hagga", "description": "sings", "active": True}
        file = await go.add_file(json.dumps(metadata).encode())
        await go.put(keys.of_agent(GO_LISTING["id"]), json.dumps({**GO_LISTING, "metadata": file}).encode())
        (shown,) = await eventually(lambda: listed(ours), what="the listing")
        assert (shown.name, shown.price, shown.seller_id) == ("Hagga", 0.5, "12D3KooWGoSeller")
        assert shown.provenance is Provenance.UNSIGNED
        await eventually(lambda: described(ours, "sings"), what="the description from the metadata file")
        assert (await ours.show(shown.id)).document == metadata


async def test_a_listing_that_was_replaced_from_a_great_height_is_put_back_for_go_too(tmp_path, gopeer_binary):
    """The delta that does it lies below a lower head, so that no head tells of its height."""
    async with pair(tmp_path, gopeer_binary, "ours") as (ours, go):
        (receipt,) = await ours.publish([ListingDraft("mine", 1)])
        key = keys.of_agent(receipt.id)
        above = node((), [(key, b"vandal")], (), 10**9)
        await ours._writer.merge_nodes([above, node([above], [("/agents/YQ", b"1")], (), 3)], "hostile")
        await ours.session._replication.announce(ours._writer.heads)
        await eventually(lambda: shows(go, key, b"vandal"), what="Go shows what replaced it")
        assert len(await ours._seller.maintain()) == 1
        healed = values(tmp_path / "ours")[key]
        assert json.loads(healed)["name"] == "mine"
        await ours.session._replication.announce(ours._writer.heads)
        await eventually(lambda: shows(go, key, healed), what="Go shows it again")


async def shows(go: GoPeer, key: str, value: bytes) -> bool:
    return (await go.list()).get(key) == value


async def test_our_listings_in_the_dialect_of_go_are_read_by_go(tmp_path, gopeer_binary):
    async with pair(tmp_path, gopeer_binary, "go", listing_dialect="betar-go") as (ours, go):
        await ours.publish([ListingDraft("swift-ocr", 0.05, "reads scans")])
        shown = await eventually(lambda: shown_by(go), what="the listing in Go's types")
        (listing,) = shown.values()
        assert (listing["name"], listing["price"], listing["sellerId"]) == ("swift-ocr", 0.05, ours.peer_id)
        content = json.loads(await go.get_file(listing["metadata"]))
        assert content["description"] == "reads scans"


async def test_documents_are_hidden_by_go_until_auto_meets_a_go_betar(tmp_path, gopeer_binary):
    async with pair(tmp_path, gopeer_binary, "go", betar=False) as (ours, go):
        # Addresses of its own: the peer's change with its port, and the listing would be rewritten for that.
        await ours.publish([ListingDraft("swift-ocr", 0.05, "reads scans", addrs=("/ip4/192.0.2.1/tcp/1",))])
        await eventually(lambda: hidden_by(go), what="the listing, hidden")
        async with trio.open_nursery() as nursery, open_gopeer(nursery, binary=gopeer_binary, betar=True) as betar:
            async with ours.events() as events:
                await ours.connect(betar.address)
                with trio.fail_after(20):
                    async for event in events:
                        if "Go betar" in getattr(event, "text", ""):
                            break
            await eventually(lambda: shown_by(betar), what="the rewritten listing")
            await eventually(lambda: shown_by(go), what="the rewritten listing at the first too")
        assert (await ours.status()).dialect == "betar-go"
        height = (await ours.status()).height
    async with peer(tmp_path / "ours") as ours:
        status = await ours.status()
        assert (status.dialect, status.height) == ("betar-go", height), "remembered, and rewritten once only"


async def test_a_fixed_dialect_that_go_cannot_read_is_told_and_can_be_changed(tmp_path, gopeer_binary):
    async with pair(tmp_path, gopeer_binary, "go", betar=True, listing_dialect="documents") as (ours, go):
        await ours.publish([ListingDraft("swift-ocr", 0.05, "reads scans")])
        await eventually(lambda: hidden_by(go), what="the listing, hidden")
        assert (await ours.status()).peers_unable_to_read == 1
        await ours.choose_dialect("betar-go")
        await eventually(lambda: shown_by(go), what="the listing in Go's types")
        assert (await ours.status()).peers_unable_to_read == 0


async def test_an_empty_go_peer_gets_everything_from_ours_alone(tmp_path, gopeer_binary):
    async with peer(tmp_path / "ours") as ours:
        for n in range(60):
            await ours.publish([ListingDraft(f"n{n}", n)])
        async with trio.open_nursery() as nursery, open_gopeer(nursery, binary=gopeer_binary) as go:
            await ours.connect(go.address)
            await eventually(lambda: same_map(tmp_path, go), what="Go has all")
            assert len(await go.list()) == 60


async def test_ours_starting_empty_gets_everything_from_go_alone(tmp_path, gopeer_binary):
    async with trio.open_nursery() as nursery, open_gopeer(nursery, binary=gopeer_binary, rebroadcast="500ms") as go:
        for n in range(60):
            await go.put(f"/agents/g{n}", b"%d" % n)
        async with peer(tmp_path / "ours", bootstrap=(go.address,)) as ours:
            await eventually(lambda: same_map(tmp_path, go), what="ours has all")
            assert len(values(tmp_path / "ours")) == 60
            await eventually(lambda: no_pending(ours), what="nothing is wanted any more")
            assert [head.height for head in await ours.heads()] == [60]


async def test_what_was_missed_while_away_comes_after_both_restart(tmp_path, gopeer_binary):
    data, key = tmp_path / "go", tmp_path / "go.key"
    async with trio.open_nursery() as nursery:
        async with open_gopeer(nursery, binary=gopeer_binary, data=data, key=key) as go:
            async with peer(tmp_path / "ours") as ours:
                await ours.connect(go.address)
                await acquainted(ours, go)
                await ours.publish([ListingDraft("together", 1)])
                await eventually(lambda: same_map(tmp_path, go), what="equal maps")
            for n in range(10):
                await go.put(f"/agents/alone{n}", b"x")
        async with peer(tmp_path / "ours") as ours:
            for n in range(10):
                await ours.publish([ListingDraft(f"alone{n}", n)])
            async with open_gopeer(nursery, binary=gopeer_binary, data=data, key=key, rebroadcast="500ms") as go:
                await go.connect(ours.session.addrs[0])
                await eventually(lambda: same_map(tmp_path, go), what="equal maps after both were away")
                assert len(await go.list()) == 21


async def listed(ours: Peer):
    return (await ours.listings()).listings


async def described(ours: Peer, text: str) -> bool:
    return any(each.description == text for each in await listed(ours))


async def shown_by(go: GoPeer):
    return (await go.listings()).shown


async def hidden_by(go: GoPeer):
    return (await go.listings()).hidden


async def no_pending(ours: Peer) -> bool:
    return (await ours.status()).pending == 0


async def test_a_head_that_was_announced_is_still_wanted_after_a_restart(tmp_path, gopeer_binary):
    """Its author has it and will never speak of it again: a Go betar forgets its heads when it restarts."""

    async with trio.open_nursery() as nursery:
        forgetful = partial(
            open_gopeer,
            nursery,
            binary=gopeer_binary,
            data=tmp_path / "author",
            key=tmp_path / "key",
            volatile_crdt=True,
        )
        async with forgetful() as author:
            (written,) = (await author.put("/agents/a", b"v")).cids
        payload = encode_broadcast([Head(cid.from_str(written), None)])
        async with (
            open_gopeer(nursery, binary=gopeer_binary) as witness,
            peer(tmp_path / "ours", bootstrap=(witness.address,)) as ours,
        ):
            await acquainted(ours, witness)
            await witness.mesh_peers(wait_for=ours.peer_id)
            await witness.publish(payload)
            await eventually(lambda: ours.session.pending, what="the head is wanted")
        async with forgetful() as author:
            assert await author.heads() == ()
            async with peer(tmp_path / "ours", bootstrap=(author.address,)):
                await eventually(lambda: values(tmp_path / "ours") == {"/agents/a": b"v"}, what="the delta is here")
