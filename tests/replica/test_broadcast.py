"""Broadcasts: round trips, the rules of Go, and never any error but DecodeError."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.replica import Head, broadcast, decode_broadcast, encode_broadcast
from tests.simulation.oracle import CRDTBroadcast

NAME = cid.of(b"a")
CIDS = st.binary(min_size=32, max_size=32).map(lambda digest: cid.DAG_PB + digest)
HEADS = st.builds(Head, CIDS, st.none() | st.binary(max_size=60))


@given(st.lists(HEADS, max_size=6))
def test_broadcasts_come_back_and_are_what_google_reads(heads: list[Head]) -> None:
    payload = encode_broadcast(heads)
    assert decode_broadcast(payload) == tuple(heads)
    message = CRDTBroadcast.FromString(payload)
    assert [each.cid for each in message.heads] == [head.cid for head in heads]
    assert [each.block for each in message.heads] == [head.block or b"" for head in heads]


def test_a_block_travels_along_when_it_is_small_enough() -> None:
    fits, large = bytes(broadcast.MAX_INLINE), bytes(broadcast.MAX_INLINE + 1)
    assert decode_broadcast(encode_broadcast([Head(NAME, fits)])) == (Head(NAME, fits),)
    assert decode_broadcast(encode_broadcast([Head(NAME, large)])) == (Head(NAME),)
    forced = write_bytes(1, write_bytes(1, NAME) + write_bytes(15, large))
    assert decode_broadcast(forced) == (Head(NAME),)


@pytest.mark.parametrize("inside", [False, True])
def test_a_broadcast_with_too_many_fields_is_refused(inside: bool) -> None:
    """Half a megabyte of them would cost every peer that it is forwarded to a fifth of a second."""
    few, many = (n * b"\x20\x07" for n in (broadcast.MAX_FIELDS - 2, broadcast.MAX_FIELDS))
    name = write_bytes(1, NAME)
    if inside:
        assert decode_broadcast(head(name, few)) == (Head(NAME),)
    with pytest.raises(DecodeError, match="more than"):
        decode_broadcast(head(name, many) if inside else head(name) + many)
    heads = 20_000 * head(name)
    assert len(decode_broadcast(heads)) == broadcast.MAX_HEADS


def test_the_fields_of_groups_count_as_well() -> None:
    """Half a megabyte of nested groups cost every peer half a second."""
    with pytest.raises(DecodeError, match="more than"):
        decode_broadcast(head(write_bytes(1, NAME), (b"\x0b" * 10_000 + b"\x0c" * 10_000) * 26))
    assert decode_broadcast(head(write_bytes(1, NAME), b"\x0b" * 9_000 + b"\x0c" * 9_000)) == (Head(NAME),)


def head(*parts: bytes) -> bytes:
    return write_bytes(1, b"".join(parts))


@pytest.mark.parametrize(
    ("payload", "heads"),
    [
        pytest.param(b"", (), id="nothing"),
        pytest.param(head(write_bytes(1, NAME)), (Head(NAME),), id="one"),
        pytest.param(head(write_bytes(1, NAME[2:])), (Head(NAME),), id="CIDv0"),
        pytest.param(NAME[2:], (Head(NAME),), id="legacy CIDv0"),
        pytest.param(head(write_bytes(1, NAME), write_bytes(2, b"dag")), (Head(NAME),), id="dag_name"),
        pytest.param(head(write_bytes(1, NAME), write_bytes(2, b"\xff")), (Head(NAME),), id="dag_name not UTF-8"),
        pytest.param(head(b"\x20\x07", write_bytes(1, NAME), b"\x13\x14"), (Head(NAME),), id="unknown fields inside"),
        pytest.param(head(write_bytes(1, b"?"), write_bytes(1, NAME)), (Head(NAME),), id="the last cid counts"),
        pytest.param(head(write_bytes(1, NAME), b"\x78\x05"), (Head(NAME),), id="block of another type"),
    ],
)
def test_accepted(payload: bytes, heads: tuple[Head, ...]) -> None:
    assert decode_broadcast(payload) == heads


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(NAME, id="legacy CIDv1, which Go refuses too"),
        pytest.param(NAME[2:-1], id="legacy cut short"),
        pytest.param(head(write_bytes(1, NAME)) + write_bytes(2, b"x"), id="unknown top-level field"),
        pytest.param(head(write_bytes(1, NAME)) + b"\x10\x01", id="unknown top-level number"),
        pytest.param(b"\x08\x01", id="heads as a number"),
        pytest.param(head(write_bytes(1, NAME)) + head(write_bytes(1, NAME[:-1])), id="one bad CID of two"),
        pytest.param(head(), id="no CID"),
        pytest.param(head(b"\x08\x01"), id="CID as a number"),
        pytest.param(head(write_bytes(1, NAME + b"x")), id="bytes behind the CID"),
        pytest.param(head(write_bytes(1, cid.of_raw(b""))), id="a raw block"),
        pytest.param(head(write_bytes(1, NAME))[:-1], id="cut short"),
        pytest.param(b"\xff" * 11, id="bad varint"),
    ],
)
def test_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_broadcast(payload)


@given(st.binary(max_size=80))
def test_arbitrary_bytes_raise_decode_errors_only(payload: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode_broadcast(payload)


@given(st.lists(HEADS, min_size=1, max_size=3), st.data())
def test_mutated_bytes_raise_decode_errors_only(heads: list[Head], data: st.DataObject) -> None:
    raw = bytearray(encode_broadcast(heads))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        decoded = decode_broadcast(bytes(raw))
    except DecodeError:
        return
    assert all(len(each.cid) == 36 for each in decoded)


def test_heads_beyond_the_limit_are_skipped() -> None:
    payload = head(write_bytes(1, NAME)) * (broadcast.MAX_HEADS + 1)
    assert len(decode_broadcast(payload)) == broadcast.MAX_HEADS
