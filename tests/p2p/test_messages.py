"""Bitswap messages and frames as pure functions: encoded messages decode, and garbage is refused."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.bitswap.pb import bitswap_pb2

from betar_tui.errors import DecodeError
from betar_tui.ipld.cid import aliases, is_supported, of_prefixed, prefix_of
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.p2p.bitswap import messages
from betar_tui.p2p.bitswap.messages import V10, V11, Block, Message, Presence, WantlistEntry, decode, encode

CIDS = st.binary(min_size=1, max_size=64)
ENTRIES = st.builds(
    WantlistEntry,
    cid=CIDS,
    priority=st.integers(-(2**31), 2**31 - 1),
    cancel=st.booleans(),
    have=st.booleans(),
    send_dont_have=st.booleans(),
)
BLOCKS = st.builds(Block, prefix=st.binary(max_size=16), data=st.binary(max_size=200))
MESSAGES = st.builds(
    Message,
    entries=st.lists(ENTRIES, max_size=5),
    full=st.booleans(),
    blocks=st.lists(BLOCKS, max_size=5),
    presences=st.lists(st.builds(Presence, cid=CIDS, have=st.booleans()), max_size=5),
)


@given(MESSAGES)
def test_an_encoded_message_decodes_to_itself(message: Message) -> None:
    assert decode(encode(message)) == message


@given(MESSAGES)
def test_the_library_reads_our_messages(message: Message) -> None:
    theirs = bitswap_pb2.Message()
    theirs.ParseFromString(encode(message))
    assert [entry.block for entry in theirs.wantlist.entries] == [entry.cid for entry in message.entries]
    assert [entry.priority for entry in theirs.wantlist.entries] == [entry.priority for entry in message.entries]
    assert [bool(entry.wantType) for entry in theirs.wantlist.entries] == [entry.have for entry in message.entries]
    assert theirs.wantlist.full == message.full
    assert [(block.prefix, block.data) for block in theirs.payload] == [(b.prefix, b.data) for b in message.blocks]
    assert [(each.cid, each.type == 0) for each in theirs.blockPresences] == [
        (p.cid, p.have) for p in message.presences
    ]


@given(MESSAGES)
def test_messages_of_the_library_are_read(message: Message) -> None:
    theirs = bitswap_pb2.Message()
    theirs.ParseFromString(encode(message))
    assert decode(theirs.SerializeToString()) == message


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else_is_raised(raw: bytes) -> None:
    try:
        decode(raw)
    except DecodeError:
        return


@given(MESSAGES, st.data())
def test_damaged_messages_are_refused_or_read(message: Message, data: st.DataObject) -> None:
    raw = bytearray(encode(message))
    if raw:
        position = data.draw(st.integers(0, len(raw) - 1))
        raw[position] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(raw))
    except DecodeError:
        return


@given(MESSAGES)
def test_older_versions_get_only_the_fields_they_know(message: Message) -> None:
    eleven = decode(encode(message, V11))
    assert list(eleven.blocks) == list(message.blocks)
    assert not eleven.presences
    assert not any(entry.have or entry.send_dont_have for entry in eleven.entries)
    ten = decode(encode(message, V10))
    assert [block.data for block in ten.blocks] == [block.data for block in message.blocks]
    assert all(block.prefix == b"\x12\x20" for block in ten.blocks)


def test_unknown_fields_are_skipped() -> None:
    extra = b"\x7a\x03abc" + b"\x80\x01\x05" + b"\x91\x01" + b"x" * 8 + b"\x28\x07" + b"\x7b\x08\x01\x7c"
    assert decode(encode(Message(full=True)) + extra) == Message(entries=[], full=True, blocks=[], presences=[])


@pytest.mark.parametrize(
    "raw",
    [
        b"\x08\x01",  # a wantlist that is a number
        b"\x0a\x02\x0a\x00",  # an entry without a CID
        b"\x0a\x04\x0a\x02\x0a\x00",  # an entry with an empty CID
        b"\x0a\x45\x0a\x43\x0a\x41" + b"c" * 65,  # a CID of 65 bytes
        b"\x22\x02\x10\x01",  # a presence without a CID
        b"\x1a\x02\x08\x01",  # a block with a number for a prefix
        b"\x0b\x0c",  # a group for a wantlist
        b"\x00\x00",  # field number 0
        b"\x0a\x05\x0a",  # cut off
        b"\x0a" + b"\xff" * 10,  # an endless length
        b"\x10" + b"\xff" * 9 + b"\x7f",  # beyond 64 bits
    ],
)
def test_nonsense_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(raw)


def test_caps() -> None:
    entries = [WantlistEntry(b"%d" % number) for number in range(messages.MAX_ENTRIES + 10)]
    decoded = decode(encode(Message(entries)))
    assert len(decoded.entries) == messages.MAX_ENTRIES
    many = [Presence(b"%d" % number, True) for number in range(messages.MAX_PRESENCES + 10)]
    assert decode(encode(Message(presences=many))).presences == many[: messages.MAX_PRESENCES]
    blocks = [Block(b"", b"%d" % number) for number in range(messages.MAX_BLOCKS + 10)]
    assert decode(encode(Message(blocks=blocks))).blocks == blocks[: messages.MAX_BLOCKS]
    longest = [*entries[:10], *[WantlistEntry(b"c" * 36)] * 50_000]
    assert len(decode(encode(Message(longest))).entries) == messages.MAX_ENTRIES, "as long as those of Go peers"
    with pytest.raises(DecodeError, match=f"more than {messages.MAX_FIELDS} fields"):
        decode(b"\x1a\x00" * (messages.MAX_FIELDS + 1))
    with pytest.raises(DecodeError):
        decode(bytes(messages.MAX_MESSAGE + 1))
    with pytest.raises(DecodeError):
        decode(encode(Message(blocks=[Block(b"", bytes(messages.MAX_BLOCK + 1))])))
    decode(encode(Message(blocks=[Block(b"", bytes(messages.MAX_BLOCK))])))


@pytest.mark.parametrize("where", ["message", "wantlist", "entry", "payload", "presence"])
def test_so_many_fields_are_looked_at_wherever_they_are(where: str) -> None:
    """A message of 4 MiB has room for two million, and a second goes by."""
    around = {
        "message": (),
        "wantlist": (1,),
        "entry": (1, 1),
        "payload": (3,),
        "presence": (4,),
    }[where]
    known = {"entry": b"\x0a\x01c", "presence": b"\x0a\x01c"}.get(where, b"")

    def wrapped(count: int) -> bytes:
        raw = known + b"\x78\x00" * (count - bool(known) - len(around))
        for number in reversed(around):
            raw = write_bytes(number, raw)
        return raw

    decode(wrapped(messages.MAX_FIELDS))
    with pytest.raises(DecodeError):
        decode(wrapped(messages.MAX_FIELDS + 1))


@pytest.mark.parametrize("empty", [b"\x0a\x00", b"\x12\x00", b"\x1a\x00"])
def test_empty_parts_are_counted_like_others(empty: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(empty * (messages.MAX_FIELDS + 1))


def test_the_longest_wantlist_that_boxo_sends_is_read() -> None:
    """It fills 2 MiB; of its entries we read as many as ever."""
    entry = encode(Message([WantlistEntry(bytes(36), have=True, send_dont_have=True, cancel=True)]))
    raw = write_bytes(1, entry[2:] * ((2 << 20) // len(entry[2:])))
    assert len(decode(raw).entries) == messages.MAX_ENTRIES


def test_cids() -> None:
    data = b"some data"
    digest = sha256(data).digest()
    pb, raw, v0 = b"\x01\x70\x12\x20" + digest, b"\x01\x55\x12\x20" + digest, b"\x12\x20" + digest
    for cid in (pb, raw, v0):
        assert is_supported(cid)
        assert of_prefixed(prefix_of(cid), data) == cid
    assert set(aliases(v0)) == {pb, raw, v0}
    assert set(aliases(pb)) == {pb, v0}
    assert aliases(raw) == (raw,)
    for bad in (b"", pb[:-1], b"\x01\x71\x12\x20" + digest, b"\x01\x70\x00\x20" + digest, b"\x02\x70\x12\x20" + digest):
        assert not is_supported(bad)
    for prefix in (b"", b"\x01\x70\x00\x20", b"\x01\x70\x12\x10", b"\x01\x71\x12\x20"):
        with pytest.raises(DecodeError):
            of_prefixed(prefix, data)
