"""Protobuf by definition: any message of `docs/protocol.md` to bytes and back, sharing no code with the codecs it checks."""

from __future__ import annotations

from collections.abc import Iterator

from tests.docs.pages import Field, messages

Value = int | bool | str | bytes | dict[str, "Value"] | list["Value"]


def encode(name: str, values: dict[str, Value]) -> bytes:
    """A message from its values by field name, its fields in the order in which the values are given."""
    fields = {field.name: field for field in messages()[name]}
    out = b""
    for key, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            out += _field(fields[key], each)
    return out


def decode(name: str, data: bytes) -> dict[str, Value]:
    """The values of a message by field name. A field that the definition does not have raises KeyError."""
    fields = {field.number: field for field in messages()[name]}
    found: dict[str, Value] = {}
    for number, raw in _parts(data):
        field = fields[number]
        value = _value(field, raw)
        if field.repeated:
            known = found.setdefault(field.name, [])
            assert isinstance(known, list)
            known.append(value)
        else:
            found[field.name] = value
    return found


def _field(field: Field, value: Value) -> bytes:
    if isinstance(value, int):
        return _varint(field.number << 3) + _varint(value)
    if isinstance(value, dict):
        value = encode(field.type, value)
    elif isinstance(value, str):
        value = value.encode()
    assert isinstance(value, bytes)
    return _varint(field.number << 3 | 2) + _varint(len(value)) + value


def _value(field: Field, raw: int | bytes) -> Value:
    if isinstance(raw, int):
        assert field.type in ("uint64", "int32", "bool"), field
        return bool(raw) if field.type == "bool" else raw
    if field.type in messages():
        return decode(field.type, raw)
    assert field.type in ("bytes", "string"), field
    return raw.decode() if field.type == "string" else raw


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _parts(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    rest = iter(data)

    def varint() -> int:
        value = shift = 0
        while True:
            byte = next(rest)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while True:
        try:
            tag = varint()
        except StopIteration:
            return
        assert tag & 7 in (0, 2), "these messages have varints and lengths only"
        number = varint()
        yield tag >> 3, bytes(next(rest) for _ in range(number)) if tag & 7 else number
