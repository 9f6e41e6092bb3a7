"""The meaning of a set of blocks, as naively as possible, to test `betar_tui.replica` (docs/protocol.md#merge-rules).

Shares no code with it: even the decoding is google.protobuf's, over descriptors built here. A function of the *set* of
blocks, with no state and no order.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_TEXT, _BYTES, _NUMBER = _Field.TYPE_STRING, _Field.TYPE_BYTES, _Field.TYPE_UINT64
_MESSAGES: dict[str, list[tuple[int, str, Any]]] = {
    "Element": [(1, "key", _TEXT), (2, "id", _TEXT), (3, "value", _BYTES)],
    "Delta": [(1, "elements", "Element"), (2, "tombstones", "Element"), (3, "priority", _NUMBER)],
    "PBLink": [(1, "Hash", _BYTES), (2, "Name", _BYTES), (3, "Tsize", _NUMBER)],
    "PBNode": [(2, "Links", "PBLink"), (1, "Data", _BYTES)],
    "Head": [(1, "cid", _BYTES), (15, "block", _BYTES)],
    "CRDTBroadcast": [(1, "heads", "Head")],
}
"""Field number, name, and type: a message's name is a repeated message."""


def _build() -> dict[str, Any]:
    """The message classes, in a pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(name="oracle.proto", package="oracle", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, label, kind in fields:
            field = message.field.add(name=label, number=number, label=_Field.LABEL_OPTIONAL)
            if isinstance(kind, str):
                field.type, field.type_name, field.label = _Field.TYPE_MESSAGE, f".oracle.{kind}", _Field.LABEL_REPEATED
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"oracle.{name}")) for name in _MESSAGES}


_CLASSES = _build()
Element, Delta = _CLASSES["Element"], _CLASSES["Delta"]
PBNode, PBLink = _CLASSES["PBNode"], _CLASSES["PBLink"]
CRDTBroadcast = _CLASSES["CRDTBroadcast"]


def cid_of(block: bytes) -> bytes:
    return bytes([1, 0x70, 0x12, 32]) + hashlib.sha256(block).digest()


def id_of(cid: bytes) -> str:
    return "/" + base64.b32encode(cid[2:]).decode().strip("=")


def make_block(
    links: Iterable[bytes] = (),
    puts: Iterable[tuple[str, bytes]] = (),
    tombstones: Iterable[tuple[str, bytes]] = (),
    priority: int = 1,
) -> bytes:
    """Any block, also such as we would never write."""
    delta = Delta(priority=priority)
    for key, value in puts:
        delta.elements.add(key=key, value=value)
    for key, cid in tombstones:
        delta.tombstones.add(key=key, id=id_of(cid))
    node = PBNode(Links=[PBLink(Hash=link) for link in links])
    data = delta.SerializeToString(deterministic=True)
    return bytes(node.SerializeToString(deterministic=True) + PBNode(Data=data).SerializeToString())


@dataclass(frozen=True)
class Truth:
    """What follows from a set of blocks. `values` has (priority, value) by key."""

    values: Mapping[str, tuple[int, bytes]]
    heads: Mapping[bytes, int]
    wants: frozenset[bytes]
    incomplete: frozenset[bytes]
    live: frozenset[tuple[str, bytes]]
    dead: frozenset[tuple[str, bytes]]


class Oracle:
    """Remembers how blocks decode, and nothing else."""

    def __init__(self) -> None:
        self._decoded: dict[bytes, tuple[frozenset[bytes], Any]] = {}

    def _decode(self, block: bytes) -> tuple[frozenset[bytes], Any]:
        if block not in self._decoded:
            node = PBNode.FromString(block)
            self._decoded[block] = frozenset(link.Hash for link in node.Links), Delta.FromString(node.Data)
        return self._decoded[block]

    def judge(self, blocks: Iterable[bytes]) -> Truth:
        decoded = {cid_of(block): self._decode(block) for block in blocks}
        links = {cid: linked for cid, (linked, _) in decoded.items()}
        complete: set[bytes] = set()
        while more := {cid for cid, linked in links.items() if cid not in complete and linked <= complete}:
            complete |= more
        linked_by_complete = {link for cid in complete for link in links[cid]}
        buried = {(each.key, each.id) for _, delta in decoded.values() for each in delta.tombstones}
        live, dead = set(), set()
        values: dict[str, tuple[int, bytes]] = {}
        for cid, (_, delta) in decoded.items():
            for each in delta.elements:
                if (each.key, id_of(cid)) in buried:
                    dead.add((each.key, cid))
                    continue
                live.add((each.key, cid))
                candidate = (delta.priority, each.value)
                values[each.key] = max(values.get(each.key, candidate), candidate)
        return Truth(
            values=values,
            heads={cid: decoded[cid][1].priority for cid in complete - linked_by_complete},
            wants=frozenset({link for linked in links.values() for link in linked} - decoded.keys()),
            incomplete=frozenset(decoded.keys() - complete),
            live=frozenset(live),
            dead=frozenset(dead),
        )


def judge(blocks: Iterable[bytes]) -> Truth:
    return Oracle().judge(blocks)
