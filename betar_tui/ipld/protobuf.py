"""The protobuf wire format: varints, tags and length-prefixed fields, without knowledge of any message.

The rules are those of Go's protowire, since everything that a Go peer accepts must be accepted here: a varint may be
longer than it needs to be but not exceed 64 bits, a field number lies in 1 .. 2^29-1, groups can be skipped."""

from collections.abc import Callable, Iterator
from typing import NoReturn

from betar_tui.errors import DecodeError
from betar_tui.plurals import plural

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)
MAX_FIELD = (1 << 29) - 1  # the greatest field number
MAX_GROUP_TAG = 1 << 34
"""Greater than every tag inside a group: its field numbers reach 2^31-1, where protowire is laxer than outside."""
MAX_GROUP_DEPTH = 10_001  # as protowire
COUNTED = 256
"""Fields inside groups that are read between two counts of them."""


def read_varint(buf: bytes, pos: int, end: int) -> tuple[int, int]:
    """A varint at `pos` and the position behind it. Raises DecodeError."""
    result = shift = 0
    while pos < end:
        byte = buf[pos]
        pos += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            if result >> 64:
                raise DecodeError("a varint exceeds 64 bits")
            return result, pos
        shift += 7
        if shift > 63:
            raise DecodeError("a varint is longer than ten bytes")
    raise DecodeError("the bytes end inside a varint")


def write_varint(value: int) -> bytes:
    """The shortest varint of a non-negative number."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_bytes(field: int, value: bytes) -> bytes:
    """One length-prefixed field."""
    return write_varint(field << 3 | BYTES) + write_varint(len(value)) + value


def _count_nothing(count: int) -> None:
    return


def fields(
    buf: bytes, pos: int, end: int, grouped: Callable[[int], None] = _count_nothing
) -> Iterator[tuple[int, int, int, int]]:
    """Each field of a message in `buf[pos:end]`, in order, as (number, wire type, a, b).

    For a varint `a` is the number and `b` is 0; for every other type `buf[a:b]` is the content. `grouped` is called with
    the number of fields in a group that is skipped, a part of them at a time. Raises DecodeError where the bytes are not a
    message, and what `grouped` raises."""
    while pos < end:
        tag = buf[pos]
        if tag < 0x80:
            pos += 1
        else:
            tag, pos = read_varint(buf, pos, end)
        number, kind = tag >> 3, tag & 7
        if not 0 < number <= MAX_FIELD:
            raise DecodeError(f"field number {number} is out of range")
        if kind == BYTES:
            if pos < end and buf[pos] < 0x80:
                size = buf[pos]
                pos += 1
            elif pos + 1 < end and buf[pos + 1] < 0x80:
                size = buf[pos] & 0x7F | buf[pos + 1] << 7
                pos += 2
            else:
                size, pos = read_varint(buf, pos, end)
            start, pos = pos, pos + size
            if pos > end:
                raise DecodeError(f"field {number} says {plural(size, 'byte')}, only {end - start} follow")
            yield number, kind, start, pos
        elif kind == VARINT:
            value, pos = read_varint(buf, pos, end)
            yield number, kind, value, 0
        else:
            start, pos = pos, _skip(buf, pos, end, tag, grouped)
            yield number, kind, start, pos


class Budget:
    """Limits the fields that are read of a message and of all messages and groups nested in it, so that millions of empty
    ones are refused. `what` names the message in the error."""

    def __init__(self, limit: int, what: str) -> None:
        self._limit = limit
        self._what = what
        self._taken = 0

    def fields(self, buf: bytes, pos: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """See `fields`. Also raises DecodeError beyond the limit."""
        for each in fields(buf, pos, end, self._take):
            self._taken += 1
            if self._taken > self._limit:
                self._refuse()
            yield each

    def _take(self, count: int) -> None:
        self._taken += count
        if self._taken > self._limit:
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise DecodeError(f"{self._what} has more than {self._limit} fields")


def _skip(buf: bytes, pos: int, end: int, tag: int, grouped: Callable[[int], None]) -> int:
    """The position behind a fixed-size field or a group that starts at `pos`, after its tag."""
    number, kind = tag >> 3, tag & 7
    if kind == START_GROUP:
        # Often nothing is in it: a block has room for a million of these.
        if tag < 0x80 and pos < end and buf[pos] == tag + 1:
            grouped(1)
            return pos + 1
        return _skip_group(buf, pos, end, tag, grouped)
    if kind not in (FIXED32, FIXED64):
        raise DecodeError(f"field {number} has wire type {kind}")
    pos += 4 if kind == FIXED32 else 8
    if pos > end:
        raise DecodeError(f"the bytes end inside field {number}")
    return pos


def _skip_group(buf: bytes, pos: int, end: int, tag: int, grouped: Callable[[int], None]) -> int:
    """The position behind a group whose content starts at `pos`.

    A block has room for two million tags, so what most of them take is all in this loop."""
    groups = [tag]
    while groups:
        for count in range(1, COUNTED + 1):  # noqa: B007 - it is used after the loop
            if pos < end and buf[pos] < 0x80:
                tag = buf[pos]
                pos += 1
            else:
                tag, pos = read_varint(buf, pos, end)
            if not 8 <= tag < MAX_GROUP_TAG:
                raise DecodeError(f"field number {tag >> 3} is out of range")
            kind = tag & 7
            if kind == START_GROUP and len(groups) < MAX_GROUP_DEPTH:
                groups.append(tag)
            elif kind == END_GROUP and groups.pop() == tag - 1:
                if not groups:
                    break
            elif kind == VARINT:
                pos = pos + 1 if pos < end and buf[pos] < 0x80 else read_varint(buf, pos, end)[1]
            elif kind in (BYTES, FIXED32, FIXED64):
                size, pos = read_varint(buf, pos, end) if kind == BYTES else (4 if kind == FIXED32 else 8, pos)
                pos += size
                if pos > end:
                    raise DecodeError(f"the bytes end inside field {tag >> 3}")
            else:
                raise DecodeError(f"field {tag >> 3} has wire type {kind}")
        grouped(count)
    return pos
