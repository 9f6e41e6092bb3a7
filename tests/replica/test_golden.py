"""The vectors of docs/protocol.md#golden-vectors, byte for byte through our code. That Go makes them is shown in
tests/interop."""

from __future__ import annotations

from betar_tui.ipld import cid
from betar_tui.replica import DagNode, Head, decode_broadcast, decode_node, encode_broadcast, keys
from betar_tui.replica.facts import Span
from tests.simulation.lab import Bench

A_DELTA = bytes.fromhex("0a100a0a2f6167656e74732f59511a0276311801")
A_CID = "bafybeicsylxzyacizzjhdmzrcoftzwdf4dwsmsp4lxk45u6m5dwlfwxshe"
A_ID = "/CIQFFQXPTQAERTSSOGZTCE4LHTMGLYHNEZE7YXOVZ3J4Z2HMWLNPEOI"
B_DELTA = bytes.fromhex("0a100a0a2f6167656e74732f59511a0276321802")
LINK_TO_A = bytes.fromhex("122a0a240170122052c2ef9c0048ce5271b331138b3cd865e0ed2649fc5dd5ced3cce8ecb2daf23912001800")
B_CID = "bafybeibm4wu3da4vz5mrgxekdnodkhvng3ltt6n2q2kkmv7wmnjgnihyru"
B2_CID = "bafybeifw4ce6kbqxpljw6vt7yaoyzg25y7gou5grkhmgar3n7xxub6bgjy"
C_CID = "bafybeigaiqmsgiqfcoejrzkvgvb2z4m7hnaihdzw2dxvx2clie4wsqkc7a"
C_NODE = bytes.fromhex(
    "122a0a24017012202ce5a9b18395cf59135c8a1b5c351ead36d739f9ba8694a657f6635266a0f88d12001800"
    "122a0a2401701220b6e089e506177ad36f567fc01d8c9b5dc7ccea74d151d860476dfdef40f8264e12001800"
    "0a920112460a0a2f6167656e74732f595112382f434951435a5a4e4a5747425a4c54325a434e4f49554732344755504b324e57584848343356425555"
    "555a4c374d5932534d32515052444912460a0a2f6167656e74732f595112382f434951464651585054514145525453534f475a544345344c48544d47"
    "4c59484e455a453759584f565a334a345a32484d574c4e50454f491803"
)
A_BROADCAST = bytes.fromhex("0a260a240170122052c2ef9c0048ce5271b331138b3cd865e0ed2649fc5dd5ced3cce8ecb2daf239")
A_BROADCAST_INLINE = bytes.fromhex(
    "0a3e0a240170122052c2ef9c0048ce5271b331138b3cd865e0ed2649fc5dd5ced3cce8ecb2daf239"
    "7a160a140a100a0a2f6167656e74732f59511a0276311801"
)
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


def test_key() -> None:
    assert KEY == "/agents/YQ"
    assert keys.of_agent("b") == "/agents/Yg"


def test_we_write_the_golden_blocks() -> None:
    _, a, b, b2, c = history()
    assert a.data == b"\x0a\x14" + A_DELTA
    assert cid.to_str(a.cid) == A_CID
    assert cid.element_id(a.cid) == A_ID
    assert b.data == LINK_TO_A + b"\x0a\x14" + B_DELTA
    assert cid.to_str(b.cid) == B_CID
    assert cid.to_str(b2.cid) == B2_CID
    assert c.data == C_NODE
    assert cid.to_str(c.cid) == C_CID


def test_we_read_the_golden_blocks() -> None:
    names = {name: cid.from_str(text) for name, text in {"A": A_CID, "B": B_CID, "B2": B2_CID, "C": C_CID}.items()}
    a = decode_node(names["A"], b"\x0a\x14" + A_DELTA)
    assert (a.links, a.delta.priority, a.delta.tombstones) == ((), 1, ())
    assert a.delta.elements == (Span(KEY, 18, 2),)
    assert a.data[18:20] == b"v1"
    b = decode_node(names["B"], LINK_TO_A + b"\x0a\x14" + B_DELTA)
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
    name, block = cid.from_str(A_CID), b"\x0a\x14" + A_DELTA
    assert encode_broadcast([Head(name)]) == A_BROADCAST
    assert encode_broadcast([Head(name, block)]) == A_BROADCAST_INLINE
    assert decode_broadcast(A_BROADCAST) == (Head(name),)
    assert decode_broadcast(A_BROADCAST_INLINE) == (Head(name, block),)
    assert decode_broadcast(name[2:]) == (Head(name),)
