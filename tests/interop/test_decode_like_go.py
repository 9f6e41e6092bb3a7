"""Our decoder accepts what Go's accepts, and reads the same from it.

Thousands of broken nodes a run: put together from wrong pieces, or mutated from sound ones. What differs by decision is
named in `DECIDED`; everything else that differs is a defect, since a node that one side only can read splits the
network. The seed of a run is printed, BETAR_TUI_DECODE_SEED repeats it.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import trio
from google.protobuf.message import DecodeError as GoogleError

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid
from betar_tui.ipld.protobuf import write_bytes, write_varint
from betar_tui.replica import DagNode, decode_node, delta, keys, node
from tests.interop.driver import GoNode, GoPeer, GoPeerError, open_gopeer
from tests.simulation.oracle import Delta, PBNode

SEED = int(os.environ.get("BETAR_TUI_DECODE_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
CASES = int(os.environ.get("BETAR_TUI_DECODE_CASES", "4000"))
DECIDED = ("is not the CID of a dag-pb block under sha2-256", "more than 4096 links", "exceeds the limit of 2097152")
"""Reasons of ours for nodes that Go reads: they can be no delta's, or are too large."""

CIDS = [cid.of(bytes([i])) for i in range(5)]


# --- making nodes -------------------------------------------------------------------------------


def long_varint(rng: random.Random, value: int) -> bytes:
    """A varint, at times longer than it need be."""
    raw = write_varint(value)
    if rng.random() < 0.03 and len(raw) < 10:
        extra = rng.randint(1, 11 - len(raw))
        raw = raw[:-1] + bytes([raw[-1] | 0x80]) + b"\x80" * (extra - 1) + b"\x00"
    return raw


def tag(rng: random.Random, number: int, kind: int) -> bytes:
    return long_varint(rng, number << 3 | kind)


def sized(rng: random.Random, number: int, content: bytes) -> bytes:
    size = len(content) + (rng.choice((-1, 1)) if rng.random() < 0.004 else 0)
    return tag(rng, number, 2) + long_varint(rng, max(size, 0)) + content


def stray(rng: random.Random, depth: int = 0) -> bytes:
    """A field of any number and wire type."""
    number = rng.choice((1, 2, 3, 4, 5, 15, 16, 100, (1 << 29) - 1, 1 << 29, (1 << 31) - 1, 1 << 31))
    kind = rng.choice((0, 1, 2, 3, 4, 5, 6, 7))
    match kind:
        case 0:
            body = rng.choice(
                (b"\x01", b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x02", b"\x80" * 9 + b"\x00", b"\x80" * 10)
            )
        case 1 | 5:
            body = bytes(8 if kind == 1 else 4)
        case 2:
            body = write_bytes(0, b"xy")[1:]
        case 3:
            inside = b"".join(stray(rng, depth + 1) for _ in range(rng.randint(0, 2))) if depth < 6 else b""
            body = inside + tag(rng, number if rng.random() < 0.9 else number + 1, 4)
        case _:
            body = b""
    return tag(rng, number, kind) + body


def a_cid(rng: random.Random) -> bytes:
    name = rng.choice(CIDS)
    return rng.choice(
        [name] * 60
        + [name[2:], name[2:] + b"behind", name + b"behind", name[:-1], name[2:-1], cid.RAW + name[4:], b"", b"\x01"]
        + [b"\x01\x70\x13\x40" + bytes(64), b"\x01\x70\x00\x03abc", b"\x81\x00" + name[1:], b"\x02" + name[1:]]
        + [b"\x01\x70\x92\x00\x20" + name[4:], b"\x12\x1f" + bytes(31), b"\x01\xf0\x01\x12\x20" + bytes(32)]
    )


def a_link(rng: random.Random) -> bytes:
    parts = [sized(rng, 1, a_cid(rng)), sized(rng, 2, rng.choice((b"", b"", b"name", b"\xff"))), tag(rng, 3, 0)]
    parts[2] += rng.choice((b"\x00",) * 20 + (b"\x05", b"\x80\x00", b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x02"))
    return broken(rng, parts)


SOUND_TEXTS = (b"/k", b"/agents/YQ", b"k", b"/a//b/../c/", b"", "/é".encode(), b"/\0")
OTHER_TEXTS = (b"/\xff", b"/\xed\xa0\x80", b"/\xc0\x80", b"/\xf4\x90\x80\x80")


def text(rng: random.Random) -> bytes:
    return rng.choice(SOUND_TEXTS if rng.random() < 0.97 else OTHER_TEXTS)


def an_element(rng: random.Random) -> bytes:
    parts = [sized(rng, 1, text(rng))]
    if rng.random() < 0.6:
        parts.append(sized(rng, 2, rng.choice((cid.element_id(rng.choice(CIDS)).encode(), text(rng)))))
    if rng.random() < 0.8:
        parts.append(sized(rng, 3, rng.choice((b"", b"v", b"\xff\xfe", bytes(200)))))
    return broken(rng, parts)


def a_delta(rng: random.Random) -> bytes:
    parts = [sized(rng, rng.choice((1, 1, 2)), an_element(rng)) for _ in range(rng.randint(0, 3))]
    parts.append(tag(rng, 3, 0) + long_varint(rng, rng.choice((0, 1, 7, 1 << 63, (1 << 64) - 1))))
    return broken(rng, parts)


def broken(rng: random.Random, parts: list[bytes]) -> bytes:
    """The parts as they should be, or shuffled, doubled, lost, or with a stranger among them."""
    fate = rng.random()
    if parts and fate < 0.03:
        rng.shuffle(parts)
    elif parts and fate < 0.05:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(parts))
    elif parts and fate < 0.07:
        del parts[rng.randrange(len(parts))]
    elif fate < 0.13:
        parts.insert(rng.randrange(len(parts) + 1), stray(rng))
    return b"".join(parts)


def a_node(rng: random.Random) -> bytes:
    parts = [sized(rng, 2, a_link(rng)) for _ in range(rng.choice((0, 1, 1, 2, 4)))]
    parts.insert(0 if rng.random() < 0.1 else len(parts), sized(rng, 1, a_delta(rng)))
    return broken(rng, parts)


def mutated(rng: random.Random, block: bytes) -> bytes:
    raw = bytearray(block)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(4):
            case 0 if at < len(raw):
                raw[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(raw):
                raw[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                raw[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
            case _:
                del raw[at:]
    return bytes(raw)


def some_nodes(rng: random.Random, count: int) -> list[bytes]:
    nodes = []
    for _ in range(count):
        block = a_node(rng)
        nodes.append(mutated(rng, block) if rng.random() < 0.35 else block)
    return nodes


def group(number: int, inside: bytes) -> bytes:
    return write_varint(number << 3 | 3) + inside + write_varint(number << 3 | 4)


LINK = write_bytes(2, write_bytes(1, CIDS[0]) + b"\x12\x00\x18\x00")
SPECIAL = {
    "nothing": b"",
    "links only": LINK,
    "sound": node.encode_node(CIDS[:2], delta.encode([("/k", b"v")], [("/k", CIDS[0])], 3)),
    "priority 2^64-1": write_bytes(1, b"\x18" + b"\xff" * 9 + b"\x01"),
    "priority beyond": write_bytes(1, b"\x18" + b"\xff" * 9 + b"\x02"),
    "groups 32 deep": write_bytes(1, b"\x23" * 32 + b"\x24" * 32),
    "groups 33 deep": write_bytes(1, b"\x23" * 33 + b"\x24" * 33),
    "groups 10,001 deep": write_bytes(1, b"\x23" * 10_001 + b"\x24" * 10_001),
    "groups 10,002 deep": write_bytes(1, b"\x23" * 10_002 + b"\x24" * 10_002),
    "groups in an element": write_bytes(1, write_bytes(1, b"\x23" * 5000 + b"\x24" * 5000 + b"\x0a\x02/k")),
    "known fields as groups": write_bytes(1, group(1, b"") + group(3, b"\x08\x01") + b"\x18\x05"),
    "a huge number in a group": write_bytes(1, group(9, write_varint(((1 << 31) - 1) << 3) + b"\x00")),
    "a number beyond in a group": write_bytes(1, group(9, write_varint((1 << 31) << 3) + b"\x00")),
    "a huge number outside": write_bytes(1, write_varint(((1 << 29) - 1) << 3) + b"\x00"),
    "a number beyond outside": write_bytes(1, write_varint((1 << 29) << 3) + b"\x00"),
    "an open group": write_bytes(1, b"\x23"),
    "a group closed by another": write_bytes(1, b"\x23\x2c"),
    "4,096 links": LINK * 4096,
    "4,097 links": LINK * 4097,
    "an element's value of two megabytes": write_bytes(
        1, write_bytes(1, b"\x0a\x02/k" + write_bytes(3, bytes(2 << 20)))
    ),
    "a raw link": write_bytes(2, write_bytes(1, cid.of_raw(b""))),
    "a huge length": b"\x0a" + b"\xff" * 8 + b"\x7f",
    "a length of 2^63": b"\x0a" + b"\x80" * 9 + b"\x01",
    "a length of 2^63 in a group": write_bytes(1, group(9, b"\x0a" + b"\x80" * 9 + b"\x01")),
}


# --- comparing ----------------------------------------------------------------------------------


async def ask(peer: GoPeer, block: bytes) -> GoNode | str:
    try:
        return await peer.decode(block)
    except GoPeerError as error:
        assert "decode: " in str(error)
        return str(error)


async def ask_all(peer: GoPeer, blocks: list[bytes]) -> list[GoNode | str]:
    answers: list[GoNode | str] = [""] * len(blocks)

    async def work(start: int) -> None:
        for i in range(start, len(blocks), 16):
            answers[i] = await ask(peer, blocks[i])

    async with trio.open_nursery() as askers:
        for start in range(16):
            askers.start_soon(work, start)
    return answers


def difference(block: bytes, go: GoNode | str) -> str:
    """What is wrong with our reading of a node, given Go's; nothing, most of the time."""
    try:
        ours = decode_node(cid.of(block), block)
    except DecodeError as error:
        if isinstance(go, str) or any(reason in str(error) for reason in DECIDED):
            return ""
        return f"only Go reads it; we: {error}"
    if isinstance(go, str):
        return f"only we read it; Go: {go}"
    if {link if link.startswith("b") else v0_as_v1(link) for link in go.links} != {
        cid.to_str(each) for each in ours.links
    }:
        return f"links: {go.links}"
    if go.priority != ours.delta.priority:
        return f"priority: {go.priority} and {ours.delta.priority}"
    return content(ours, go)


def content(ours: DagNode, go: GoNode) -> str:
    """Elements and tombstones, which Go only counts: google.protobuf tells what they are, where it agrees with Go."""
    try:
        message = Delta.FromString(PBNode.FromString(ours.data).Data)
    except GoogleError:
        return ""
    if (len(message.elements), len(message.tombstones)) != (go.elements, go.tombstones):
        return f"Go counts {go.elements} elements and {go.tombstones} tombstones"
    greatest: dict[str, bytes] = {}
    for each in message.elements:
        key = keys.clean(each.key)
        greatest[key] = max(greatest.get(key, b""), each.value)
    found = {span.key: ours.data[span.start : span.start + span.length] for span in ours.delta.elements}
    if found != greatest:
        return f"elements: {greatest} and {found}"
    named = {(keys.clean(each.key), each.id.strip("/")) for each in message.tombstones}
    mine = {(key, cid.element_id(block)[1:]) for key, block in ours.delta.tombstones}
    if mine != {(key, name) for key, name in named if cid.from_element_id(name)}:
        return f"tombstones: {named} and {mine}"
    return ""


def v0_as_v1(text: str) -> str:
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = 0
    for letter in text:
        number = number * 58 + alphabet.index(letter)
    return cid.to_str(cid.normalise(number.to_bytes(34, "big")))


async def test_random_nodes_are_read_as_go_reads_them(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    print(f"BETAR_TUI_DECODE_SEED={SEED}")
    blocks = some_nodes(random.Random(SEED), CASES)
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        answers = await ask_all(peer, blocks)
    different = [
        f"{block.hex()}: {problem}"
        for block, go in zip(blocks, answers, strict=True)
        if (problem := difference(block, go))
    ]
    assert not different, f"seed {SEED}: {len(different)} nodes, such as {min(different, key=len)}"
    # The comparison is of nodes of both kinds.
    read = sum(not isinstance(go, str) for go in answers)
    assert CASES * 0.2 < read < CASES * 0.8


async def test_special_nodes_are_read_as_go_reads_them(gopeer_binary: Path, nursery: trio.Nursery) -> None:
    async with open_gopeer(nursery, binary=gopeer_binary) as peer:
        answers = await ask_all(peer, list(SPECIAL.values()))
    named = zip(SPECIAL.items(), answers, strict=True)
    assert {name: problem for (name, block), go in named if (problem := difference(block, go))} == {}
    refused_by_us_only = {
        name
        for (name, block), go in zip(SPECIAL.items(), answers, strict=True)
        if not isinstance(go, str) and not we_read(block)
    }
    assert refused_by_us_only == {"4,097 links", "a raw link", "an element's value of two megabytes"}


def we_read(block: bytes) -> bool:
    try:
        decode_node(cid.of(block), block)
    except DecodeError:
        return False
    return True


@pytest.mark.parametrize("name", ["sound", "links only", "4,096 links"])
def test_what_we_read_does_not_hang_on_go(name: str) -> None:
    assert we_read(SPECIAL[name])
