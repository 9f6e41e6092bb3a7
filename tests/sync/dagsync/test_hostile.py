"""Peers that answer dagsync with something else: the stream ends, they are penalised, and others bring the blocks."""

import pytest
import trio

from betar_tui.ipld import car, cid, unixfs
from betar_tui.market.marketplace import ListingDraft
from betar_tui.replica import Head, decode_node, delta, encode_broadcast
from betar_tui.replica.node import encode_node
from betar_tui.sync.dagsync import client
from betar_tui.sync.dagsync.messages import PROTOCOL, Trailer, encode_trailer
from tests.peers.harness import eventually, meet, peer

JUNK = encode_node([], delta.encode([("/agents/YQ", b"x")], [], 1))
TARGET = cid.of(b"announced, and never sent")


def whole(*sections: bytes) -> bytes:
    return car.encode_header([]) + b"".join(sections) + car.END + encode_trailer(Trailer(1, 1, True))


ANSWERS = {
    "unasked": whole(car.encode_section(cid.of(JUNK), JUNK)),
    "corrupt": whole(car.encode_section(TARGET, JUNK)),
    "oversized": car.encode_header([]) + b"\xff\xff\xff\x7f",
    "no archive": b"\x03abc",
    "bad trailer": car.encode_header([]) + car.END + b"\x03abc",
    "something behind": whole() + b"more",
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_bad_answer_is_penalised_and_the_next_listing_still_comes(tmp_path, kind):
    async with peer(tmp_path / "bad") as bad, peer(tmp_path / "b") as b, peer(tmp_path / "good") as good:

        async def answer(stream) -> None:
            await stream.read(4096)
            await stream.write(ANSWERS[kind])
            await trio.sleep_forever()

        bad.session.network.set_protocol_handler(PROTOCOL, answer)
        await meet(b, bad)
        await meet(b, good)
        await bad.session.network.broadcast(encode_broadcast([Head(TARGET)]))
        await eventually(lambda: b.session.network.misbehaviours().get(bad.peer_id), what="the penalty")
        await good.publish([ListingDraft("good", 1)])
        await eventually(lambda: shown(b, 1), what="another peer's listing")
        assert b._store.winners(["/agents/YQ"]) == {}


async def test_a_stream_that_stalls_is_reset_and_the_history_comes_from_another(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "STALL", 0.5)
    async with peer(tmp_path / "good") as good:
        for n in range(10):
            await good.publish([ListingDraft(f"n{n}", n)])
        async with peer(tmp_path / "bad") as bad, peer(tmp_path / "b") as b:
            await meet(bad, good)
            await eventually(lambda: shown(bad, 10), what="the bad one has all")

            async def drip(stream) -> None:
                while True:
                    await stream.write(b"\xff")
                    await trio.sleep(0.1)

            bad.session.network.set_protocol_handler(PROTOCOL, drip)
            await meet(b, bad)
            await eventually(lambda: shown(b, 10), what="all over Bitswap from the one that stalled")


async def test_a_peer_that_ends_its_stream_is_asked_over_bitswap(tmp_path):
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        for n in range(5):
            await a.publish([ListingDraft(f"n{n}", n)])

        async def hang_up(stream) -> None:
            await stream.reset()

        a.session.network.set_protocol_handler(PROTOCOL, hang_up)
        await meet(b, a)
        await eventually(lambda: shown(b, 5), what="all of it")
        assert (await b.status()).pending == 0


async def test_a_peer_is_not_penalised_for_files_that_the_delta_of_another_links_to(tmp_path):
    """A file has blocks below it, which dagsync sends as well."""
    root, blocks = file(3)
    linking = encode_node([root, cid.of(JUNK)], delta.encode([("/agents/YQ", b"x")], [], 5))
    node = decode_node(cid.of(linking), linking)
    async with peer(tmp_path / "a") as a, peer(tmp_path / "b") as b:
        b._store.put_files({**blocks, cid.of(JUNK): JUNK})
        await meet(a, b)
        await a._writer.merge_nodes([node], "somebody")
        assert a.session.pending == 2
        await eventually(lambda: a.session.network.supports(b.peer_id, PROTOCOL), what="dagsync")
        a.session.fetch_missing()
        await eventually(lambda: a.session.pending == 0, what="no pending block")
        assert a._store.blocks([root, cid.of(JUNK)]).keys() == {cid.of(JUNK)}, "the delta is merged all the same"
        assert a.session.network.misbehaviours() == b.session.network.misbehaviours() == {}
        a.session.fetch_missing()
        await b.publish([ListingDraft("next", 2)])
        await eventually(lambda: shown(a, 1), what="the next listing")
        assert a.session.pending == 0
        assert a.session.network.misbehaviours() == {}


def file(leaves: int) -> tuple[bytes, dict[bytes, bytes]]:
    """A UnixFS file of several dag-pb blocks: its root, and all of them by CID."""
    found = dict(unixfs.encode_file(b"{%d}" % n) for n in range(leaves))
    root = encode_node(list(found), b"\x08\x02\x12\x01x\x18\x03" + b"\x20\x01" * leaves)
    return cid.of(root), {**found, cid.of(root): root}


async def shown(node, count):
    return len((await node.listings()).listings) == count
