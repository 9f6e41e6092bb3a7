"""The reader of DAG-CBOR, with cbor2 as the judge."""

from __future__ import annotations

import math
import os
import sys

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import DecodeError
from betar_tui.ipld import car, cid
from betar_tui.ipld.dagcbor import MAX_DEPTH, MAX_ITEMS, Link, load_map
from betar_tui.ipld.protobuf import read_varint
from betar_tui.sync.dagsync.messages import MAX_HAVES, MAX_REQUEST, MAX_WANTS, Request, decode_request, encode_request

LINKS = st.binary(min_size=30, max_size=40).map(lambda raw: cbor2.CBORTag(42, b"\x00" + raw))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary() | st.text() | LINKS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def ours(value: object) -> object:
    """Our form of a value of cbor2."""
    if isinstance(value, cbor2.CBORTag):
        return Link(value.value)
    if isinstance(value, dict):
        return {key: ours(each) for key, each in value.items()}
    return [ours(each) for each in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_maps_of_cbor2_come_back(fields: dict[str, object]) -> None:
    raw = cbor2.dumps(fields, canonical=True)
    assert load_map(raw) == ours(fields)
    for end in range(len(raw)):
        with pytest.raises(DecodeError):
            load_map(raw[:end])
    with pytest.raises(DecodeError):
        load_map(raw + b"\x00")


@given(st.binary(max_size=100) | st.binary(max_size=100).map(lambda raw: b"\xa1\x61v" + raw))
def test_we_read_the_same_as_cbor2(raw: bytes) -> None:
    try:
        fields = load_map(raw)
    except DecodeError as error:
        assert len(str(error)) < 150
        return
    assert fields == ours(cbor2.loads(raw))


def test_numbers_may_be_longer_than_they_need_to_be() -> None:
    assert load_map(b"\xb8\x01\x78\x01v\x1b" + bytes(7) + b"\x05") == {"v": 5}
    assert load_map(b"\xa1\x61v\x9b" + bytes(7) + b"\x01\xd9\x00\x2a\x41\x00") == {"v": [Link(b"\x00")]}


def framed(value: bytes) -> bytes:
    return b"\xa5\x65wants\x80\x65haves\x80\x69max_bytes\x01\x6amax_blocks\x01\x61v" + value


@pytest.mark.parametrize(
    "value",
    [
        b"\xc2\x58\x40" + b"\x01" * 64,  # a number of 512 bits
        cbor2.dumps(cbor2.CBORTag(4, [0, 1 << 4096])),  # a decimal
        cbor2.dumps(cbor2.CBORTag(30, [1 << 4096, 3])),  # a fraction
        cbor2.dumps(cbor2.CBORTag(35, "(a+)+")),  # a regular expression
        cbor2.dumps(cbor2.CBORTag(42, "text")),
        cbor2.dumps(1.0),
        cbor2.dumps(math.nan),
        b"\xf7",  # undefined
        b"\xf8\x14",
        b"\x9f\xff",  # an array without a length
        b"\x7f\x61a\xff",
        b"\x62\xff\xff",  # no UTF-8
        b"\xa1\x01\x01",  # a key that is not text
        b"\xa2\x61a\x01\x61a\x02",  # a key twice
        b"\x9b" + b"\xff" * 8,  # an array without end
        b"\x5b" + b"\xff" * 8,
        b"\x81" * (MAX_DEPTH + 1) + b"\x01",
        b"\x81" * 100_000 + b"\x01",
        b"\xd8\x2a" * 100_000 + b"\x01",
        b"\x1c",
        b"\x58\x20" + bytes(32),
        cbor2.dumps("x" * 1000),
        cbor2.dumps(True),
        cbor2.dumps(2),
    ],
)
def test_nothing_else_is_a_version_and_the_error_is_short(value: bytes) -> None:
    assert decode_request(framed(b"\x01")) == Request((), (), 1, 1)
    with pytest.raises(DecodeError) as caught:
        decode_request(framed(value))
    assert len(str(caught.value)) < 150


def test_depth_and_items_are_read_up_to_their_limits() -> None:
    nested = b"\xa1\x61v" + b"\x81" * (MAX_DEPTH - 1) + b"\x01"
    assert load_map(nested)["v"]
    flat = {"v": [0] * (MAX_ITEMS - 3)}
    assert load_map(cbor2.dumps(flat)) == flat
    with pytest.raises(DecodeError):
        load_map(cbor2.dumps({"v": [0] * (MAX_ITEMS - 2)}))


def calls(raw: bytes) -> int:
    """How many calls it takes to read or refuse some bytes."""
    count = 0

    def tally(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(tally)
    try:
        load_map(raw)
    except DecodeError:
        pass
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "raw",
    [
        b"\xa1\x61v\x9a\x00\x10\x00\x00" + bytes(1 << 20),
        b"\xba\x00\x08\x00\x00" + b"".join(b"\x63" + b"%03x" % n + b"\xf6" for n in range(4096)),
        b"\xa1\x61v\x9a\x00\x08\x00\x00" + b"\x81\x80" * (1 << 19),
        b"\xa1\x61v" + cbor2.dumps(cbor2.CBORTag(4, [0, int.from_bytes(os.urandom(1 << 20))])),
        b"\xa1\x61v\x9a\x00\x08\x00\x00" + b"\x60" * (1 << 19),
    ],
    ids=["numbers", "keys", "arrays", "decimal", "texts"],
)
def test_a_mebibyte_of_anything_takes_a_limited_number_of_steps(raw: bytes) -> None:
    assert calls(raw) < 25 * MAX_ITEMS


def test_the_largest_request_is_read() -> None:
    names = [cid.of(b"%d" % n) for n in range(MAX_WANTS + MAX_HAVES)]
    request = Request(tuple(names[:MAX_WANTS]), tuple(names[MAX_WANTS:]))
    raw = encode_request(request)
    size, start = read_varint(raw, 0, len(raw))
    assert size <= MAX_REQUEST
    assert decode_request(raw[start:]) == request


def test_the_longest_head_of_an_archive_is_read() -> None:
    """As Go writes it, and as a tool may that sorts no keys; a CIDv0 is a root, too."""
    names = [cid.of(b"%d" % n) for n in range(25_000)]
    for order in (("roots", "version"), ("version", "roots")):
        head = {"roots": [car.link(name) for name in names] + [car.link(names[0][2:])], "version": 1}
        body = cbor2.dumps({key: head[key] for key in order})
        assert len(body) < car.MAX_HEADER
        reader = car.CarReader()
        assert not list(reader.feed(car.write_varint(len(body)) + body))
        assert reader.roots == (*names, names[0])


def test_the_head_that_other_tools_write_is_read() -> None:
    # As go-car and @ipld/car write it.
    root = cid.from_str("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi")
    raw = bytes.fromhex("3aa265726f6f747381d82a582500") + root + bytes.fromhex("6776657273696f6e01")
    reader = car.CarReader()
    assert not list(reader.feed(raw))
    assert reader.roots == (root,)
