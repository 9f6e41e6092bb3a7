"""Inputs out of samples: changed as bytes, and as what they are (protobuf, JSON, CBOR, text).

All follows from the seed, so that a failure can be had again."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import cbor2

from betar_tui.ipld.protobuf import write_varint

MAX_OPERATIONS = 5
MAX_SMALL = 16 << 10
"""Maximum bytes of an ordinary input."""
NUMBERS = (0, 1, 2, 127, 128, 255, 256, 65_535, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64)
LETTERS = (
    "", "\0", "\n", "\x1b[2J", "\u202e", "\u1100", "\uac00", "\u1161", "\u1100\u1161\u11a8", "a\u0301\u0316", "\U0001f1e6",
    "\u200d", "\\", '"', "/", "..", "/p2p/", "{", "[", "]", "-", "OR ", "price<", "é", "\ufeff", "\u3000", "1e999", "null",
    "=", "#",
)  # fmt: skip


class Form(Enum):
    """What an input is, if it is whole."""

    BYTES = auto()
    PROTOBUF = auto()
    JSON = auto()
    CBOR = auto()
    TEXT = auto()


@dataclass(slots=True)
class Mutator:
    """Makes inputs of one form out of samples."""

    random: random.Random
    form: Form
    samples: Sequence[bytes]

    def small(self) -> bytes:
        """A sample with a few changes."""
        data = self.random.choice(self.samples)
        for _ in range(self.random.randint(1, MAX_OPERATIONS)):
            data = self._changed(data)[:MAX_SMALL]
        return data

    def large(self, size: int) -> bytes:
        """An input of `size` bytes: a part of a changed sample again and again, or what nests as deep as it may."""
        head = self.small()
        part = self._part(head)
        choice = self.random.randrange(4)
        if choice == 0:
            return (head + part * (size // len(part) + 1))[:size]
        if choice == 1:
            return (part * (size // len(part) + 1))[:size]
        if choice == 2 and self.form is Form.PROTOBUF:
            depth = self.random.choice((1, 10, 100, 10_000))
            number = self.random.choice((1, 2, 3, 5))
            nest = write_varint(number << 3 | 3) * depth + write_varint(number << 3 | 4) * depth
            return (nest * (size // len(nest) + 1))[:size]
        return self._enclosed(head, part, size)

    def shapes(self, size: int) -> Iterator[bytes]:
        """Inputs of `size` bytes that are known to be dear: one thing as often as it fits."""
        for sample in self.samples:
            for piece in pieces(sample) if self.form is Form.PROTOBUF else [sample]:
                yield (piece * (size // len(piece) + 1))[:size] if piece else b""
        if self.form is Form.PROTOBUF:
            for number in (1, 2, 3, 4, 5, 8, 9):
                empty = write_varint(number << 3 | 2) + b"\0"
                yield empty * (size // 2)
                yield write_varint(number << 3 | 2) + write_varint(size - 8) + empty * ((size - 8) // 2)
                for depth in (1, 10_000):
                    nest = write_varint(number << 3 | 3) * depth + write_varint(number << 3 | 4) * depth
                    yield nest * (size // len(nest))
        elif self.form in (Form.TEXT, Form.JSON):
            for letter in LETTERS:
                part = letter.encode(errors="surrogatepass")
                yield from self._repeated(part or b" ", size)

    def _repeated(self, part: bytes, size: int) -> Iterator[bytes]:
        yield (part * (size // len(part) + 1))[:size]
        value = _loaded(self.samples[0]) if self.form is Form.JSON else None
        if isinstance(value, dict) and "name" in value:
            text = part.decode(errors="ignore")
            left = size - len(self.samples[0]) - 100
            yield json.dumps({**value, "name": text * (left // max(1, len(part)))}, ensure_ascii=False).encode()[:size]

    # Bytes

    def _changed(self, data: bytes) -> bytes:
        if self.form is not Form.BYTES and self.random.random() < 0.6:
            changed = self._as_form(data)
            if changed is not None:
                return changed
        return self._as_bytes(data)

    def _as_bytes(self, data: bytes) -> bytes:
        choose = self.random
        at = choose.randint(0, len(data))
        end = min(len(data), at + choose.choice((1, 2, 4, 8, 36, 300)))
        match choose.randrange(8):
            case 0:
                return data[:at] + data[end:]
            case 1:
                return data[:end] + data[at:end] * choose.choice((1, 2, 30)) + data[end:]
            case 2:
                return data[:at] + choose.randbytes(choose.choice((1, 2, 8, 40))) + data[at:]
            case 3:
                return data[:at]
            case 4:
                other = choose.choice(self.samples)
                return data[:at] + other[choose.randint(0, len(other)) :]
            case 5:
                return data[:at] + write_varint(choose.choice(NUMBERS)) + data[end:]
            case 6:
                return data[:at] + choose.choice(LETTERS).encode(errors="surrogatepass") + data[at:]
            case _:
                return data[:at] + bytes(each ^ 1 << choose.randrange(8) for each in data[at : at + 1]) + data[at + 1 :]

    def _part(self, data: bytes) -> bytes:
        """A piece of the input that makes sense alone, or any."""
        if self.form is Form.PROTOBUF and (found := pieces(data)):
            return self.random.choice(found)
        if self.form in (Form.TEXT, Form.JSON) and self.random.random() < 0.5:
            return self.random.choice(LETTERS).encode(errors="surrogatepass") or b"x"
        at = self.random.randint(0, max(0, len(data) - 1))
        return data[at : at + self.random.choice((1, 2, 5, 17, 64))] or b"x"

    def _enclosed(self, head: bytes, part: bytes, size: int) -> bytes:
        """One long thing inside the form: a field, a text, a list or a map."""
        many = part * (size // len(part))
        if self.form is Form.PROTOBUF:
            number = self.random.choice((1, 2, 3, 4, 8, 9, 15))
            return write_varint(number << 3 | 2) + write_varint(max(0, size - 12)) + many[: max(0, size - 12)]
        if self.form is Form.JSON:
            text = part.decode(errors="ignore") or "x"
            inner: Any = self.random.choice(
                (
                    text * (size // 6 // len(text)),
                    [text[:3]] * (size // 12),
                    {f"{n:x}": text[:2] for n in range(size // 16)},
                )
            )
            value = _loaded(head)
            holder = value if isinstance(value, dict) else {}
            holder[self.random.choice([*holder, "name", "addrs"])] = inner
            return json.dumps(holder, ensure_ascii=self.random.random() < 0.3).encode(errors="surrogatepass")[:size]
        if self.form is Form.CBOR:
            count = self.random.choice((size // 40, size // 3, size))
            key = self.random.choice(("wants", "roots", "x"))
            item: Any = self.random.choice((cbor2.CBORTag(42, bytes(37)), 0, b"", "", []))
            return cbor2.dumps({key: [item] * min(count, 200_000)})[:size]
        return many[:size]

    # Forms

    def _as_form(self, data: bytes) -> bytes | None:
        """A change that keeps the form; None where the input has none."""
        if self.form is Form.PROTOBUF:
            return self._as_protobuf(data, 0)
        if self.form is Form.TEXT:
            return self._as_text(data)
        if self.form is Form.JSON:
            value = _loaded(data)
            return None if value is None else json.dumps(self._value(value)).encode(errors="surrogatepass")
        try:
            return cbor2.dumps(self._value(cbor2.loads(data)))
        except Exception:  # whatever a general decoder and encoder have against it
            return None

    def _as_text(self, data: bytes) -> bytes:
        words = data.decode(errors="replace").split(" ")
        at = self.random.randrange(len(words))
        words[at] = self.random.choice((*LETTERS, *words, words[at] + self.random.choice(LETTERS), words[at] * 2))
        self.random.shuffle(words) if self.random.random() < 0.2 else None
        return " ".join(words).encode(errors="surrogatepass")

    def _as_protobuf(self, data: bytes, depth: int) -> bytes | None:
        found = pieces(data)
        if not found:
            return None
        at = self.random.randrange(len(found))
        match self.random.randrange(7):
            case 0:
                del found[at]
            case 1:
                found.insert(self.random.randrange(len(found)), found[at] * self.random.choice((1, 3, 50)))
            case 2:
                self.random.shuffle(found)
            case 3:
                number = self.random.choice((1, 2, 3, 4, 5, 8, 9, 10, 15, 1000, (1 << 29) - 1))
                found[at] = write_varint(number << 3 | found[at][0] & 7) + found[at][1:]
            case 4:
                number = self.random.choice((1, 2, 15))
                found[at] = write_varint(number << 3 | 3) + found[at] + write_varint(number << 3 | 4)
            case _:
                found[at] = self._inside(found[at], depth)
        return b"".join(found)

    def _inside(self, field: bytes, depth: int) -> bytes:
        """A field with another content."""
        tag, start = _varint(field, 0)
        if tag & 7 == 2:
            _, begin = _varint(field, start)
            content = field[begin:]
            inner = self._as_protobuf(content, depth + 1) if depth < 4 else None
            content = self._as_bytes(content) if inner is None else inner
            return write_varint(tag) + write_varint(len(content)) + content
        if tag & 7 == 0:
            return write_varint(tag) + write_varint(self.random.choice(NUMBERS))
        return field[:start] + self.random.randbytes(len(field) - start)

    def _value(self, value: Any, depth: int = 0) -> Any:
        """A JSON or CBOR value, changed somewhere."""
        choose = self.random
        if depth > 8 or choose.random() < 0.25 or not isinstance(value, dict | list) or not value:
            return choose.choice(
                (
                    None,
                    True,
                    -1,
                    0.5,
                    1e308,
                    *NUMBERS[:-1],
                    *LETTERS,
                    [],
                    {},
                    [value],
                    {"a": value},
                    [value] * 30,
                    value,
                )
            )
        if isinstance(value, list):
            at = choose.randrange(len(value))
            return [*value[:at], self._value(value[at], depth + 1), *value[at + choose.randrange(2) :]]
        name = choose.choice(list(value))
        if choose.random() < 0.15:
            return {key: each for key, each in value.items() if key != name}
        if choose.random() < 0.1:
            return {**value, choose.choice(LETTERS): value[name]}
        return {**value, name: self._value(value[name], depth + 1)}


def pieces(data: bytes) -> list[bytes]:
    """The fields of a protobuf message, each with its tag; [] if it is none. A parser apart from the product's."""
    found, at = [], 0
    try:
        while at < len(data):
            tag, after = _varint(data, at)
            kind = tag & 7
            if kind == 2:
                size, after = _varint(data, after)
                after += size
            elif kind == 0:
                _, after = _varint(data, after)
            elif kind in (1, 5):
                after += 8 if kind == 1 else 4
            else:
                return []
            if after > len(data) or not tag >> 3:
                return []
            found.append(data[at:after])
            at = after
    except IndexError:
        return []
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80 or shift > 70:
            return value, at


def _loaded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
