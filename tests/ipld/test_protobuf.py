"""The protobuf wire format, against google.protobuf."""

from __future__ import annotations

import re

import pytest
from google.protobuf.message import DecodeError as GoogleError
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import DecodeError
from betar_tui.ipld.protobuf import fields, read_varint, write_bytes, write_varint
from betar_tui.replica import delta
from tests.simulation.oracle import Delta

U64 = st.integers(0, (1 << 64) - 1) | st.sampled_from([0, 127, 128, (1 << 32) - 1, 1 << 63, (1 << 64) - 1])


@given(U64, st.binary(max_size=3))
def test_varints_come_back(value: int, behind: bytes) -> None:
    encoded = write_varint(value)
    assert read_varint(encoded + behind, 0, len(encoded) + len(behind)) == (value, len(encoded))
    assert Delta.FromString(b"\x18" + encoded).priority == value
    for end in range(len(encoded)):
        with pytest.raises(DecodeError):
            read_varint(encoded, 0, end)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("00", 0),
        ("8000", 0),
        ("80808080808080808000", 0),
        ("ff00", 127),
        ("ffffffffffffffffff01", (1 << 64) - 1),
        ("ffffffffffffffffff02", None),
        ("ffffffffffffffffff7f", None),
        ("8080808080808080808000", None),
        ("8080808080808080808080", None),
        ("", None),
        ("80", None),
    ],
)
def test_varints_as_protowire_reads_them(raw: str, value: int | None) -> None:
    buf = bytes.fromhex(raw)
    if value is None:
        with pytest.raises(DecodeError):
            read_varint(buf, 0, len(buf))
    else:
        assert read_varint(buf, 0, len(buf)) == (value, len(buf))


def test_an_end_is_an_end() -> None:
    """Bytes after a message in the same buffer are never read."""
    buf = b"\x18\x80\x01"
    with pytest.raises(DecodeError):
        read_varint(buf, 1, 2)
    with pytest.raises(DecodeError):
        list(fields(b"\x0a\x02ab", 0, 3))
    assert list(fields(b"\x0a\x01ab", 0, 3)) == [(1, 2, 2, 3)]


ELEMENT = st.fixed_dictionaries(
    {"key": st.text(max_size=12), "id": st.text(max_size=6), "value": st.binary(max_size=200)}
)


@given(st.lists(ELEMENT, max_size=4), st.lists(ELEMENT, max_size=3), U64)
def test_deltas_of_google_are_read(elements: list[dict], tombstones: list[dict], priority: int) -> None:
    message = Delta(elements=elements, tombstones=tombstones, priority=priority)
    raw = message.SerializeToString()
    decoded = delta.decode(b"--" + raw + b"--", 2, 2 + len(raw))
    assert decoded.priority == priority
    assert {span.key for span in decoded.elements} == {delta.keys.clean(each["key"]) for each in elements}
    values = {each["value"] for each in elements}
    assert all((b"--" + raw)[span.start : span.start + span.length] in values for span in decoded.elements)
    assert decoded.tombstones == ()  # none of these ids can be a block's


KEYS = st.from_regex(r"(/[a-zé]{1,5}){1,3}", fullmatch=True)
CIDS = st.binary(min_size=32, max_size=32).map(lambda digest: b"\x01\x70\x12\x20" + digest)


@given(
    st.dictionaries(KEYS, st.binary(min_size=1, max_size=300), max_size=5),
    st.lists(st.tuples(KEYS, CIDS), unique=True, max_size=5),
    U64,
)
def test_our_deltas_come_back_and_are_what_google_reads(
    puts: dict[str, bytes], tombstones: list[tuple[str, bytes]], priority: int
) -> None:
    raw = delta.encode(puts.items(), tombstones, priority)
    decoded = delta.decode(raw, 0, len(raw))
    assert {span.key: raw[span.start : span.start + span.length] for span in decoded.elements} == puts
    assert set(decoded.tombstones) == set(tombstones)
    assert decoded.priority == priority
    message = Delta.FromString(raw)
    assert {each.key: each.value for each in message.elements} == puts
    assert not any(each.id for each in message.elements)
    ids = [each.id for each in message.tombstones]
    assert ids == sorted(ids)
    assert all(len(each) == 56 and each.startswith("/CIQ") for each in ids)
    if priority:  # we write a 0, Google leaves it out; ours is never 0
        assert message.SerializeToString(deterministic=True) == raw


def google_reads(raw: bytes) -> bool:
    try:
        Delta.FromString(raw)
    except GoogleError:
        return False
    return True


def we_read(raw: bytes) -> bool:
    try:
        delta.decode(raw, 0, len(raw))
    except DecodeError:
        return False
    return True


# Here google.protobuf differs from Go: it lets the tenth byte of a varint overflow, and refuses a tag beyond the fifth.
# We do as Go does, see test_varints_as_protowire_reads_them and tests/interop/test_decode_like_go.py.
LONG_VARINT = re.compile(rb"[\x80-\xff]{4}")

PIECES = st.sampled_from(
    [
        b"\x0a",
        b"\x12",
        b"\x18",
        b"\x1a",
        b"\x22",
        b"\x00",
        b"\x01",
        b"\x02",
        b"\x7f",
        b"\x80",
        b"\xff",
        b"a",
        b"/k",
        b"\x09",
    ]
    + [
        b"\x0b",
        b"\x0c",
        b"\x13",
        b"\x14",
        b"\x23",
        b"\x24",
        b"\x0d",
        b"\x09",
        b"\x0a\x04\x0a\x02/k",
        b"\x0a\x03\x1a\x01v",
    ]
)


@given(st.lists(PIECES, max_size=14).map(b"".join) | st.binary(max_size=40))
def test_any_bytes_are_judged_as_google_judges_them(raw: bytes) -> None:
    assert we_read(raw) == google_reads(raw) or LONG_VARINT.search(raw)


@given(st.lists(ELEMENT, min_size=1, max_size=3), U64, st.data())
def test_mutated_deltas_are_judged_as_google_does(elements: list[dict], priority: int, data: st.DataObject) -> None:
    raw = bytearray(Delta(elements=elements, priority=priority).SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    for each in (bytes(raw), cut):
        if LONG_VARINT.search(each):
            we_read(each)
            continue
        assert we_read(each) == google_reads(each)
        if we_read(each):
            assert delta.decode(each, 0, len(each)).priority == Delta.FromString(each).priority


@pytest.mark.parametrize(
    ("raw", "accepted"),
    [
        ("0b0c", True),
        ("0b130a01610d00000000140c", True),
        ("0b", False),
        ("0b14", False),
        ("0c", False),
        ("0b0e", False),
        ("0f", False),
        ("0b18800c", False),
        ("0b0a05610c", False),
        ("0b0900000000000000000c", True),
        ("0d000000", False),
        ("0d00000000", True),
        ("f8ffffff0f00", True),
        ("808080801000", False),
        ("0bf8ffffff3f000c", True),
        ("83018401", True),
        ("830183018401840183018401", True),
        ("830184", False),
        ("0b80808080800100000c", False),
    ],
)
def test_groups_and_fixed_fields_are_skipped(raw: str, accepted: bool) -> None:
    """A field number of up to 2^31-1 passes in a group and 2^29-1 outside, as in Go's protowire."""
    assert we_read(bytes.fromhex(raw)) is accepted


@pytest.mark.parametrize("depth", [1, 33, 1000, 10_001])
def test_groups_nest_as_deep_as_in_go(depth: int) -> None:
    assert we_read(b"\x23" * depth + b"\x24" * depth)
    assert not we_read(b"\x23" * depth + b"\x24" * (depth - 1))


def test_groups_deeper_than_that_are_refused() -> None:
    depth = 10_002
    assert not we_read(b"\x23" * depth + b"\x24" * depth)
    assert not we_read(b"\x23" * (1 << 20))


def test_the_last_of_a_repeated_scalar_counts_and_other_wire_types_do_not() -> None:
    element = b"\x0a\x01a\x0a\x02/b\x1a\x01x\x1a\x01y\x18\x09"
    raw = b"\x18\x05\x1a\x01x\x18\x07\x1d\x00\x00\x00\x00" + write_bytes(1, element)
    decoded = delta.decode(raw, 0, len(raw))
    assert decoded.priority == 7
    (span,) = decoded.elements
    assert (span.key, raw[span.start : span.start + span.length]) == ("/b", b"y")
