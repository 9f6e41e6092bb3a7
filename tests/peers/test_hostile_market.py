"""What one hostile seller may write into the market, and what it must not do to the others."""

import json

from betar_tui.ipld import cid
from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import open_peer
from betar_tui.replica import Head, delta, encode_broadcast, keys
from betar_tui.replica.node import encode_node
from betar_tui.sync import fetching
from tests.peers.harness import config, eventually, meet, peer, values


def listing(agent: str, **fields: object) -> tuple[str, bytes]:
    value = {"id": agent, "name": agent, "price": 1, "seller_id": "", **fields}
    return keys.of_agent(agent), json.dumps(value).encode()


async def test_listings_made_to_break_their_readers_cost_nobody_else(tmp_path):
    deep: object = "x"
    for _ in range(600):
        deep = [deep]
    signature = {"alg": "ed25519", "key": "", "sig": ""}
    hostile = dict(
        [
            listing("deep", metadata={"a": deep}, signature=signature),
            listing("half", metadata={"a": "\ud800"}),
            listing("metadata-z", metadata="z"),
            listing("metadata-odd", metadata="\x00/.."),
        ]
    )
    async with peer(tmp_path / "bad") as bad, peer(tmp_path / "b") as b:
        await meet(bad, b)
        await bad._writer.write(hostile)
        await eventually(lambda: shown(b, "metadata-odd"), what="what can be read")
        receipt = (await bad.publish([ListingDraft("good", 1)]))[0]
        await eventually(lambda: shown(b, "good"), what="a good listing after them")
        assert b.session.troubles() == ()
        assert (await b.listings()).unreadable == 2
    async with open_peer(config(tmp_path / "b"), network=False) as b:
        assert (await b.show(receipt.id)).listing.name == "good", "it opens again"


async def test_my_peer_id_in_somebodys_listing_is_not_mine_and_takes_no_name_from_me(tmp_path):
    async with open_peer(config(tmp_path / "a"), network=False) as a:
        planted = listing(f"{a.peer_id}/ocr", name="ocr", seller_id=a.peer_id, addrs=["/ip4/198.51.100.66/tcp/1"])
        await a._writer.write(dict([planted]))
        (shown_,) = (await a.listings()).listings
        assert not shown_.mine
        await a.publish([ListingDraft("ocr", 2)])
        (shown_,) = (await a.listings()).listings
        assert (shown_.mine, shown_.price, shown_.provenance) == (True, 2, "verified")


async def test_a_listing_that_names_a_missing_delta_as_its_metadata_keeps_it_from_nobody(tmp_path):
    async with peer(tmp_path / "bad") as bad, peer(tmp_path / "b") as b:
        block = encode_node([], delta.encode([listing("hidden")], [], 1))
        target = cid.of(block)
        await b._writer.write(dict([listing("thief", metadata=cid.to_str(target))]))
        await eventually(lambda: b.session.metadata_files.asked(target), what="the delta is asked for as a file")
        bad._store.put_files({target: block})
        await meet(bad, b)
        await bad.session.network.broadcast(encode_broadcast([Head(target)]))
        await eventually(lambda: shown(b, "hidden"), what="the delta, merged")


async def test_thousands_of_heads_are_announced_and_taken_in_parts(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await meet(a, b)
        roots = [encode_node([], delta.encode([(f"/x/{n}", b"v")], [], 1)) for n in range(1500)]
        a._store.put_files({cid.of(block): block for block in roots})
        told = await a.session.network.broadcast(encode_broadcast([Head(cid.of(block)) for block in roots[:512]]))
        assert told == 1
        await eventually(lambda: len(b._writer.replica.heads) >= 512, what="many heads")
        b.session.announce(list(b._writer.replica.heads))
        assert b.session.audience == 1
        await a.publish([ListingDraft("good", 1)])
        await eventually(lambda: shown(b, "good"), what="a listing after them")
        assert b.session.network.misbehaviours() == {}
        assert a.session.network.misbehaviours() == {}


async def test_wants_that_nobody_can_fill_give_way_to_others(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "MAX_BITSWAP", 64)
    async with peer(tmp_path / "bad") as bad, peer(tmp_path / "b") as b:
        await meet(bad, b)
        nowhere = [cid.of(b"nowhere %d" % n) for n in range(100)]
        block = encode_node(nowhere, delta.encode([listing("wide")], [], 9))
        await bad.session.network.broadcast(encode_broadcast([Head(cid.of(block), block)]))
        await eventually(lambda: shown(b, "wide"), what="the delta above a hundred holes")
        await eventually(lambda: len(b.session._replication.fetcher._bitswap) == 64, what="all places taken")
        needed = encode_node([], delta.encode([listing("needed")], [], 1))
        bad._store.put_files({cid.of(needed): needed})
        await bad.session.network.broadcast(encode_broadcast([Head(cid.of(needed))]))
        await eventually(lambda: shown(b, "needed"), what="a block that somebody has")


async def test_two_that_diverged_send_each_other_only_what_is_new(tmp_path):
    async with open_peer(config(tmp_path / "a"), network=False) as a:
        for n in range(300):
            await a._writer.write({f"/x/{n % 7}": b"%d" % n})
        car = str(tmp_path / "all.car")
        await a.export_car(car)
    async with open_peer(config(tmp_path / "b"), network=False) as b:
        await b.import_car(car)
        await b._writer.write({"/x/b": b"b"})
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        await a._writer.write({"/x/a": b"a"})
        a.session._replication._recent.clear()
        b.session._replication._recent.clear()
        taken = []
        merge = b._writer.merge_nodes

        async def counted(nodes, via):
            taken.extend(nodes)
            return await merge(nodes, via)

        b._writer.merge_nodes = counted
        await meet(a, b)
        await eventually(lambda: values(tmp_path / "a") == values(tmp_path / "b"), what="equal maps")
        assert len(taken) <= 16, "the common history was sent again"


async def test_a_neighbour_is_not_blamed_for_what_it_passes_on(tmp_path):
    async with peer(tmp_path / "bad") as bad, peer(tmp_path / "b") as b, peer(tmp_path / "c") as c:
        await meet(bad, b)
        await meet(b, c)
        for n in range(40):
            await bad.session.network.broadcast(b"\xff garbage %d" % n)
            twisted = encode_node([], b"\xff" * (n + 1))
            await bad.session.network.broadcast(encode_broadcast([Head(cid.of(twisted), twisted)]))
        await b.publish([ListingDraft("good", 1)])
        await eventually(lambda: shown(c, "good"), what="the neighbour is still heard")
        assert b.peer_id not in c.session.network.misbehaviours()


async def shown(node, name):
    return any(each.name == name for each in (await node.listings()).listings)
