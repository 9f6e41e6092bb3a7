"""What strangers may send: each is logged, nothing is shown, nothing stops, and others are still heard."""

import json

import trio

from betar_tui.ipld import cid
from betar_tui.market.marketplace import Difference, ListingDraft, Provenance
from betar_tui.replica import Head, decode_node, delta, encode_broadcast, keys
from betar_tui.replica.node import MAX_LINKS, encode_node
from betar_tui.sync.writer import RawBlock
from tests.peers.harness import eventually, meet, peer


async def test_values_that_are_no_listings_are_counted_and_not_shown(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        good = {"id": "x", "name": "x", "price": 1, "seller_id": "s"}
        bad = {
            keys.of_agent("not-json"): b"\xff\x00{",
            keys.of_agent("array"): b"[1]",
            keys.of_agent("nan"): b'{"id":"nan","name":"n","price":NaN}',
            keys.of_agent("text-price"): json.dumps({**good, "id": "text-price", "price": "1"}).encode(),
            keys.of_agent("huge"): b" " * 70_000,
            keys.of_agent("other-key"): json.dumps(good).encode(),
        }
        await a._writer.write(bad)
        await eventually(lambda: unreadable(b, len(bad)), what="all of them counted")
        assert (await b.listings()).listings == ()
        await a.publish([ListingDraft("good", 1)])
        await eventually(lambda: shown(b), what="a good listing after them")


async def test_a_tampered_listing_is_hidden_and_counted(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        receipt = (await a.publish([ListingDraft("mine", 1)]))[0]
        await eventually(lambda: shown(b), what="the listing")
        fields = json.loads((await b.show(receipt.id)).raw)
        tampered = json.dumps({**fields, "price": 0.0001}).encode()
        await b._writer.write({keys.of_agent(receipt.id): tampered})
        (listing,) = (await b.listings()).listings
        told = listing.price, listing.provenance, listing.difference
        assert told == (1, Provenance.VERIFIED, Difference.REPLACED), "the seller's word stands"
        fields["id"] = f"{a.peer_id}/other"
        await b._writer.write({keys.of_agent(fields["id"]): json.dumps(fields).encode()})
        page = await b.listings()
        assert (len(page.listings), page.invalid) == (1, 1)


async def test_a_head_whose_inline_block_is_another_is_charged_and_not_taken(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        other = encode_node([], delta.encode([("/agents/YQ", b"lie")], [], 1))
        payload = encode_broadcast([Head(cid.of(b"something else"), other)])
        assert await a.session.network.broadcast(payload) == 1
        await eventually(lambda: b.session.network.misbehaviours() == {a.peer_id: 1}, what="the penalty")
        await a.publish([ListingDraft("good", 1)])
        await eventually(lambda: shown(b), what="a good listing after it")
        assert b._store.winners(["/agents/YQ"]) == {}


async def test_broadcasts_that_are_none_are_charged_to_their_sender(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        for payload in (b"\xff\xff", b"\x0a\x02\x0a\x00", b"junk"):
            await a.session.network.broadcast(payload)
        await eventually(lambda: b.session.network.misbehaviours().get(a.peer_id), what="the penalty")
        await a.publish([ListingDraft("good", 1)])
        await eventually(lambda: shown(b), what="a good listing after them")


async def test_a_block_that_is_no_delta_is_not_asked_for_again(tmp_path):
    """Who sends it is not charged: it is what was asked for, and anybody may have linked to it."""
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        wide = encode_node([cid.of(b"%d" % n) for n in range(MAX_LINKS + 1)], delta.encode([], [], 1))
        for block in (b"no dag-pb", wide):
            a._store.put_files({cid.of(block): block})
            await a.session.network.broadcast(encode_broadcast([Head(cid.of(block))]))
        await eventually(lambda: len(b.session._replication.fetcher._refused) == 2, what="both refused")
        assert (await b.status()).pending == 0
        await a.publish([ListingDraft("good", 1)])
        await eventually(lambda: shown(b), what="a good listing after them")
        assert b.session.network.misbehaviours() == {}


async def test_an_inline_block_that_is_no_delta_is_charged_to_who_announced_it(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        block = b"no dag-pb"
        await a.session.network.broadcast(encode_broadcast([Head(cid.of(block), block)]))
        await eventually(lambda: b.session.network.misbehaviours() == {a.peer_id: 1}, what="the penalty")


async def test_a_thousand_heads_that_nobody_has_keep_nobody_from_being_heard(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b, peer(tmp_path / "c") as c:
        await meet(a, b)
        await meet(c, b)
        invented = [Head(cid.of(b"invented %d" % n)) for n in range(1000)]
        await a.session.network.broadcast(encode_broadcast(invented))
        await eventually(lambda: b.session._replication.pending > 0, what="they are wanted")
        await c.publish([ListingDraft("good", 1)])
        await eventually(lambda: shown(b), within=5, what="another peer's listing")
        assert b.session._replication.pending <= 512


async def test_a_chain_whose_parent_is_missing_everywhere_shows_what_is_there(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        value = json.dumps({"id": "orphan", "name": "orphan", "price": 1}).encode()
        block = encode_node([cid.of(b"lost")], delta.encode([(keys.of_agent("orphan"), value)], [], 9))
        node = decode_node(cid.of(block), block)
        await a._writer.merge([RawBlock(node.cid, block, "")])
        await a.session.network.broadcast(encode_broadcast([Head(node.cid, block)]))
        await eventually(lambda: shown(b), what="the listing above the hole")
        assert await b.heads() == (), "a block above a hole is no head"
        assert (await b.status()).pending == 1
        receipt = (await b.publish([ListingDraft("mine", 1)]))[0]
        assert receipt.height == 1
        assert len(await b.heads()) == 1


async def test_garbage_on_the_tcp_port_stops_nothing(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        port = int(b.session.addrs[0].split("/")[4])
        for garbage in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 5000, b"\x13/multistream/1.0.0\n" + b"\x00" * 200):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(garbage)
        await meet(a, b)
        await a.publish([ListingDraft("good", 1)])
        await eventually(lambda: shown(b), what="a listing after the garbage")


async def shown(node):
    return (await node.listings()).listings


async def unreadable(node, count):
    return (await node.listings()).unreadable == count
