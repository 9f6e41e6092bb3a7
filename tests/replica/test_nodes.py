"""Nodes of the DAG: accepted and refused blocks, and never any error but DecodeError.

Which of these Go accepts is shown by tests/interop/test_go_with_go.py and test_decode_like_go.py.
"""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.replica import DagNode, decode_node, delta, keys, node
from betar_tui.replica.facts import Span
from tests.simulation.oracle import PBNode

NAMES = [cid.of(bytes([i])) for i in range(4)]
HASH, NAME, TSIZE = write_bytes(1, NAMES[0]), b"\x12\x00", b"\x18\x00"
LINK = write_bytes(2, HASH + NAME + TSIZE)
LINK2 = write_bytes(2, write_bytes(1, NAMES[1]) + NAME + TSIZE)
DELTA = delta.encode([("/k", b"v")], [], 3)
DATA = write_bytes(1, DELTA)


def decode(block: bytes) -> DagNode:
    return decode_node(cid.of(block), block)


def hash_link(raw: bytes) -> bytes:
    return write_bytes(2, write_bytes(1, raw))


@pytest.mark.parametrize(
    ("block", "links"),
    [
        pytest.param(LINK + LINK2 + DATA, NAMES[:2], id="canonical"),
        pytest.param(LINK2 + LINK + DATA, NAMES[1::-1], id="links out of order"),
        pytest.param(DATA + LINK + LINK2, NAMES[:2], id="data first"),
        pytest.param(LINK + LINK + DATA, NAMES[:1], id="a link twice"),
        pytest.param(write_bytes(2, HASH) + DATA, NAMES[:1], id="hash only"),
        pytest.param(write_bytes(2, HASH + TSIZE) + DATA, NAMES[:1], id="no name"),
        pytest.param(write_bytes(2, HASH + NAME) + DATA, NAMES[:1], id="no tsize"),
        pytest.param(write_bytes(2, HASH + b"\x12\x02\xff\xfe" + TSIZE) + DATA, NAMES[:1], id="name not UTF-8"),
        pytest.param(write_bytes(2, HASH + NAME + b"\x18" + b"\xff" * 9 + b"\x01") + DATA, NAMES[:1], id="huge tsize"),
        pytest.param(hash_link(NAMES[0][2:]) + DATA, NAMES[:1], id="CIDv0"),
        pytest.param(hash_link(NAMES[0][2:]) + LINK + DATA, NAMES[:1], id="CIDv0 and CIDv1 of one block"),
        pytest.param(hash_link(NAMES[0] + b"behind") + DATA, NAMES[:1], id="bytes behind the CID"),
        pytest.param(hash_link(NAMES[0][2:] + b"behind") + DATA, NAMES[:1], id="bytes behind the CIDv0"),
        pytest.param(b"\x92\x00" + LINK[1:] + DATA, NAMES[:1], id="a tag longer than it need be"),
        pytest.param(DATA + b"", [], id="no links"),
    ],
)
def test_accepted(block: bytes, links: list[bytes]) -> None:
    decoded = decode(block)
    assert list(decoded.links) == links
    assert (decoded.data, decoded.delta.priority) == (block, 3)
    assert [span.key for span in decoded.delta.elements] == ["/k"]
    assert node.links_of(block) == decoded.links


@pytest.mark.parametrize("block", [pytest.param(b"", id="nothing"), pytest.param(LINK, id="links only")])
def test_no_data_is_an_empty_delta(block: bytes) -> None:
    assert decode(block).delta == delta.Delta((), (), 0)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(LINK + DATA + LINK2, id="split links"),
        pytest.param(DATA + DATA, id="data twice"),
        pytest.param(DATA + LINK + DATA, id="data twice around links"),
        pytest.param(DATA + write_bytes(3, b""), id="unknown field"),
        pytest.param(DATA + b"\x18\x00", id="unknown number"),
        pytest.param(b"\x08\x01", id="data as a number"),
        pytest.param(b"\x10\x01", id="link as a number"),
        pytest.param(b"\x0d\x00\x00\x00\x00", id="data as fixed32"),
        pytest.param(b"\x0b\x0c", id="data as a group"),
        pytest.param(b"\x00\x00", id="field 0"),
        pytest.param(write_bytes(2, b""), id="empty link"),
        pytest.param(write_bytes(2, NAME + TSIZE), id="no hash"),
        pytest.param(write_bytes(2, NAME + HASH), id="name before hash"),
        pytest.param(write_bytes(2, HASH + TSIZE + NAME), id="tsize before name"),
        pytest.param(write_bytes(2, HASH + HASH), id="hash twice"),
        pytest.param(write_bytes(2, HASH + NAME + NAME), id="name twice"),
        pytest.param(write_bytes(2, HASH + TSIZE + TSIZE), id="tsize twice"),
        pytest.param(write_bytes(2, HASH + b"\x20\x00"), id="unknown field in a link"),
        pytest.param(write_bytes(2, b"\x08\x01"), id="hash as a number"),
        pytest.param(write_bytes(2, HASH + b"\x10\x01"), id="name as a number"),
        pytest.param(write_bytes(2, HASH + NAME + b"\x1a\x00"), id="tsize as bytes"),
        pytest.param(hash_link(b""), id="empty hash"),
        pytest.param(hash_link(NAMES[0][:-1]), id="hash cut short"),
        pytest.param(hash_link(NAMES[0][2:-1]), id="CIDv0 cut short"),
        pytest.param(hash_link(cid.of_raw(b"")), id="link to a raw block"),
        pytest.param(hash_link(b"\x01\x70\x13\x40" + bytes(64)), id="link by sha2-512"),
        pytest.param(LINK[:-1], id="link cut short"),
        pytest.param(LINK + DATA[:-1], id="data cut short"),
        pytest.param(LINK + b"\x0a", id="tag at the end"),
        pytest.param(write_bytes(1, b"\x18"), id="delta cut short"),
        pytest.param(write_bytes(1, b"\x00"), id="field 0 in the delta"),
        pytest.param(write_bytes(1, write_bytes(1, write_bytes(1, b"/\xff"))), id="key not UTF-8"),
        pytest.param(write_bytes(1, write_bytes(2, write_bytes(2, b"\xed\xa0\x80"))), id="id with a surrogate"),
    ],
)
def test_refused(block: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(block)
    assert str(caught.value)


def test_a_block_must_hash_to_its_cid() -> None:
    with pytest.raises(DecodeError, match="does not hash"):
        decode_node(cid.of(DATA), LINK + DATA)
    with pytest.raises(DecodeError, match="does not hash"):
        decode_node(cid.of_raw(DATA), DATA)
    with pytest.raises(DecodeError):
        decode_node(b"", DATA)


def test_the_number_of_links_is_limited() -> None:
    links = [write_bytes(2, write_bytes(1, cid.of(b"%d" % i))) for i in range(node.MAX_LINKS + 1)]
    assert len(decode(b"".join(links[:-1])).links) == node.MAX_LINKS
    with pytest.raises(DecodeError, match="4096 links"):
        decode(b"".join(links))
    with pytest.raises(DecodeError, match="4096 links"):
        decode(LINK * (node.MAX_LINKS + 1))


def test_the_size_is_limited() -> None:
    overhead = 8  # two tags, two lengths of three bytes
    block = write_bytes(1, write_bytes(4, bytes(node.MAX_BLOCK - overhead)))  # a field that deltas do not have
    assert len(block) == node.MAX_BLOCK
    assert decode(block).delta.elements == ()
    with pytest.raises(DecodeError, match="exceeds the limit"):
        decode(write_bytes(1, write_bytes(4, bytes(node.MAX_BLOCK - overhead + 1))))


def test_a_key_twice_in_a_delta_counts_with_its_greater_value() -> None:
    for values in ([b"a", b"b"], [b"b", b"a"], [b"", b"b", b"a"]):
        block = write_bytes(1, delta.encode([("/k", value) for value in values], [], 1))
        (span,) = decode(block).delta.elements
        assert block[span.start : span.start + span.length] == b"b"
    block = write_bytes(1, delta.encode([("/k", b"b"), ("k/", b"c"), ("/x/../k", b"a")], [], 1))
    (span,) = decode(block).delta.elements
    assert (span.key, block[span.start : span.start + span.length]) == ("/k", b"c")


def test_a_key_that_comes_again_and_again_costs_no_copy_of_its_value_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = 0

    def counting(buf: bytes, span: Span) -> bytes:
        nonlocal copied
        copied += span.length
        return buf[span.start : span.start + span.length]

    monkeypatch.setattr(delta, "_value", counting)
    long = write_bytes(1, write_bytes(1, b"/") + write_bytes(3, b"v" * 100_000))
    block = write_bytes(1, long + 1000 * b"\x0a\x00" + write_bytes(1, write_bytes(3, b"w")) + 1000 * b"\x0a\x00")
    (span,) = decode(block).delta.elements
    assert span.length == 1
    assert copied < 110_000


def test_tombstones_that_name_no_block_are_left_out_and_doubles_are_one() -> None:
    def tombstone(name: str) -> bytes:
        return write_bytes(2, write_bytes(1, b"/k") + write_bytes(2, name.encode()))

    good = cid.element_id(NAMES[0])
    raw = b"".join(map(tombstone, ["", "/", "/x", good.lower(), good[:-1], good, good, good[1:]]))
    assert decode(write_bytes(1, raw)).delta.tombstones == (("/k", NAMES[0]),)


@given(
    st.lists(st.sampled_from(NAMES), unique=True),
    st.dictionaries(st.sampled_from(["/a", "/b"]), st.binary(min_size=1, max_size=99)),
    st.lists(st.tuples(st.just("/c"), st.sampled_from(NAMES)), unique=True),
    st.integers(1, (1 << 64) - 1),
)
def test_our_nodes_come_back(links: list, puts: dict[str, bytes], tombstones: list, priority: int) -> None:
    block = node.encode_node(links, delta.encode(puts.items(), tombstones, priority))
    decoded = decode(block)
    assert decoded.links == tuple(sorted(links))
    assert {s.key: block[s.start : s.start + s.length] for s in decoded.delta.elements} == puts
    assert set(decoded.delta.tombstones) == set(tombstones)
    assert decoded.delta.priority == priority
    message = PBNode.FromString(block)
    assert [each.Hash for each in message.Links] == sorted(links)
    assert node.encode_node(reversed(links), message.Data) == block


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_decode_errors_only(block: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode(block)


SEEDS = [LINK + LINK2 + DATA, DATA + LINK, write_bytes(1, delta.encode([("/k", b"v")], [("/k", NAMES[0])], 1 << 63))]


@given(st.sampled_from(SEEDS), st.data())
def test_mutated_bytes_raise_decode_errors_only(block: bytes, data: st.DataObject) -> None:
    raw = bytearray(block)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        decoded = decode(bytes(raw))
    except DecodeError:
        return
    for span in decoded.delta.elements:
        assert 0 <= span.start <= span.start + span.length <= len(raw)
    assert all(len(link) == 36 and link.startswith(cid.DAG_PB) for link in decoded.links)
    assert 0 <= decoded.delta.priority < 1 << 64


def test_a_hostile_block_is_decoded_in_time() -> None:
    """Two megabytes of the smallest elements cost seconds at most, not minutes."""
    block = write_bytes(1, b"\x0a\x00" * ((1 << 20) - 4))
    start = time.process_time()
    assert len(decode(block).delta.elements) == 1
    assert time.process_time() - start < 20


KEYS = st.text(max_size=40).map(keys.clean)
BLOCKS = st.sampled_from(NAMES)
VALUES = st.binary(min_size=1, max_size=60) | st.integers(100, 20_000).map(lambda size: b"v" * size)


@given(
    st.lists(BLOCKS, unique=True),
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.lists(st.tuples(KEYS, BLOCKS), max_size=6, unique=True),
    st.integers(0, delta.MAX_PRIORITY),
)
def test_ours_are_what_a_reader_finds(
    links: list[bytes], puts: dict[str, bytes], tombstones: list[tuple[str, bytes]], height: int
) -> None:
    made = node.compose(links, list(puts.items()), tombstones, height)
    assert made == decode(made.data)
    assert made.delta.priority == height and set(made.links) == set(links)
    assert {span.key: made.data[span.start : span.start + span.length] for span in made.delta.elements} == puts
    assert set(made.delta.tombstones) == set(tombstones)
