"""Messages of AutoNAT v1, `/libp2p/autonat/1.0.0`: a peer asks another one to dial it back. Pure.

The library has them too, but decodes without a limit for what is nested and keeps every address."""

from dataclasses import dataclass

from multiaddr import Multiaddr

from betar_tui.errors import DecodeError
from betar_tui.ipld.protobuf import BYTES, VARINT, Budget, write_bytes, write_varint

PROTOCOL = "/libp2p/autonat/1.0.0"
MAX_MESSAGE = 4096
"""Maximum bytes of a message, as in Go."""
MAX_ADDRS = 16
"""Maximum addresses of a request; the rest is not read."""
MAX_FIELDS = 64
"""Maximum fields of a message, nested ones included."""
MAX_ADDRESS = 256  # bytes
OK, DIAL_ERROR, DIAL_REFUSED, BAD_REQUEST, INTERNAL_ERROR = 0, 100, 101, 200, 300
_DIAL, _DIAL_RESPONSE = 0, 1


@dataclass(frozen=True, slots=True)
class DialRequest:
    """`peer` is the binary id of the asker, `addrs` the multiaddrs where it wants to be dialled."""

    peer: bytes
    addrs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DialResponse:
    """The outcome; `addr` is the multiaddr that was dialled when `status` is OK, "" if it cannot be read."""

    status: int
    text: str = ""
    addr: str = ""


def encode_request(request: DialRequest) -> bytes:
    """The bytes of a request, without their length."""
    peer = write_bytes(1, request.peer) + b"".join(write_bytes(2, Multiaddr(each).to_bytes()) for each in request.addrs)
    return b"\x08\x00" + write_bytes(2, write_bytes(1, peer))


def encode_response(response: DialResponse) -> bytes:
    """The bytes of a response, without their length."""
    body = b"\x08" + write_varint(response.status)
    if response.text:
        body += write_bytes(2, response.text.encode())
    if response.addr:
        body += write_bytes(3, Multiaddr(response.addr).to_bytes())
    return b"\x08\x01" + write_bytes(3, body)


def decode_request(raw: bytes) -> DialRequest:
    """The request in `raw`, without addresses that cannot be read. Raises DecodeError."""
    budget = Budget(MAX_FIELDS, "an AutoNAT message")
    start, end = _body(raw, _DIAL, 2, budget)
    peer = b""
    addrs: list[str] = []
    for number, kind, a, b in budget.fields(raw, start, end):
        if (number, kind) != (1, BYTES):
            continue
        for inner, inner_kind, c, d in budget.fields(raw, a, b):
            if inner_kind != BYTES:
                continue
            if inner == 1:
                peer = raw[c:d]
            elif inner == 2 and len(addrs) < MAX_ADDRS and (address := _multiaddr(raw[c:d])):
                addrs.append(address)
    return DialRequest(peer, tuple(addrs))


def decode_response(raw: bytes) -> DialResponse:
    """The response in `raw`. Raises DecodeError."""
    budget = Budget(MAX_FIELDS, "an AutoNAT message")
    start, end = _body(raw, _DIAL_RESPONSE, 3, budget)
    status, text, addr = OK, "", ""
    for number, kind, a, b in budget.fields(raw, start, end):
        if (number, kind) == (1, VARINT):
            status = a
        elif (number, kind) == (2, BYTES):
            text = raw[a:b].decode(errors="replace")[:MAX_ADDRESS]
        elif (number, kind) == (3, BYTES):
            addr = _multiaddr(raw[a:b])
    return DialResponse(status, text, addr)


def _body(raw: bytes, wanted: int, field: int, budget: Budget) -> tuple[int, int]:
    """Where the body of a message of the `wanted` type lies."""
    if len(raw) > MAX_MESSAGE:
        raise DecodeError(f"an AutoNAT message of {len(raw)} bytes")
    found, body = _DIAL, None
    for number, kind, a, b in budget.fields(raw, 0, len(raw)):
        if (number, kind) == (1, VARINT):
            found = a
        elif (number, kind) == (field, BYTES):
            body = a, b
    if found != wanted or body is None:
        raise DecodeError("not the AutoNAT message that was expected")
    return body


def _multiaddr(raw: bytes) -> str:
    if len(raw) > MAX_ADDRESS:
        return ""
    try:
        return str(Multiaddr(raw))
    except Exception:
        return ""
