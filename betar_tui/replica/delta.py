"""One delta of the set: elements that are added, tombstones that remove elements, and a priority
(docs/protocol.md#dag-nodes).

    Delta   { repeated Element elements = 1; repeated Element tombstones = 2; uint64 priority = 3; }
    Element { string key = 1; string id = 2; bytes value = 3; }

Decoding follows Go's protobuf library: unknown fields (`dag_name` = 4 among them) and known fields of another wire
type are skipped, the last of a repeated scalar counts, a string must be UTF-8. An element is described by the position
of its value in the block, so that a store need not copy the value."""

from collections.abc import Iterable
from typing import NamedTuple

from betar_tui.errors import DecodeError
from betar_tui.ipld import cid as cids
from betar_tui.ipld.protobuf import BYTES, VARINT, fields, write_bytes, write_varint
from betar_tui.replica import keys
from betar_tui.replica.facts import Span

MAX_PRIORITY = (1 << 64) - 1


class Delta(NamedTuple):
    """A decoded delta.

    `elements` has each key once, with its greatest value; `tombstones` are (key, 36-byte CID of the block whose element
    is removed). Tombstones whose id no block can have are left out: they remove nothing. `typed` says that there is a
    number in the field of the elements: UnixFS has its type there, and no writer of deltas has anything."""

    elements: tuple[Span, ...]
    tombstones: tuple[tuple[str, bytes], ...]
    priority: int
    typed: bool = False

    @property
    def says_something(self) -> bool:
        """Whether a node with this is a delta, and not an ordinary file or folder (docs/protocol.md#dag-nodes)."""
        return bool(self.elements or self.tombstones) or (self.priority > 0 and not self.typed)


def decode(buf: bytes, start: int, end: int) -> Delta:
    """The delta in `buf[start:end]`. Raises DecodeError."""
    elements: dict[str, Span] = {}
    best: dict[str, bytes] = {}  # of repeated keys: a long value is copied once, however often its key is repeated
    tombstones: list[tuple[str, bytes]] = []
    priority, typed = 0, False
    for number, kind, a, b in fields(buf, start, end):
        if number == 1 and kind == BYTES:
            if a == b and "/" in elements:  # it says no more than that again; a block has room for a million
                continue
            key, _, value = _element(buf, a, b)
            span = Span(key, *value)
            known = elements.setdefault(key, span)
            if known is not span:
                before = best[key] if key in best else best.setdefault(key, _value(buf, known))
                if before < (after := _value(buf, span)):
                    elements[key], best[key] = span, after
        elif number == 2 and kind == BYTES:
            if a == b:  # it has no id; see above
                continue
            key, element_id, _ = _element(buf, a, b)
            block = cids.from_element_id(element_id)
            if block is not None:
                tombstones.append((key, block))
        elif number == 3 and kind == VARINT:
            priority = a
        elif number == 1 and kind == VARINT:
            typed = True
    return Delta(tuple(elements.values()), tuple(dict.fromkeys(tombstones)), priority, typed)


def priority_of(buf: bytes, start: int, end: int) -> int:
    """The priority of the delta in `buf[start:end]` alone. Raises DecodeError."""
    priority = 0
    for number, kind, value, _ in fields(buf, start, end):
        if number == 3 and kind == VARINT:
            priority = value
    return priority


def says_something(buf: bytes, start: int, end: int) -> bool:
    """The property of the delta in `buf[start:end]`, cheaply in the usual case. Raises DecodeError."""
    priority, typed = 0, False
    for number, kind, value, _ in fields(buf, start, end):
        if number == 3 and kind == VARINT:
            priority = value
        elif number == 1 and kind == VARINT:
            typed = True
    return decode(buf, start, end).says_something if typed or not priority else True


def encode(puts: Iterable[tuple[str, bytes]], tombstones: Iterable[tuple[str, bytes]], priority: int) -> bytes:
    """The delta of these (key, value) pairs and (key, CID) tombstones, the latter in the order of their id bytes."""
    return compose(puts, tombstones, priority)[0]


def compose(
    puts: Iterable[tuple[str, bytes]], tombstones: Iterable[tuple[str, bytes]], priority: int
) -> tuple[bytes, Delta]:
    """The same, with its decoded form: keys must be clean and each put once, tombstones distinct."""
    out, elements, size = [], [], 0
    for key, value in puts:
        out.append(write_bytes(1, write_bytes(1, key.encode()) + write_bytes(3, value)))
        size += len(out[-1])
        elements.append(Span(key, size - len(value), len(value)))
    named = sorted((cids.element_id(block), key, block) for key, block in tombstones)
    out += [
        write_bytes(2, write_bytes(1, key.encode()) + write_bytes(2, element_id.encode()))
        for element_id, key, _ in named
    ]
    found = Delta(tuple(elements), tuple((key, block) for _, key, block in named), priority)
    return b"".join(out) + b"\x18" + write_varint(priority), found


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
