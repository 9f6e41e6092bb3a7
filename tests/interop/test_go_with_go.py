"""The Go peer is sound: Go agrees with itself, and with the golden vectors of the protocol."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.interop import conftest
from tests.interop.driver import (
    BETAR_PROTOCOL,
    GoPeer,
    GoPeerError,
    build_gopeer,
    golden_vectors,
    join,
    open_gopeer,
    wait_converged,
    wait_until,
)
from tests.interop.latency import measure_go_latency

# Re-announce often, so that a test does not wait for the mesh to form.
REBROADCAST = "500ms"

A_DELTA = "0a100a0a2f6167656e74732f59511a0276311801"
A_CID = "bafybeicsylxzyacizzjhdmzrcoftzwdf4dwsmsp4lxk45u6m5dwlfwxshe"
A_ID = "/CIQFFQXPTQAERTSSOGZTCE4LHTMGLYHNEZE7YXOVZ3J4Z2HMWLNPEOI"
A_BROADCAST = "0a260a240170122052c2ef9c0048ce5271b331138b3cd865e0ed2649fc5dd5ced3cce8ecb2daf239"
A_BROADCAST_INLINE = (
    "0a3e0a240170122052c2ef9c0048ce5271b331138b3cd865e0ed2649fc5dd5ced3cce8ecb2daf239"
    "7a160a140a100a0a2f6167656e74732f59511a0276311801"
)
B_DELTA = "0a100a0a2f6167656e74732f59511a0276321802"
B_NODE = "122a0a240170122052c2ef9c0048ce5271b331138b3cd865e0ed2649fc5dd5ced3cce8ecb2daf239120018000a14" + B_DELTA
B_CID = "bafybeibm4wu3da4vz5mrgxekdnodkhvng3ltt6n2q2kkmv7wmnjgnihyru"
B2_CID = "bafybeifw4ce6kbqxpljw6vt7yaoyzg25y7gou5grkhmgar3n7xxub6bgjy"
C_CID = "bafybeigaiqmsgiqfcoejrzkvgvb2z4m7hnaihdzw2dxvx2clie4wsqkc7a"
C_LINKS = (
    "122a0a24017012202ce5a9b18395cf59135c8a1b5c351ead36d739f9ba8694a657f6635266a0f88d12001800"
    "122a0a2401701220b6e089e506177ad36f567fc01d8c9b5dc7ccea74d151d860476dfdef40f8264e12001800"
)
C_NODE = (
    C_LINKS + "0a9201"
    "12460a0a2f6167656e74732f595112382f434951435a5a4e4a5747425a4c54325a434e4f49554732344755504b324e"
    "57584848343356425555555a4c374d5932534d325150524449"
    "12460a0a2f6167656e74732f595112382f434951464651585054514145525453534f475a544345344c48544d474c5948"
    "4e455a453759584f565a334a345a32484d574c4e50454f49"
    "1803"
)


@pytest.fixture(scope="module")
def golden(gopeer_binary: Path) -> dict[str, Any]:
    return golden_vectors(gopeer_binary)


@pytest.fixture
async def pair(gopeer_binary: Path, nursery: trio.Nursery) -> AsyncIterator[tuple[GoPeer, GoPeer]]:
    async with (
        open_gopeer(nursery, binary=gopeer_binary, rebroadcast=REBROADCAST) as one,
        open_gopeer(nursery, binary=gopeer_binary, rebroadcast=REBROADCAST) as other,
    ):
        await join(one, other)
        yield one, other


# --- golden vectors, all of which go-ds-crdt makes while the test runs --------------------------


def test_the_peer_is_built_from_the_versions_of_the_network(golden: dict[str, Any]) -> None:
    assert golden["libraries"] == {
        "libp2p/go-libp2p": "v0.47.0",
        "libp2p/go-libp2p-pubsub": "v0.15.0",
        "hsanjuan/ipfs-lite": "v1.8.6",
        "ipfs/go-ds-crdt": "v0.6.8",
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("A", {"delta": A_DELTA, "node": "0a14" + A_DELTA, "cid": A_CID, "id": A_ID, "priority": 1}),
        ("B", {"delta": B_DELTA, "node": B_NODE, "cid": B_CID, "links": [A_CID], "priority": 2}),
        ("B'", {"cid": B2_CID, "links": [A_CID], "priority": 2}),
        ("C", {"node": C_NODE, "cid": C_CID, "links": [B_CID, B2_CID], "priority": 3}),
    ],
)
def test_golden_vector(golden: dict[str, Any], name: str, expected: dict[str, Any]) -> None:
    vector = golden["vectors"][name]
    assert {field: vector[field] for field in expected} == expected


def test_golden_c_names_the_versions_in_id_order(golden: dict[str, Any]) -> None:
    vectors = golden["vectors"]
    assert vectors["C"]["tombstone_ids"] == sorted([vectors["A"]["id"], vectors["B"]["id"]])


def test_the_order_of_tombstones_is_that_of_the_store(golden: dict[str, Any]) -> None:
    """Over another store go-ds-crdt deletes the same versions with another block."""
    ordered, reverse = golden["vectors"]["C"], golden["vectors"]["C_reverse_store"]
    assert reverse["tombstone_ids"] == ordered["tombstone_ids"][::-1]
    assert reverse["links"] == ordered["links"]
    assert reverse["node"].startswith(C_LINKS)
    assert len(reverse["node"]) == len(ordered["node"])
    assert reverse["cid"] != ordered["cid"]


def test_golden_broadcasts(golden: dict[str, Any]) -> None:
    assert golden["broadcasts"] == {"A": A_BROADCAST, "A_inline": A_BROADCAST_INLINE}


@pytest.mark.parametrize(
    ("payload", "accepted"),
    [
        ("plain", True),
        ("inline_block", True),
        ("named_dag", True),  # v0.6.8 has no field 2 in Head: it merges every name into one
        ("legacy_cid_v0", True),
        ("legacy_cid_v1", False),  # its first byte is no protobuf tag, so not even "unknown"
        ("unknown_top_level", False),
        ("one_bad_cid", False),
    ],
)
def test_which_broadcasts_go_acts_upon(golden: dict[str, Any], payload: str, accepted: bool) -> None:
    assert golden["checks"][f"accepts_{payload}"] is accepted


def test_a_legacy_broadcast_makes_go_link_to_a_cid_v0(golden: dict[str, Any]) -> None:
    (link,) = golden["checks"]["links_above_legacy_cid_v0"]
    assert link.startswith("Qm")


def test_go_merges_a_key_twice_in_a_delta_as_the_last_one(golden: dict[str, Any]) -> None:
    """Not as the greater one: its batch hides the first from the comparison. We never emit this."""
    assert golden["checks"]["key_twice_in_delta_b_then_a"] == "a"


def test_go_writes_an_empty_delta_only_in_a_batch(golden: dict[str, Any]) -> None:
    assert golden["checks"]["deltas_of_deleting_absent_key"] == 0
    assert golden["checks"]["deltas_of_deleting_absent_key_in_batch"] == 1


# --- two peers ----------------------------------------------------------------------------------


async def test_a_running_peer_writes_the_golden_blocks(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        assert (await peer.put("/agents/YQ", b"v1")).cids == (A_CID,)
        assert (await peer.block(A_CID)).hex() == "0a14" + A_DELTA
        assert (await peer.put("/agents/YQ", b"v2")).cids == (B_CID,)
        assert [(head.cid, head.height) for head in await peer.heads()] == [(B_CID, 2)]
        node = await peer.decode(bytes.fromhex(C_NODE))
        assert (node.links, node.priority, node.elements, node.tombstones) == ((B_CID, B2_CID), 3, 0, 2)


def pb_field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field (short ones only)."""
    return bytes([number << 3 | 2, len(content)]) + content


A_HASH = bytes.fromhex("0a240170122052c2ef9c0048ce5271b331138b3cd865e0ed2649fc5dd5ced3cce8ecb2daf239")
NAME, TSIZE = b"\x12\x00", b"\x18\x00"
LINK = pb_field(2, A_HASH + NAME + TSIZE)
DATA = pb_field(1, bytes.fromhex(A_DELTA))


@pytest.mark.parametrize(
    ("node", "accepted"),
    [
        pytest.param(LINK + LINK + DATA, True, id="canonical"),
        pytest.param(DATA + LINK + LINK, True, id="data before links"),
        pytest.param(LINK + DATA + LINK, False, id="split links"),
        pytest.param(LINK + DATA + DATA, False, id="data twice"),
        pytest.param(LINK, True, id="no data"),
        pytest.param(b"", True, id="nothing"),
        pytest.param(DATA + pb_field(3, b""), False, id="unknown field"),
        pytest.param(LINK + b"\x08\x01", False, id="data as a number"),
        pytest.param(LINK + DATA[:-1], False, id="cut short"),
        pytest.param(pb_field(2, A_HASH) + DATA, True, id="link with a hash only"),
        pytest.param(pb_field(2, A_HASH + TSIZE) + DATA, True, id="link without a name"),
        pytest.param(pb_field(2, NAME + TSIZE) + DATA, False, id="link without a hash"),
        pytest.param(pb_field(2, NAME + A_HASH + TSIZE) + DATA, False, id="name before hash"),
        pytest.param(pb_field(2, A_HASH + TSIZE + NAME) + DATA, False, id="tsize before name"),
        pytest.param(pb_field(2, A_HASH + A_HASH) + DATA, False, id="hash twice"),
        pytest.param(pb_field(2, A_HASH + b"\x20\x00") + DATA, False, id="unknown field in a link"),
        pytest.param(pb_field(2, A_HASH + b"\x12\x01\xff" + TSIZE) + DATA, True, id="name not UTF-8"),
        pytest.param(pb_field(2, b"\x0a\x25" + A_HASH[2:] + b"\x00") + DATA, True, id="bytes behind a link's CID"),
        pytest.param(pb_field(1, bytes.fromhex(A_DELTA) + b"\x22\x01x"), True, id="unknown field in delta"),
        pytest.param(pb_field(1, b"\x1a\x01x"), True, id="delta's priority as bytes"),
        pytest.param(pb_field(1, pb_field(1, pb_field(1, b"/\xff"))), False, id="key not UTF-8"),
        pytest.param(pb_field(1, b"\x18"), False, id="delta cut short"),
    ],
)
async def test_which_nodes_go_reads(gopeer_binary: Path, nursery: trio.Nursery, node: bytes, accepted: bool) -> None:
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        if accepted:
            await peer.decode(node)
        else:
            with pytest.raises(GoPeerError, match=r"decode: (dag-pb|delta): "):
                await peer.decode(node)


async def test_puts_and_deletes_converge_both_ways(pair: tuple[GoPeer, GoPeer]) -> None:
    one, other = pair
    for writer, reader, key in ((one, other, "/agents/a"), (other, one, "/agents/b")):
        start = reader.mark()
        written = await writer.put(key, b"1")
        event = await reader.wait_event("put", key, b"1", since=start)
        assert await reader.get(key) == b"1"
        assert event.at_ns > written.issued_ns
        assert await reader.latency(key, written.issued_ns, b"1") == pytest.approx(
            (event.at_ns - written.issued_ns) / 1e6, abs=0.01
        )
    assert await wait_converged(one, other) == {"/agents/a": b"1", "/agents/b": b"1"}

    for writer, reader, key in ((one, other, "/agents/b"), (other, one, "/agents/a")):
        start = reader.mark()
        await writer.delete(key)
        assert not (await reader.wait_event("delete", key, since=start)).present
        assert await reader.get(key) is None
    assert await wait_converged(one, other) == {}
    (head,) = await one.heads()
    assert head.height == 4
    assert (await one.delete("/agents/a")).cids == ()


async def test_batches_converge_both_ways(pair: tuple[GoPeer, GoPeer]) -> None:
    one, other = pair
    first = await one.batch({f"/agents/{i}": b"one" for i in range(20)})
    assert len(first.cids) == 1
    await wait_converged(one, other)
    second = await other.batch({"/agents/0": b"other", "/agents/new": b"other"}, ["/agents/1", "/agents/2"])
    assert len(second.cids) == 1
    await one.wait_event("delete", "/agents/2")
    values = await wait_converged(one, other)
    assert len(values) == 19
    assert values["/agents/0"] == values["/agents/new"] == b"other"
    assert values["/agents/3"] == b"one"
    assert await one.block(second.cids[0]) == await other.block(second.cids[0])


async def test_concurrent_writes_converge(pair: tuple[GoPeer, GoPeer]) -> None:
    one, other = pair

    async def write(peer: GoPeer, mark: str) -> None:
        for i in range(10):
            await peer.put(f"/agents/{i}", f"{mark}{i}".encode())

    async with trio.open_nursery() as writers:
        writers.start_soon(write, one, "one")
        writers.start_soon(write, other, "other")

    async def same_values() -> bool:
        # Not the same heads: go-ds-crdt may keep a head that is no tip for good.
        values = await one.list()
        return len(values) == 10 and values == await other.list()

    await wait_until(same_values, within=30)


async def test_a_late_peer_gets_what_was_written_before(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    async with open_gopeer(nursery, binary=gopeer_binary, rebroadcast=REBROADCAST) as early:
        for i in range(10):
            await early.put(f"/agents/{i}", b"early")
        async with open_gopeer(nursery, binary=gopeer_binary, rebroadcast=REBROADCAST) as late:
            await join(late, early)
            assert len(await wait_converged(early, late)) == 10


async def test_blocks_are_local_until_fetched(pair: tuple[GoPeer, GoPeer]) -> None:
    one, other = pair
    cid = await one.add_file(b"only here")
    with pytest.raises(GoPeerError):
        await other.block(cid)
    fetched = await other.fetch(cid)
    assert fetched.data == await one.block(cid)
    absent = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    with pytest.raises(GoPeerError, match="fetch"):
        await other.fetch(absent, within=0.5)


@pytest.mark.parametrize("size", [1, 1_000_000])
async def test_a_file_of_one_is_read_by_the_other(pair: tuple[GoPeer, GoPeer], size: int) -> None:
    one, other = pair
    content = bytes(i * 7 % 251 for i in range(size))
    assert await other.get_file(await one.add_file(content)) == content


async def test_payloads_on_the_topic_are_heard(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    async with (
        open_gopeer(nursery, binary=gopeer_binary) as one,
        open_gopeer(nursery, binary=gopeer_binary, trace=True) as other,
    ):
        await join(one, other)
        await one.put("/agents/YQ", b"v1")
        heard = await other.wait_event("heard")
        assert heard.data.hex() == A_BROADCAST
        # The inline form of the same, to a peer that has the block by now.
        await other.wait_event("put", "/agents/YQ")
        start = other.mark()
        await one.publish(bytes.fromhex(A_BROADCAST_INLINE))
        async for event in other.events(start):
            if event.data.hex() == A_BROADCAST_INLINE:
                break


# --- listings -----------------------------------------------------------------------------------


def listing_key(listing_id: str) -> str:
    return "/agents/" + base64.urlsafe_b64encode(listing_id.encode()).decode().rstrip("=")


async def test_a_go_betar_hides_listings_with_an_object_as_metadata(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    seller = "12D3KooWSeller"
    common = {"name": "Hagga", "price": 0.5, "timestamp": 1795390401, "protocols": ["/x402/libp2p/1.0.0"]}
    betar_go = {**common, "id": "did:key:z6Mk1", "metadata": "bafybeigdyr", "sellerId": seller}
    documents = {**common, "id": f"{seller}/h", "metadata": {"description": "d"}, "seller_id": seller}
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        for listing in (betar_go, documents):
            await peer.put(listing_key(str(listing["id"])), json.dumps(listing).encode())
        await peer.put("/agents/bm90IGpzb24", b"not json")
        await peer.put("/elsewhere/x", json.dumps(betar_go).encode())
        listings = await peer.listings()
    assert dict(listings.shown) == {listing_key("did:key:z6Mk1"): betar_go}
    assert set(listings.hidden) == {listing_key(f"{seller}/h"), "/agents/bm90IGpzb24"}


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("price", 1, True),
        ("price", "1", False),
        ("timestamp", 1.5, False),
        ("tokenId", 7, False),
        ("addrs", "/ip4/1.2.3.4", False),
        ("onChainReputation", {"count": 1, "score": -3, "decimals": 2}, True),
        ("onChainReputation", {"count": -1, "score": 0, "decimals": 2}, False),
        ("metadata", None, True),  # null leaves a Go field as it was: empty
        ("unknown", {"any": "thing"}, True),
    ],
)
async def test_which_types_a_go_betar_shows(
    gopeer_binary: Path, nursery: trio.Nursery, field: str, value: object, shown: bool
) -> None:
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        await peer.put("/agents/a", json.dumps({"id": "a", field: value}).encode())
        assert ("/agents/a" in (await peer.listings()).shown) is shown


# --- the peer as a process ----------------------------------------------------------------------


async def test_betar_is_told_by_its_protocol(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    async with (
        open_gopeer(nursery, binary=gopeer_binary) as plain,
        open_gopeer(nursery, binary=gopeer_binary, betar=True) as betar,
    ):
        await join(plain, betar)

        async def identified() -> bool:
            connections = [*await plain.peers(), *await betar.peers()]
            return len(connections) == 2 and all(c.protocols for c in connections)

        await wait_until(identified)
        (seen_by_plain,), (seen_by_betar,) = await plain.peers(), await betar.peers()
        assert seen_by_plain.peer == betar.peer_id
        assert BETAR_PROTOCOL in seen_by_plain.protocols
        assert BETAR_PROTOCOL not in seen_by_betar.protocols

        await plain.disconnect(betar.peer_id)

        async def alone() -> bool:
            return not await betar.peers()

        await wait_until(alone)


async def test_addresses_are_on_loopback(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        assert await peer.addr() == peer.addrs
        assert all(a.startswith("/ip4/127.0.0.1/tcp/") and a.endswith(peer.peer_id) for a in peer.addrs)


async def test_key_and_state_survive_a_kill(gopeer_binary: Path, nursery: trio.Nursery, tmp_path: Path) -> None:
    def start() -> Any:
        return open_gopeer(nursery, binary=gopeer_binary, key=tmp_path / "key", data=tmp_path / "data")

    async with start() as peer:
        identity = peer.peer_id
        await peer.batch({f"/agents/{i}": b"kept" for i in range(5)})
        await peer.delete("/agents/0")
        heads, values = await peer.heads(), await peer.list()
        await peer.kill()
    async with start() as peer:
        assert peer.peer_id == identity
        assert (await peer.heads(), await peer.list()) == (heads, values)
        assert len(values) == 4


async def test_betars_own_arrangement_forgets_its_heads_and_keeps_its_blocks(
    gopeer_binary: Path, nursery: trio.Nursery, tmp_path: Path
) -> None:
    def start() -> Any:
        return open_gopeer(nursery, binary=gopeer_binary, data=tmp_path / "data", volatile_crdt=True)

    async with start() as peer:
        (cid,) = (await peer.put("/agents/a", b"1")).cids
    async with start() as peer:
        assert (await peer.heads(), await peer.list()) == ((), {})
        assert await peer.block(cid)


async def test_errors_are_answers(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        for op, fields in (
            ("nonsense", {}),
            ("connect", {"addr": "/ip4/127.0.0.1/tcp/1"}),
            ("block", {"cid": "?"}),
            ("put", {"key": 5}),
        ):
            with pytest.raises(GoPeerError):
                await peer.request(op, **fields)
        stats = await peer.stats()
        assert (stats["keys"], stats["blocks"], stats["dirty"]) == (0, 0, False)


async def test_a_killed_peer_fails_what_waits_for_it(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        async with trio.open_nursery() as waiters:

            async def wait(what: Any) -> None:
                with pytest.raises(GoPeerError, match="gone"):
                    await what()

            waiters.start_soon(wait, lambda: peer.wait_event("put"))
            waiters.start_soon(wait, lambda: peer.latency("/agents/never", 0))
            await trio.testing.wait_all_tasks_blocked()
            await peer.kill()
        with pytest.raises(GoPeerError, match="gone"):
            await peer.stats()


async def test_a_peer_ends_cleanly_with_its_block(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        process = peer._process
    assert process.returncode == 0
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        await peer.request("quit")
        assert await peer._process.wait() == 0


async def test_write_to_visible_latency_can_be_measured(gopeer_binary: Path) -> None:
    samples = await measure_go_latency(3, gopeer_binary)
    assert len(samples) == 3
    assert all(0 < ms < 5000 for ms in samples)


# --- building -----------------------------------------------------------------------------------


def test_the_same_sources_are_built_once(gopeer_binary: Path) -> None:
    built = gopeer_binary.stat().st_mtime_ns
    assert build_gopeer() == gopeer_binary
    assert gopeer_binary.stat().st_mtime_ns == built
    assert Path(__file__).parents[2] not in gopeer_binary.parents


@pytest.mark.parametrize(("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_without_go_tests_are_skipped_unless_go_is_required(
    monkeypatch: pytest.MonkeyPatch, required: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(conftest, "go_available", lambda: False)
    monkeypatch.setenv(conftest.REQUIRE_ENV, required)
    with pytest.raises(outcome, match="no `go` on PATH"):
        conftest.require_gopeer()
