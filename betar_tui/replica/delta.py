"""One delta of the set: elements that are added, tombstones that name what is removed, and a priority (PROTOCOL 2).

    Delta   { repeated Element elements = 1; repeated Element tombstones = 2; uint64 priority = 3; }
    Element { string key = 1; string id = 2; bytes value = 3; }

Decoding follows Go's protobuf library: unknown fields (`dag_name` = 4 among them) and known fields of another wire
type are passed over, the last of a repeated scalar counts, a string must be UTF-8. An element is described by where its
value lies in the block, so that a store need not copy it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from betar_tui.errors import DecodeError
from betar_tui.replica import cid, keys
from betar_tui.replica.protobuf import BYTES, VARINT, fields, write_bytes, write_varint
from betar_tui.store.facts import Span

MAX_PRIORITY = (1 << 64) - 1


class Delta(NamedTuple):
    """A decoded delta. `elements` has each key once, with its greatest value; `tombstones` are (key, 36-byte CID of the
    block whose element is removed). Tombstones whose id no block can have are left out: they remove nothing."""

    elements: tuple[Span, ...]
    tombstones: tuple[tuple[str, bytes], ...]
    priority: int


def decode(buf: bytes, start: int, end: int) -> Delta:
    """The delta in `buf[start:end]`. Raises DecodeError."""
    elements: dict[str, Span] = {}
    best: dict[str, bytes] = {}  # of keys that come again: a long value is copied once, however often they do
    tombstones: list[tuple[str, bytes]] = []
    priority = 0
    for number, kind, a, b in fields(buf, start, end):
        if number == 1 and kind == BYTES:
            key, _, value = _element(buf, a, b)
            span = Span(key, *value)
            known = elements.setdefault(key, span)
            if known is not span:
                before = best[key] if key in best else best.setdefault(key, _value(buf, known))
                if before < (after := _value(buf, span)):
                    elements[key], best[key] = span, after
        elif number == 2 and kind == BYTES:
            key, element_id, _ = _element(buf, a, b)
            block = cid.from_element_id(element_id)
            if block is not None:
                tombstones.append((key, block))
        elif number == 3 and kind == VARINT:
            priority = a
    return Delta(tuple(elements.values()), tuple(dict.fromkeys(tombstones)), priority)


def priority_of(buf: bytes, start: int, end: int) -> int:
    """The priority of the delta in `buf[start:end]` alone. Raises DecodeError."""
    priority = 0
    for number, kind, value, _ in fields(buf, start, end):
        if number == 3 and kind == VARINT:
            priority = value
    return priority


def encode(puts: Iterable[tuple[str, bytes]], tombstones: Iterable[tuple[str, bytes]], priority: int) -> bytes:
    """The delta of these (key, value) pairs and (key, CID) tombstones, the latter in the order of their id bytes."""
    out = [write_bytes(1, write_bytes(1, key.encode()) + write_bytes(3, value)) for key, value in puts]
    for key, block in _in_order(tombstones):
        out.append(write_bytes(2, write_bytes(1, key.encode()) + write_bytes(2, cid.element_id(block).encode())))
    return b"".join(out) + b"\x18" + write_varint(priority)


def layout(
    puts: Iterable[tuple[str, bytes]], tombstones: Iterable[tuple[str, bytes]], priority: int, start: int
) -> Delta:
    """What `decode` finds in what `encode` makes of these, where it begins at `start`. Keys are clean, each is put once;
    tombstones are distinct."""
    elements = []
    for key, value in puts:
        start += _field_size(_field_size(len(key.encode())) + _field_size(len(value)))
        elements.append(Span(key, start - len(value), len(value)))
    return Delta(tuple(elements), _in_order(tombstones), priority)


def _in_order(tombstones: Iterable[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    """Tombstones as they are written: by their id bytes, then by key."""
    named = sorted((cid.element_id(block), key, block) for key, block in tombstones)
    return tuple((key, block) for _, key, block in named)


def _field_size(content: int) -> int:
    """The bytes that a length-prefixed field of so many bytes takes, with a tag of one byte."""
    return 1 + max(1, (content.bit_length() + 6) // 7) + content


def _element(buf: bytes, start: int, end: int) -> tuple[str, str, tuple[int, int]]:
    """Key, id and the (start, length) of the value of the element in `buf[start:end]`."""
    key = element_id = ""
    value = (start, 0)
    try:
        for number, kind, a, b in fields(buf, start, end):
            if kind != BYTES:
                continue
            if number == 1:
                key = buf[a:b].decode()
            elif number == 2:
                element_id = buf[a:b].decode()
            elif number == 3:
                value = (a, b - a)
    except UnicodeDecodeError as error:
        raise DecodeError(f"a key or id in a delta is not UTF-8: {error}") from error
    return keys.clean(key), element_id, value


def _value(buf: bytes, span: Span) -> bytes:
    return buf[span.start : span.start + span.length]
