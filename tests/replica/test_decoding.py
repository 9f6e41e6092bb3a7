"""The values that decoders find, the reasons that they give, and their limits, exactly."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.replica import Head, broadcast, decode_broadcast, decode_node, decode_verified, delta, encode_broadcast
from betar_tui.replica import node as nodes
from betar_tui.replica.facts import Span

ONE, TWO = sorted([cid.of(b"1"), cid.of(b"2")])
ID_ONE, ID_TWO = cid.element_id(ONE), cid.element_id(TWO)
HASH, NAME, TSIZE = write_bytes(1, ONE), b"\x12\x00", b"\x18\x00"
LINK = write_bytes(2, HASH + NAME + TSIZE)
SHORT = write_bytes(2, write_bytes(1, TWO))
DATA = write_bytes(1, b"\x18\x03")
RAW = cid.of_raw(b"")
NOT_UTF8 = "a key or id in a delta is not UTF-8: 'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"


def node(block: bytes) -> object:
    return decode_node(cid.of(block), block)


def head(body: bytes) -> bytes:
    return write_bytes(1, body)


def deltas(body: bytes) -> delta.Delta:
    return delta.decode(body, 0, len(body))


@pytest.mark.parametrize(
    ("decode", "data", "reason"),
    [
        (node, b"\x08\x01", "field 1 of a dag-pb node has wire type 0"),
        (node, LINK + b"\x15" + bytes(4), "field 2 of a dag-pb node has wire type 5"),
        (node, DATA + LINK + DATA, "a dag-pb node has two Data sections"),
        (node, LINK + DATA + LINK, "a dag-pb node has its Links in two pieces"),
        (node, SHORT + DATA + SHORT, "a dag-pb node has its Links in two pieces"),
        (node, DATA + write_bytes(3, b""), "a dag-pb node has an unknown field 3"),
        (node, write_bytes(2, HASH + b"\x20\x00"), "field 4 of a dag-pb link is unknown or has wire type 0"),
        (node, write_bytes(2, HASH + b"\x1a\x00"), "field 3 of a dag-pb link is unknown or has wire type 2"),
        (node, write_bytes(2, NAME + HASH), "the fields of a dag-pb link are repeated or out of order"),
        (node, write_bytes(2, HASH + HASH), "the fields of a dag-pb link are repeated or out of order"),
        (node, write_bytes(2, NAME + TSIZE), "a dag-pb link has no Hash"),
        (node, LINK * 4097, "a dag-pb node has more than 4096 links"),
        (node, SHORT * 4097, "a dag-pb node has more than 4096 links"),
        (node, SHORT + LINK * 4096, "a dag-pb node has more than 4096 links"),
        (
            node,
            LINK + write_bytes(2, write_bytes(1, RAW) + NAME + TSIZE),
            f"{RAW[:34].hex()} is not the CID of a dag-pb block under sha2-256",
        ),
        (node, write_bytes(1, write_bytes(1, write_bytes(1, b"/\xff"))), NOT_UTF8),
        (node, write_bytes(1, b"\x0a\x05ab"), "field 1 says 5 bytes, only 2 follow"),
        (deltas, write_bytes(2, write_bytes(2, b"/\xff")), NOT_UTF8),
        (deltas, b"\x18", "the bytes end inside a varint"),
        (deltas, b"\x18" + b"\xff" * 10, "a varint is longer than ten bytes"),
        (deltas, b"\x18" + b"\xff" * 9 + b"\x02", "a varint exceeds 64 bits"),
        (deltas, b"\x00", "field number 0 is out of range"),
        (deltas, b"\x0f", "field 1 has wire type 7"),
        (deltas, b"\x0d\x00", "the bytes end inside field 1"),
        (decode_broadcast, head(b""), "nothing is not the CID of a dag-pb block under sha2-256"),
        (decode_broadcast, head(HASH[:1] + b"\x01?"), "3f is not the CID of a dag-pb block under sha2-256"),
        (decode_broadcast, b"\x10\x01", "1001 is not the CID of a dag-pb block under sha2-256"),
        (decode_broadcast, head(HASH) + b"\x10\x01" * 39_999, "a broadcast has more than 40000 fields"),
    ],
)
def test_the_reason_why_bytes_are_refused(decode: Callable[[bytes], object], data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=f"^{re.escape(reason)}$"):
        decode(data)


@pytest.mark.parametrize(
    ("decode", "target", "block", "reason"),
    [
        (decode_node, ONE, DATA, f"a block does not hash to its CID {cid.to_str(ONE)}"),
        (decode_node, ONE, bytes((2 << 20) + 1), "a block of 2097153 bytes exceeds the limit of 2097152"),
        (decode_node, ONE, bytes(2 << 20), f"a block does not hash to its CID {cid.to_str(ONE)}"),
        (decode_verified, ONE, bytes((2 << 20) + 1), "a block of 2097153 bytes exceeds the limit of 2097152"),
        (decode_verified, RAW, b"", f"{cid.to_str(RAW)} is not the CID of a dag-pb block"),
    ],
)
def test_the_reason_why_a_block_is_refused(
    decode: Callable[[bytes, bytes], object], target: bytes, block: bytes, reason: str
) -> None:
    with pytest.raises(DecodeError, match=f"^{re.escape(reason)}$"):
        decode(target, block)


@pytest.mark.parametrize(
    ("block", "links", "height"),
    [
        (b"", (), 0),
        (DATA, (), 3),
        (LINK, (ONE,), 0),
        (LINK + DATA, (ONE,), 3),
        (SHORT + LINK + DATA, (TWO, ONE), 3),
        (LINK + SHORT + LINK + DATA, (ONE, TWO), 3),
        (LINK + write_bytes(2, HASH + b"\x12\x02ab") + DATA, (ONE,), 3),
        (DATA + SHORT, (TWO,), 3),
        (write_bytes(1, b""), (), 0),
        (write_bytes(1, b"\x18\x03\x0a\x00\x18\x04"), (), 4),
        (write_bytes(1, b"\x18\x03\x1a\x01\x09"), (), 3),
        (write_bytes(1, b"\x18\x03\x10\x05\x20\x06"), (), 3),
        (write_bytes(1, b"\x18" + b"\xff" * 9 + b"\x01"), (), (1 << 64) - 1),
        (LINK * 4096 + DATA, (ONE,), 3),
        (SHORT * 4096 + DATA, (TWO,), 3),
    ],
)
def test_links_and_height(block: bytes, links: tuple[bytes, ...], height: int) -> None:
    assert nodes.outline(block) == (links, height)
    assert nodes.links_of(block) == links
    decoded = decode_node(cid.of(block), block)
    assert (decoded.cid, decoded.data, decoded.links) == (cid.of(block), block, links)
    assert decoded.delta.priority == height


@pytest.mark.parametrize("data", [b"\x18", b"\x00", b"\x0a\x05"])
def test_an_outline_refuses_damage_too(data: bytes) -> None:
    with pytest.raises(DecodeError):
        delta.priority_of(data, 0, len(data))
    with pytest.raises(DecodeError):
        nodes.outline(write_bytes(1, data))


def test_a_priority_is_read_inside_its_bounds() -> None:
    assert delta.priority_of(b"\x18\x01\x18\x02\x18\x03", 2, 4) == 2
    assert delta.priority_of(b"\x18\x01", 2, 2) == 0


def element(key: bytes = b"", element_id: bytes = b"", value: bytes = b"") -> bytes:
    return write_bytes(1, key) + write_bytes(2, element_id) + write_bytes(3, value)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", delta.Delta((), (), 0)),
        (write_bytes(1, b""), delta.Delta((Span("/", 2, 0),), (), 0)),
        (write_bytes(1, write_bytes(1, b"a/")), delta.Delta((Span("/a", 2, 0),), (), 0)),
        (write_bytes(1, element(b"/a", b"", b"xyz")), delta.Delta((Span("/a", 10, 3),), (), 0)),
        (write_bytes(1, element(b"/a", b"", b"xyz") + write_bytes(1, b"/b")), delta.Delta((Span("/b", 10, 3),), (), 0)),
        (write_bytes(1, b"\x08\x07" + element(b"/a", b"", b"x")), delta.Delta((Span("/a", 12, 1),), (), 0)),
        (write_bytes(1, element(b"/a", b"", b"x") + b"\x18\x01"), delta.Delta((Span("/a", 10, 1),), (), 0)),
        (write_bytes(2, element(b"/a", ID_ONE.encode())), delta.Delta((), (("/a", ONE),), 0)),
        (
            write_bytes(2, write_bytes(2, ID_TWO.encode()) + element(b"/a", ID_ONE.encode())) + b"\x18\x09",
            delta.Delta((), (("/a", ONE),), 9),
        ),
        (b"\x08\x01\x10\x01\x18\x02", delta.Delta((), (), 2, typed=True)),
        (write_bytes(4, b"name") + b"\x18\x02", delta.Delta((), (), 2)),
    ],
)
def test_a_delta_is_decoded(data: bytes, expected: delta.Delta) -> None:
    assert deltas(data) == expected
    behind = b"\x18\x63" + data + b"\x18\x63"
    moved = tuple(span._replace(start=span.start + 2) for span in expected.elements)
    assert delta.decode(behind, 2, 2 + len(data)) == expected._replace(elements=moved)


def test_of_repeated_keys_the_greatest_value_stays() -> None:
    values = [b"b", b"c", b"a", b"c", b"d", b"bb"]
    data = b"".join(write_bytes(1, element(b"/k", b"", value)) for value in values)
    (span,) = deltas(data).elements
    assert data[span.start : span.start + span.length] == b"d"
    same = 2 * write_bytes(1, element(b"/k", b"", b"v"))
    assert deltas(same).elements == (Span("/k", 10, 1),), "the first of equal ones"


def test_a_delta_is_encoded() -> None:
    tombstones = [("/z", TWO), ("/b", ONE), ("/a", ONE)]
    puts = [("/k", b"v"), ("/ä", b"")]
    data, made = delta.compose(puts, tombstones, 300)
    named = sorted([(ID_TWO, "/z", TWO), (ID_ONE, "/b", ONE), (ID_ONE, "/a", ONE)])
    expected = b"\x0a\x07\x0a\x02/k\x1a\x01v" + b"\x0a\x07\x0a\x03/\xc3\xa4\x1a\x00"
    for element_id, key, _ in named:
        expected += write_bytes(2, write_bytes(1, key.encode()) + write_bytes(2, element_id.encode()))
    assert data == expected + b"\x18\xac\x02" == delta.encode(puts, tombstones, 300)
    assert made.tombstones == tuple((key, block) for _, key, block in named)
    assert made.elements == (Span("/k", 8, 1), Span("/ä", 18, 0))
    assert made.priority == 300
    assert deltas(data) == made


def test_a_node_is_encoded() -> None:
    canonical = b"".join(write_bytes(2, write_bytes(1, each) + NAME + TSIZE) for each in (ONE, TWO))
    assert nodes.encode_node([TWO, ONE], b"\x18\x03") == canonical + DATA
    made = nodes.compose([TWO, ONE], [("/k", b"v")], [("/x", ONE)], 3)
    assert made.links == (ONE, TWO)
    assert made.cid == cid.of(made.data)
    assert made.data.startswith(canonical + b"\x0a")
    assert made == decode_node(made.cid, made.data)


def test_a_broadcast_is_encoded() -> None:
    block = bytes(broadcast.MAX_INLINE)
    assert encode_broadcast([]) == b""
    assert encode_broadcast([Head(ONE), Head(TWO, b"")]) == head(HASH) + head(write_bytes(1, TWO) + b"\x7a\x00")
    assert encode_broadcast([Head(ONE, block)]) == head(HASH + write_bytes(15, block))
    assert encode_broadcast([Head(ONE, block + b"x")]) == head(HASH)
    assert broadcast.MAX_INLINE == 16384


def test_exactly_as_many_heads_and_fields_as_are_allowed() -> None:
    some = [cid.of(b"%d" % n) for n in range(broadcast.MAX_HEADS + 1)]
    found = decode_broadcast(b"".join(head(write_bytes(1, each)) for each in some))
    assert found == tuple(map(Head, some[:4096]))
    assert decode_broadcast(head(HASH + b"\x20\x07" * 39_998)) == (Head(ONE),)
    with pytest.raises(DecodeError, match="^a broadcast has more than 40000 fields$"):
        decode_broadcast(head(HASH + b"\x20\x07" * 39_999))
