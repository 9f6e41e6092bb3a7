"""A decoder for the part of DAG-CBOR that dagsync messages and CAR headers use. Pure.

A general CBOR decoder is not safe on hostile input: it builds big decimals and fractions and compiles regular
expressions, so that a hundred kilobytes can take seconds. Here each item costs one step, and both the number of items
and their depth are limited. Accepted are maps with text keys, arrays, text and bytes of definite length, 64-bit
integers, booleans, null and links. As in Go, a number may be encoded in more bytes than it needs."""

from typing import NamedTuple

from betar_tui.errors import DecodeError
from betar_tui.plurals import plural

LINK_TAG = 42
MAX_ITEMS = 1 << 15
"""Maximum number of items, a link counting as one: the longest CAR header has room for 25,000 links."""
MAX_DEPTH = 16
"""Maximum depth of an item inside maps, arrays and links."""

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLE_VALUES = {20: False, 21: True, 22: None}
_CID_SIZE = 37
_LINK = b"\xd8\x2a\x58\x25"
"""The four bytes before the 37 of a link, as every peer writes it: matched as one, since requests are mostly links."""


class Link(NamedTuple):
    """The content of tag 42, not yet validated: a zero byte and a CID if it is valid."""

    value: bytes


def load_map(raw: bytes) -> dict[str, object]:
    """The map that is all of `raw`. Raises DecodeError."""
    reader = _Reader(raw)
    value = reader.item(MAX_DEPTH)
    if not isinstance(value, dict) or reader.pos != len(raw):
        raise DecodeError("not one DAG-CBOR map")
    return value


class _Reader:
    """A position in some bytes and the number of items that may still be read."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._left = MAX_ITEMS
        self.pos = 0

    def item(self, depth: int) -> object:
        """The item at this position, with at most `depth` levels inside. Raises DecodeError."""
        if self._raw.startswith(_LINK, self.pos):
            self._count()
            self.pos += len(_LINK)
            return Link(self._take(_CID_SIZE))
        kind, number = self._head()
        if depth == 0 and kind in (_ARRAY, _MAP, _TAG):
            raise DecodeError(f"DAG-CBOR that is nested deeper than {MAX_DEPTH}")
        if kind in (_UNSIGNED, _NEGATIVE):
            return number if kind == _UNSIGNED else -1 - number
        if kind == _BYTES:
            return self._take(number)
        if kind == _TEXT:
            return self._text(number)
        if kind == _ARRAY:
            return [self.item(depth - 1) for _ in range(self._room(number))]
        if kind == _MAP:
            return self._map(number, depth - 1)
        if kind == _TAG:
            return self._link(number, depth - 1)
        if number not in _SIMPLE_VALUES:
            raise DecodeError(f"the simple value {number} of CBOR, which DAG-CBOR does not have")
        return _SIMPLE_VALUES[number]

    def _map(self, size: int, depth: int) -> dict[str, object]:
        fields: dict[str, object] = {}
        for _ in range(self._room(size)):
            key = self.item(0)
            if not isinstance(key, str) or key in fields:
                raise DecodeError("a DAG-CBOR map has a repeated key, or one that is not text")
            fields[key] = self.item(depth)
        return fields

    def _link(self, tag: int, depth: int) -> Link:
        value = self.item(depth) if tag == LINK_TAG else None
        if not isinstance(value, bytes):
            raise DecodeError(f"tag {tag} of CBOR around something that is not a link")
        return Link(value)

    def _text(self, size: int) -> str:
        try:
            return self._take(size).decode()
        except UnicodeDecodeError as error:
            raise DecodeError("text in DAG-CBOR is not UTF-8") from error

    def _head(self) -> tuple[int, int]:
        """The major type of the item at this position and its argument."""
        self._count()
        first = self._take(1)[0]
        kind, number = first >> 5, first & 31
        if number < 24:
            return kind, number
        if number > 27 or kind == _SIMPLE:
            raise DecodeError(f"an item of CBOR that starts with {first:#x}, which DAG-CBOR does not have")
        return kind, int.from_bytes(self._take(1 << (number - 24)))

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _too_many()

    def _room(self, count: int) -> int:
        """`count`, if that number of items may be read and enough bytes follow for them: each takes at least one."""
        if count > len(self._raw) - self.pos:
            raise DecodeError(f"DAG-CBOR ends before {plural(count, 'item')}")
        if count > self._left:
            raise _too_many()
        return count

    def _take(self, size: int) -> bytes:
        start, self.pos = self.pos, self.pos + size
        if self.pos > len(self._raw):
            raise DecodeError(f"DAG-CBOR ends inside an item of {plural(size, 'byte')}")
        return self._raw[start : self.pos]


def _too_many() -> DecodeError:
    return DecodeError(f"DAG-CBOR of more than {MAX_ITEMS} items")
