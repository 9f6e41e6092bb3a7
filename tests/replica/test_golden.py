"""The vectors of docs/protocol.md#golden-vectors, byte for byte through our code. That Go makes them is shown in
tests/interop."""

from __future__ import annotations

from betar_tui.ipld import cid
from betar_tui.replica import DagNode, Head, decode_broadcast, decode_node, encode_broadcast, keys
from betar_tui.replica.facts import Span
from tests.docs.pages import vectors
from tests.simulation.lab import Bench

VECTORS = vectors()
A_DELTA, A_NODE = bytes.fromhex(VECTORS["A.delta"]), bytes.fromhex(VECTORS["A.node"])
A_CID, A_ID = VECTORS["A.cid"], VECTORS["A.id"]
B_DELTA, B_NODE = bytes.fromhex(VECTORS["B.delta"]), bytes.fromhex(VECTORS["B.node"])
B_CID, B2_CID = VECTORS["B.cid"], VECTORS["B'.cid"]
C_CID, C_NODE = VECTORS["C.cid"], bytes.fromhex(VECTORS["C.node"])
A_BROADCAST = bytes.fromhex(VECTORS["A.broadcast"])
A_BROADCAST_INLINE = bytes.fromhex(VECTORS["A.broadcast.inline"])
KEY = keys.of_agent("a")


def history() -> tuple[Bench, DagNode, DagNode, DagNode, DagNode]:
    """A, B, B' and C as they were written: B' by another replica that had heard of A only."""
    one, other = Bench(), Bench()
    a = one.put(KEY, b"v1").node
    other.merge(a)
    b = one.put(KEY, b"v2").node
    b2 = other.put(keys.of_agent("b"), b"x").node
    one.merge(b2)
    (c,) = one.delete(KEY)
    assert c.tombstones == 2
    return one, a, b, b2, c.node


def test_every_vector_is_used() -> None:
    names = "A.delta A.node A.cid A.id B.delta B.node B.cid B'.cid C.node C.cid A.broadcast A.broadcast.inline"
    assert set(VECTORS) == set(names.split())


def test_key() -> None:
    assert KEY == "/agents/YQ"
    assert keys.of_agent("b") == "/agents/Yg"


def test_we_write_the_golden_blocks() -> None:
    _, a, b, b2, c = history()
    assert a.data == A_NODE
    assert a.data.endswith(A_DELTA)
    assert cid.to_str(a.cid) == A_CID
    assert cid.element_id(a.cid) == A_ID
    assert b.data == B_NODE
    assert b.data.endswith(B_DELTA)
    assert cid.to_str(b.cid) == B_CID
    assert cid.to_str(b2.cid) == B2_CID
    assert c.data == C_NODE
    assert cid.to_str(c.cid) == C_CID


def test_we_read_the_golden_blocks() -> None:
    names = {name: cid.from_str(text) for name, text in {"A": A_CID, "B": B_CID, "B2": B2_CID, "C": C_CID}.items()}
    a = decode_node(names["A"], A_NODE)
    assert (a.links, a.delta.priority, a.delta.tombstones) == ((), 1, ())
    assert a.delta.elements == (Span(KEY, 18, 2),)
    assert a.data[18:20] == b"v1"
    b = decode_node(names["B"], B_NODE)
    assert (b.links, b.delta.priority) == ((names["A"],), 2)
    c = decode_node(names["C"], C_NODE)
    assert c.links == (names["B"], names["B2"])
    assert c.delta.tombstones == ((KEY, names["B"]), (KEY, names["A"]))
    assert (c.delta.elements, c.delta.priority) == ((), 3)


def test_what_the_golden_blocks_mean() -> None:
    one, a, b, b2, c = history()
    assert one.map == {"/agents/Yg": b"x"}
    assert one.replica.heads == {c.cid: 3}
    late = Bench()
    late.merge(c, b2)
    assert late.map == {"/agents/Yg": b"x"}
    assert late.replica.wants == {a.cid, b.cid}
    late.merge(b)
    late.merge(a)
    assert late.replica.heads == {c.cid: 3}
    assert late.map == {"/agents/Yg": b"x"}


def test_broadcasts() -> None:
    name, block = cid.from_str(A_CID), A_NODE
    assert encode_broadcast([Head(name)]) == A_BROADCAST
    assert encode_broadcast([Head(name, block)]) == A_BROADCAST_INLINE
    assert decode_broadcast(A_BROADCAST) == (Head(name),)
    assert decode_broadcast(A_BROADCAST_INLINE) == (Head(name, block),)
    assert decode_broadcast(name[2:]) == (Head(name),)
