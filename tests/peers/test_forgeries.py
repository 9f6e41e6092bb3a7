"""A stranger on the topic speaks for a seller: what the commands and the socket of another peer show of it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import trio

from betar_tui.errors import UnknownListingError
from betar_tui.ipld import cid as cids
from betar_tui.market.marketplace import Difference, ListingDraft, ListingPatch, Provenance, Repaired
from betar_tui.peer import Peer
from betar_tui.replica import keys
from tests.catalogue.forgeries import FORGERIES, GENUINE, GONE, OCR, SHOWN, VICTIM
from tests.peers.harness import Served, eventually, meet, peer, served


async def arrived(reader: Served, writer: Peer) -> None:
    """Wait until a peer has all that another one has."""

    async def same() -> bool:
        theirs = {each.cid for each in await reader.market.heads()}
        return theirs == {cids.to_str(head) for head in writer._writer.replica.heads}

    await eventually(same, what="the stranger's deltas are here")


async def judge(reader: Served) -> None:
    """What the reader's socket says: the seller's newest words are verified, and nothing else is."""
    page = await reader.market.listings()
    assert {each.id: each.price for each in page.listings if each.provenance is Provenance.VERIFIED} == SHOWN
    assert GONE not in {each.id for each in page.listings}
    for listing_id, price in SHOWN.items():
        detail = await reader.market.show(listing_id)
        assert (detail.listing.provenance, detail.listing.price) == (Provenance.VERIFIED, price)
        assert json.loads(detail.raw)["price"] == price
    try:
        await reader.market.show(GONE)
    except UnknownListingError as error:
        assert "was withdrawn by its seller" in str(error)
    else:
        raise AssertionError("a withdrawn listing is shown")


async def test_every_forgery_through_two_peers(tmp_path):
    """Each is put by a stranger at one peer, and judged at another that only this one reaches."""
    async with served(tmp_path / "b") as b, peer(tmp_path / "m") as stranger:
        await stranger.connect(b.address)
        await eventually(lambda: stranger.session.topic_peers, what="on the topic")
        for puts in GENUINE:
            await stranger._writer.write(puts)
        await arrived(b, stranger)
        await judge(b)
        for forgery in FORGERIES:
            await stranger._writer.write(forgery.puts, forgery.removes)
            await arrived(b, stranger)
            await judge(b)
        listed = json.loads((await b.run("list", "--json")).stdout)
        assert {each["id"]: each["price"] for each in listed if each["provenance"] == "verified"} == SHOWN
        assert {each["id"] for each in listed if each.get("difference")} <= SHOWN.keys()
        shown = json.loads((await b.run("show", OCR, "--json")).stdout)
        assert (shown["provenance"], shown["price"], shown["seller_id"]) == ("verified", 9, VICTIM.peer_id)
        voices = {each["voice"] for each in shown["history"]}
        assert {"signed by its seller", "unsigned", "wrongly signed, or by another", "not a listing"} >= voices
        table = (await b.run("list")).stdout.decode()
        assert "no peer id: you" in table
        assert "replaced by another" in table
        told = (await b.run("show", OCR)).stdout.decode()
        assert "story: replaced by another peer; this is what its seller signed last" in told
        gone = await b.run("show", GONE, check=False)
        assert gone.returncode == 1
        assert b"was withdrawn by its seller on" in gone.stderr


async def test_a_tombstone_each_time_and_an_unsigned_copy_of_everything(tmp_path):
    """As an attacker does, and as a Go betar's `info` pull does, which puts all listings again without their signatures.
    Readers see them verified all the time, and the seller heals all of them with one delta a round."""
    count = 20
    async with peer(tmp_path / "a", announce_interval=5.0) as a, peer(tmp_path / "m") as stranger:
        await meet(a, stranger)
        receipts = await a.publish([ListingDraft(f"n{n:02}", 1) for n in range(count)])
        names = [keys.of_agent(each.id) for each in receipts]
        await eventually(lambda: len(stranger._store.winners(names)) == count, what="the listings at the stranger")

        def copies() -> Mapping[str, bytes]:
            plain = {key: json.loads(winner.value) for key, winner in stranger._store.winners(names).items()}
            return {key: json.dumps({**each, "signature": None}).encode() for key, each in plain.items()}

        async def all_verified() -> None:
            page = (await stranger.listings()).listings
            assert len(page) == count
            assert all(each.provenance is Provenance.VERIFIED for each in page)

        repaired = list[Repaired]()
        written = 0

        async def note(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            async with a.events() as events:
                task_status.started()
                async for event in events:
                    if isinstance(event, Repaired):
                        repaired.append(event)

        async with trio.open_nursery() as nursery:
            await nursery.start(note)
            before = (await a.status()).blocks
            await stranger._writer.write(copies())
            written += 1
            await all_verified()
            await eventually(lambda: len(repaired) == count, what="all are healed")
            for _ in range(5):
                await stranger._writer.write({}, names)
                written += 1
                await all_verified()
            page = (await stranger.listings()).listings
            assert {each.difference for each in page} <= {Difference.REMOVED, Difference.NONE}
            await eventually(
                lambda: all(a._writer.replica.missing([head]) == () for head in stranger._writer.replica.heads),
                what="the removals at the seller",
            )
            status = await a.status()
            rounds = len({each.at for each in repaired})
            assert status.blocks - before - written <= 2, "one delta a round, and none before the next is due"
            assert rounds <= 2
            nursery.cancel_scope.cancel()


async def test_a_withdrawal_reaches_readers_and_an_update_after_a_removal_too(tmp_path):
    async with served(tmp_path / "b") as b, peer(tmp_path / "a") as a:
        await a.connect(b.address)
        await eventually(lambda: a.session.topic_peers, what="on the topic")
        (receipt,) = await a.publish([ListingDraft("ocr", 1)])
        await arrived(b, a)
        assert (await b.market.show(receipt.id)).listing.price == 1
        await a.update(receipt.id, ListingPatch(price=2.0))
        await arrived(b, a)
        assert (await b.market.show(receipt.id)).listing.price == 2
        await a.delist(receipt.id)
        await arrived(b, a)
        assert (await b.market.listings()).listings == ()
        await a.publish([ListingDraft("ocr", 3)])
        await arrived(b, a)
        detail = await b.market.show(receipt.id)
        assert (detail.listing.price, detail.listing.difference) == (3, Difference.NONE)
        assert any("offered again since" in each for each in detail.story)
