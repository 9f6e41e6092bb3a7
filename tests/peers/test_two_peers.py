"""Two of our peers over loopback."""

import threading

import trio

from betar_tui.ipld import cid
from betar_tui.market.marketplace import (
    ChangeKind,
    ListingDraft,
    ListingPatch,
    Provenance,
    Repaired,
    RepublishReason,
)
from betar_tui.replica import keys
from betar_tui.sync.fetching import Fetcher
from tests.peers.harness import eventually, meet, peer, values


async def test_what_one_publishes_the_other_shows_and_what_it_removes_is_gone(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        async with b.events() as events:
            receipt = (await a.publish([ListingDraft("swift-ocr", 0.05, "reads scans")]))[0]
            assert receipt.sent_to == 1
            change = await _next_change(events)
            assert (change.kind, change.id, change.cid, change.via) == (
                ChangeKind.PUT,
                receipt.id,
                receipt.cid,
                a.peer_id,
            )
            (shown,) = (await b.listings("ocr")).listings
            assert shown.provenance is Provenance.VERIFIED
            assert not shown.mine
            assert [(each.peer_id, each.listings) for each in await b.peers()] == [(a.peer_id, 1)]
            assert [each.listings for each in await a.peers()] == [0]
            await a.update(receipt.id, ListingPatch(price=0.07))
            assert (await _next_change(events)).kind is ChangeKind.UPDATE
            assert (await b.show(receipt.id)).listing.price == 0.07
            removal = await a.delist(receipt.id)
            assert removal.tombstones == 2
            gone = await _next_change(events)
            assert (gone.kind, gone.id, gone.cid) == (ChangeKind.DELIST, receipt.id, removal.cid)
        assert (await b.listings()).listings == ()
        assert await a.heads() == await b.heads()


async def test_both_publish_at_once_and_converge(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        async with trio.open_nursery() as nursery:
            for node in (a, b):
                nursery.start_soon(_publish_and_delist, node, 30, 10)
        await eventually(lambda: values(tmp_path / "a") == values(tmp_path / "b"), what="equal maps")
        assert len(values(tmp_path / "a")) == 40 + 20, "listings, and withdrawals of the others"
        await eventually(lambda: _same_heads(a, b), what="equal heads")


async def test_in_a_burst_every_block_comes_with_its_head(tmp_path, monkeypatch):
    """One that is named without its block costs its readers a question and a round trip."""
    asked = []
    want = Fetcher.want

    def noted(self, names, peer, **options):
        names = list(names)
        asked.extend(name for name in names if not self.asked(name))
        want(self, names, peer, **options)

    monkeypatch.setattr(Fetcher, "want", noted)
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        for n in range(400):
            await a.publish([ListingDraft(f"agent-{n}", n, "x" * 3000 * (n % 2))])
        await eventually(lambda: _count(b, 400), what="the listings")
    assert asked == []


async def test_a_peer_that_stops_at_once_has_told_of_what_it_wrote(tmp_path):
    """It may never come back."""
    async with peer(tmp_path / "b") as b:
        async with peer(tmp_path / "a") as a:
            await meet(a, b)
            for n in range(5):
                await a.publish([ListingDraft(f"agent-{n}", n)])
        await eventually(lambda: _count(b, 5), what="the listings")
    assert not [each for each in threading.enumerate() if each.name == "replica"], "threads that outlive their peers"


async def test_a_peer_that_was_away_gets_everything(tmp_path):
    async with peer(tmp_path / "a") as a:
        async with peer(tmp_path / "b") as b:
            await meet(a, b)
            await a.publish([ListingDraft("first", 1)])
            await eventually(lambda: _count(b, 1), what="the first listing")
        for n in range(20):
            await a.publish([ListingDraft(f"while-away-{n}", n)])
        async with peer(tmp_path / "b") as b:
            await meet(b, a)
            await eventually(lambda: _count(b, 21), what="what was missed")
            await eventually(lambda: _same_heads(a, b), what="equal heads")
            assert (await b.status()).pending == 0


async def test_known_peers_are_dialled_at_the_next_start(tmp_path):
    async with peer(tmp_path / "a", listen=("/ip4/127.0.0.1/tcp/0",)) as a:
        async with peer(tmp_path / "b") as b:
            await meet(b, a)
            await eventually(b._store.peers, what="the peer is remembered")
        await eventually(lambda: a.session.topic_peers == 0, what="b is gone")
        async with peer(tmp_path / "b") as b:
            await eventually(lambda: a.session.topic_peers and b.session.topic_peers, what="b came back by itself")


async def test_a_third_peer_gets_it_from_whoever_has_it(tmp_path):
    async with peer(tmp_path / "b") as b:
        async with peer(tmp_path / "a") as a:
            await meet(a, b)
            for n in range(5):
                await a.publish([ListingDraft(f"n{n}", n)])
            await eventually(lambda: _count(b, 5), what="b has all")
        async with peer(tmp_path / "c") as c:
            await meet(c, b)
            await eventually(lambda: _count(c, 5), what="c has all though a is gone")


async def test_published_without_peers_goes_out_later(tmp_path):
    async with peer(tmp_path / "a") as a:
        receipt = (await a.publish([ListingDraft("alone", 1)]))[0]
        assert receipt.sent_to == 0
        async with peer(tmp_path / "b") as b:
            await meet(b, a)
            await eventually(lambda: _count(b, 1), what="the listing")


async def test_an_own_listing_that_another_peer_removes_is_put_back_and_reported(tmp_path):
    async with peer(tmp_path / "a", announce_interval=0.2) as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        receipt = (await a.publish([ListingDraft("mine", 1)]))[0]
        await eventually(lambda: _count(b, 1), what="the listing")
        async with a.events() as events:
            key = next(iter(values(tmp_path / "b")))
            await b._writer.write({}, [key])
            with trio.fail_after(20):
                async for event in events:
                    if isinstance(event, Repaired):
                        assert (event.name, event.reason, event.healed) == ("mine", RepublishReason.MISSING, True)
                        break
        await eventually(lambda: _count(b, 1), what="it is back on the other peer too")
        assert (await a.listings()).listings[0].id == receipt.id


async def _publish_and_delist(node, publishes, delists):
    ids = []
    for n in range(publishes):
        ids.append((await node.publish([ListingDraft(f"n{n}", n)]))[0].id)
    for each in ids[:delists]:
        await node.delist(each)


async def _count(node, n):
    return len((await node.listings()).listings) == n


async def _same_heads(a, b):
    return await a.heads() == await b.heads()


async def _next_change(events):
    with trio.fail_after(20):
        async for event in events:
            if hasattr(event, "kind"):
                return event
    raise AssertionError("the events ended")


async def test_what_is_published_while_a_round_waits_for_its_turn_is_announced_at_once(tmp_path, monkeypatch):
    async with peer(tmp_path / "a") as a, trio.open_nursery() as nursery:
        announced = []
        monkeypatch.setattr(a.session._replication, "queue_announcement", announced.extend)
        seller, session = a._seller, a.session
        rounds = []

        async def maintain(real=seller.maintain):
            rounds.append("begun")
            repairs = await real()
            rounds.append("ended")
            return repairs

        monkeypatch.setattr(seller, "maintain", maintain)
        receipts = []

        async def publish():
            receipts.extend(await a.publish([ListingDraft("mine", 1)]))

        async with seller._lock:
            nursery.start_soon(publish)
            await eventually(lambda: seller._jobs, what="the publish waits")
            session._round_due.set()
            await eventually(lambda: rounds == ["begun"], what="the round waits behind it")
        await eventually(lambda: rounds[:2] == ["begun", "ended"] and receipts, what="both")
        assert cid.from_str(receipts[0].cid) in announced


async def test_what_a_round_writes_is_announced_with_the_heads_at_its_end(tmp_path, monkeypatch):
    async with peer(tmp_path / "a") as a:
        (receipt,) = await a.publish([ListingDraft("mine", 1)])
        announced = []
        monkeypatch.setattr(a.session._replication, "queue_announcement", announced.append)
        await a._writer.write({}, [keys.of_agent(receipt.id)])  # as somebody who is not its seller removes it
        announced.clear()
        a.session._round_due.set()
        await eventually(lambda: announced, what="the heads")
        assert list(map(set, announced)) == [set(a._writer.heads)]
        assert a._writer.replica.height == 3
