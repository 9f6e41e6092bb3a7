"""DAG-CBOR as far as a dagsync message or the head of an archive needs it, read by hand. Pure.

By hand because a general decoder works for whoever sends to it: it builds big decimals and fractions and compiles regular
expressions, and a hundred kilobytes take it seconds. Here each item costs one step, and there is a limit to both. Read are
maps with text keys, arrays, text and bytes of a stated length, integers of 64 bits, booleans, null and links. A number
may be longer than it needs to be: Go reads such archives, too.
"""

from typing import NamedTuple

from betar_tui.errors import DecodeError

LINK_TAG = 42
MAX_ITEMS = 1 << 15
"""So many items are read, a link being one: the longest head of an archive has room for 25,000 links."""
MAX_DEPTH = 16
"""How deep, in maps, arrays and links, an item may lie."""

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLE_VALUES = {20: False, 21: True, 22: None}
_CID_SIZE = 37
_LINK = b"\xd8\x2a\x58\x25"
"""Before the 37 bytes of a link as every peer writes it: recognised as a whole, since most of a request is links."""


class Link(NamedTuple):
    """What tag 42 holds, not yet looked at: a zero byte and a CID where it is right."""

    value: bytes


def load_map(raw: bytes) -> dict[str, object]:
    """The one map that `raw` holds. Raises DecodeError."""
    reader = _Reader(raw)
    value = reader.item(MAX_DEPTH)
    if not isinstance(value, dict) or reader.pos != len(raw):
        raise DecodeError("not one DAG-CBOR map")
    return value


class _Reader:
    """A position in some bytes, and how many items may still be read."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._left = MAX_ITEMS
        self.pos = 0

    def item(self, depth: int) -> object:
        """The item here, which may hold others down to `depth`. Raises DecodeError."""
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
            raise DecodeError(f"the simple value {number} of CBOR, which DAG-CBOR has not")
        return _SIMPLE_VALUES[number]

    def _map(self, size: int, depth: int) -> dict[str, object]:
        fields: dict[str, object] = {}
        for _ in range(self._room(size)):
            key = self.item(0)
            if not isinstance(key, str) or key in fields:
                raise DecodeError("a DAG-CBOR map has a key twice, or one that is no text")
            fields[key] = self.item(depth)
        return fields

    def _link(self, tag: int, depth: int) -> Link:
        value = self.item(depth) if tag == LINK_TAG else None
        if not isinstance(value, bytes):
            raise DecodeError(f"tag {tag} of CBOR around something that is no link")
        return Link(value)

    def _text(self, size: int) -> str:
        try:
            return self._take(size).decode()
        except UnicodeDecodeError as error:
            raise DecodeError("text in DAG-CBOR is not UTF-8") from error

    def _head(self) -> tuple[int, int]:
        """What kind of item is here, and the number that belongs to it."""
        self._count()
        first = self._take(1)[0]
        kind, number = first >> 5, first & 31
        if number < 24:
            return kind, number
        if number > 27 or kind == _SIMPLE:
            raise DecodeError(f"an item of CBOR that starts with {first:#x}, which DAG-CBOR has not")
        return kind, int.from_bytes(self._take(1 << (number - 24)))

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise DecodeError(f"DAG-CBOR of more than {MAX_ITEMS} items")

    def _room(self, count: int) -> int:
        """The same number, if so many items may follow: each is at least one byte."""
        if count > len(self._raw) - self.pos:
            raise DecodeError(f"DAG-CBOR ends before {count} items")
        return count

    def _take(self, size: int) -> bytes:
        start, self.pos = self.pos, self.pos + size
        if self.pos > len(self._raw):
            raise DecodeError(f"DAG-CBOR ends inside an item of {size} bytes")
        return self._raw[start : self.pos]
