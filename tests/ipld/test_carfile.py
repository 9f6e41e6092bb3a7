"""CAR files in any pieces, of any version, whole and not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.errors import DecodeError
from betar_tui.ipld import car, carfile, cid
from betar_tui.ipld.car import Section
from betar_tui.ipld.carfile import CarFileReader, Skipped, UnfinishedError, compression
from betar_tui.ipld.protobuf import write_varint

CARS = Path(__file__).parent.parent / "peer" / "cars"
CBOR = b"\x01\x71\x12\x20" + bytes(32)
SHA2_512 = b"\x01\x70\x13\x40" + bytes(64)
IDENTITY = b"\x01\x55\x00\x03abc"


def version_1(content: Iterable[bytes], roots: Iterable[bytes] = ()) -> bytes:
    return car.encode_header(list(roots)) + b"".join(content)


def version_2(inner: bytes, padding: int = 0, after: bytes = b"", size: int | None = None) -> bytes:
    start = 51 + padding
    numbers = (start, len(inner) if size is None else size, start + len(inner) if after else 0)
    head = bytes(16) + b"".join(each.to_bytes(8, "little") for each in numbers)
    return carfile.PRAGMA + head + bytes(padding) + inner + after


def ours(block: bytes) -> bytes:
    return car.encode_section(cid.of(block), block)


def other(name: bytes, block: bytes) -> bytes:
    return write_varint(len(name) + len(block)) + name + block


def read(raw: bytes, *cuts: int) -> tuple[CarFileReader, list[Section | Skipped]]:
    reader, found, pos, turn = CarFileReader(), list[Section | Skipped](), 0, 0
    while pos < len(raw):
        step = cuts[turn % len(cuts)] if cuts else len(raw)
        found += reader.feed(raw[pos : pos + step])
        pos, turn = pos + step, turn + 1
    return reader, found


@given(
    st.lists(st.one_of(st.binary(max_size=300), st.sampled_from((CBOR, SHA2_512, IDENTITY))), max_size=8),
    st.lists(st.integers(1, 50), min_size=1, max_size=20),
    st.sampled_from((None, 0, 7)),
)
def test_a_file_reads_the_same_in_any_pieces(blocks: list[bytes], cuts: list[int], padding: int | None) -> None:
    parts = [other(each, b"x" * 100) if each in (CBOR, SHA2_512, IDENTITY) else ours(each) for each in blocks]
    inner = version_1(parts, [cid.of(b"root")])
    raw = inner if padding is None else version_2(inner, padding, b"an index \x01\x02" * 9)
    reader, found = read(raw, *cuts)
    assert reader.is_whole()
    assert reader.roots == (cid.of(b"root"),)
    reasons = {CBOR: "dag-cbor", SHA2_512: "dag-pb under sha2-512", IDENTITY: "raw under identity"}
    assert found == [Skipped(reasons[each]) if each in reasons else Section(cid.of(each), each) for each in blocks]


@pytest.mark.parametrize("as_version_2", [False, True])
def test_a_file_that_is_cut_is_not_whole(as_version_2: bool) -> None:
    parts = [ours(b"one"), other(CBOR, b"two" * 9), ours(b"three")]
    inner = version_1(parts)
    raw = version_2(inner, 3, b"index") if as_version_2 else inner
    ends = {len(inner) - sum(map(len, parts[i:])) for i in range(4)}
    for cut in range(len(raw)):
        whole = cut >= 54 + len(inner) if as_version_2 else cut in ends
        assert read(raw[:cut])[0].is_whole() is whole, cut
    assert not read(version_2(inner, size=len(inner) + 1))[0].is_whole()
    assert not read(version_2(inner, size=len(inner) - 1))[0].is_whole()


def test_a_file_without_an_index_is_whole() -> None:
    reader, found = read(version_2(version_1([ours(b"one")])))
    assert (reader.is_whole(), found) == (True, [Section(cid.of(b"one"), b"one")])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param(b"\x01\x55\x1e\x20" + bytes(32), "raw under blake3", id="a raw block"),
        pytest.param(cid.of(b""), carfile.TOO_LARGE, id="a dag-pb block"),
    ],
)
def test_a_block_of_any_size_is_passed_over_without_being_kept(name: bytes, reason: str) -> None:
    size = 50 << 20
    reader = CarFileReader()
    found = list(reader.feed(version_1([write_varint(len(name) + size) + name], [name])))
    for _ in range(50):
        assert not found
        found += reader.feed(bytes(1 << 20))
        assert len(reader._buffer) < 1000
    assert (found, reader.absent_roots) == ([Skipped(reason)], set())
    assert list(reader.feed(ours(b"after"))) == [Section(cid.of(b"after"), b"after")]


def test_a_codec_that_nobody_knows_makes_no_reason_of_its_own() -> None:
    names = [b"\x01" + write_varint(1 << 20 | n) + b"\x12\x20" + bytes(32) for n in range(99)]
    names += [b"\x01\x70" + write_varint(1 << 20 | n) + b"\x20" + bytes(32) for n in range(99)]
    _, found = read(version_1(other(each, b"x") for each in names))
    assert {each.reason for each in found if isinstance(each, Skipped)} == {
        "of an unknown codec",
        "dag-pb under an unknown hash",
    }
    assert len(found) == 198


def test_a_cid_v0_is_that_of_the_same_block() -> None:
    reader, found = read(version_1([other(cid.of(b"one")[2:], b"one")], [cid.of(b"one")]))
    assert found == [Section(cid.of(b"one"), b"one")]
    assert reader.absent_roots == set()


def test_roots_that_are_not_there() -> None:
    roots = [cid.of(b"one"), cid.of(b"two"), CBOR, SHA2_512, IDENTITY]
    reader, _ = read(version_1([ours(b"one"), other(CBOR, b"x")], roots))
    assert reader.roots == tuple(roots)
    assert reader.absent_roots == {cid.of(b"two"), SHA2_512}


@pytest.mark.parametrize("roots", [{"roots": []}, {"roots": None}, {}])
def test_roots_need_not_be_there(roots: dict[str, object]) -> None:
    body = cbor2.dumps({"version": 1, **roots})
    reader, found = read(write_varint(len(body)) + body + ours(b"one"))
    assert (reader.roots, reader.is_whole(), len(found)) == ((), True, 1)


def test_padding_is_passed_over_up_to_a_limit() -> None:
    reader, found = read(version_1([b"\0" * 9, ours(b"one"), b"\0" * 9]))
    assert (len(found), reader.is_whole()) == (1, True)
    with pytest.raises(DecodeError, match="padding"):
        read(version_1([bytes(carfile.MAX_PADDING + 1)]))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x05hello", id="something else"),
        pytest.param(b"\0" * 100, id="zeros"),
        pytest.param(b"\xff" * 100, id="ones"),
        pytest.param(b"\xff\xff\xff\x7f" + bytes(100), id="a header of 256 MB"),
        pytest.param(write_varint(11) + cbor2.dumps({"version": 3}) + bytes(9), id="version 3"),
        pytest.param(car.encode_header([]) + b"\x05" + cid.DAG_PB + b"x", id="a part too short for a CID"),
        pytest.param(car.encode_header([]) + b"\x00\x09notacid!!", id="no CID"),
        pytest.param(car.encode_header([]) + b"\xff" * 11, id="a length of more than 64 bits"),
        pytest.param(carfile.PRAGMA + bytes(16) + b"\x01" + bytes(23), id="data inside the header"),
    ],
)
def test_what_is_no_car_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        read(raw)


def test_a_file_that_was_not_finished_is_told_from_others() -> None:
    with pytest.raises(UnfinishedError):
        read((CARS / "go-v2-unfinished.car").read_bytes())


@given(st.data())
def test_any_damage_is_an_error_or_less(data: st.DataObject) -> None:
    raw = bytearray((CARS / data.draw(st.sampled_from(("js-mixed.car", "go-v2.car", "go-v1.car")))).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        _, found = read(bytes(raw), 500)
    except DecodeError:
        return
    for each in found:
        assert isinstance(each, Skipped) or len(each.cid) == 36


def test_compressed_files_are_told_by_their_beginning() -> None:
    assert compression(b"\x1f\x8b\x08\x00") == ("gzip", "gunzip -c")
    assert compression(car.encode_header([])) is None
    for path in CARS.glob("*.car"):
        assert compression(path.read_bytes()) is None


def test_other_programs_and_ours_write_the_same_blocks() -> None:
    def blocks(name: str) -> dict[bytes, bytes]:
        reader, found = read((CARS / name).read_bytes(), 777)
        assert reader.is_whole()
        return {each.cid: each.data for each in found if isinstance(each, Section)}

    market = blocks("market.car")
    assert len(market) == 6
    for name, data in market.items():
        assert hashlib.sha256(data).digest() == name[4:]
    for file in ("js-market.car", "js-no-roots.car", "go-v1.car", "go-v2.car", "go-v2-padded.car"):
        assert blocks(file) == market
    assert blocks("go-export.car").items() < market.items()
    assert blocks("go-export-folder.car") == blocks("js-folder.car")
    assert blocks("js-mixed.car") == {**market, **blocks("js-folder.car")}
