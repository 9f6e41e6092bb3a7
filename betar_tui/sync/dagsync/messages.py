"""Encodes and decodes requests and trailers of dagsync. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import cbor2

from betar_tui.errors import DecodeError
from betar_tui.ipld.car import link, unlink
from betar_tui.ipld.dagcbor import load_map
from betar_tui.ipld.protobuf import write_varint

PROTOCOL = "/betar-tui/dagsync/1.0.0"
VERSION = 1

MAX_REQUEST, MAX_TRAILER = 1 << 20, 4096
"""Maximum bytes of a request and of a trailer."""
MAX_WANTS = MAX_HAVES = 4096
"""Maximum CIDs in each list of a request."""
MAX_BYTES, MAX_BLOCKS = 64 << 20, 100_000
"""Maximum bytes and blocks of an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request for the blocks `wants` and all below them, except `haves`, which the client has complete, and all below
    those. CIDs are 36 bytes; a server lowers the limits to its own."""

    wants: tuple[bytes, ...]
    haves: tuple[bytes, ...]
    max_bytes: int = MAX_BYTES
    max_blocks: int = MAX_BLOCKS


@dataclass(frozen=True, slots=True)
class Trailer:
    """The end of a response. `complete` says that the server left out none of the blocks that it has."""

    blocks: int
    bytes: int
    complete: bool


def encode_request(request: Request) -> bytes:
    """A request, preceded by its length."""
    return _framed(
        {
            "v": VERSION,
            "haves": [link(cid) for cid in request.haves],
            "wants": [link(cid) for cid in request.wants],
            "max_bytes": request.max_bytes,
            "max_blocks": request.max_blocks,
        }
    )


def decode_request(raw: bytes) -> Request:
    """Decode a request without its length. Raises DecodeError."""
    fields = load_map(raw)
    version = _number(fields, "v")
    if version != VERSION:
        raise DecodeError(f"dagsync version {version} is not supported")
    return Request(
        wants=_cids(fields, "wants", MAX_WANTS),
        haves=_cids(fields, "haves", MAX_HAVES),
        max_bytes=min(_number(fields, "max_bytes"), MAX_BYTES),
        max_blocks=min(_number(fields, "max_blocks"), MAX_BLOCKS),
    )


def encode_trailer(trailer: Trailer) -> bytes:
    """A trailer, preceded by its length."""
    return _framed({"bytes": trailer.bytes, "blocks": trailer.blocks, "complete": trailer.complete})


def decode_trailer(raw: bytes) -> Trailer:
    """Decode a trailer without its length. Raises DecodeError."""
    fields = load_map(raw)
    complete = fields.get("complete")
    if not isinstance(complete, bool):
        raise DecodeError("a dagsync trailer does not say whether it is complete")
    return Trailer(_number(fields, "blocks"), _number(fields, "bytes"), complete)


def _framed(fields: Mapping[str, object]) -> bytes:
    ordered = dict(sorted(fields.items(), key=lambda item: (len(item[0]), item[0])))
    body = cbor2.dumps(ordered)
    return write_varint(len(body)) + body


def _cids(fields: Mapping[str, object], name: str, limit: int) -> tuple[bytes, ...]:
    values = fields.get(name)
    if not isinstance(values, list) or len(values) > limit:
        raise DecodeError(f"{name} of a dagsync request is not a list of at most {limit} CIDs")
    return tuple(dict.fromkeys(unlink(each) for each in values))


def _number(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DecodeError(f"{name} of a dagsync message is not a number")
    return value
