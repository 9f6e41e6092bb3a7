"""mDNS messages about libp2p peers: bytes to values and back. No I/O.

A peer is an *instance* of a service, under a random name. Only its TXT record counts: one string for each address,
`dnsaddr=<multiaddr>/p2p/<peer id>` (https://github.com/libp2p/specs/blob/master/discovery/mdns.md). The messages
themselves are read and written by zeroconf. Of zeroconf nothing else is used: its `Zeroconf` runs an asyncio loop in a
thread, which trio-asyncio turns into a trio run that cannot be closed, and keeps up to 10,000 records of strangers.
docs/protocol.md#discovery-and-connections describes the whole."""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from zeroconf import (
    DNSAddress,
    DNSIncoming,
    DNSOutgoing,
    DNSPointer,
    DNSQuestion,
    DNSRecord,
    DNSService,
    DNSText,
)

from betar_tui import multiaddrs
from betar_tui.errors import DecodeError
from betar_tui.p2p.addresses import dial_order, is_peer_id, with_peer
from betar_tui.plurals import plural

MARKET = "betar-mdns.local."
"""The service of a Go betar, and of the peers of this project."""
LIBP2P = "_p2p._udp.local."
"""The service of any libp2p program."""
SERVICES = (LIBP2P, MARKET)
"""Both. js-libp2p answers the first question of a message only, a Go betar each that it knows."""

MAX_MESSAGE = 4096
"""Maximum bytes of a message that is read; honest ones fit into a packet of 1,500."""
MAX_QUESTIONS, MAX_RECORDS = 16, 64
"""Maximum questions and records of a message that is read. Names that point to each other make each of them cost more
than its bytes: 9,000 bytes may take 20 ms."""
MAX_CACHED = 64
"""Maximum messages that are kept as they were read."""
MAX_INSTANCES = 4
"""Maximum instances that are read from one message; a peer announces one."""
MAX_STRINGS = 64
"""Maximum TXT strings of one instance that are looked at."""
MAX_ADDRS = 8
"""Maximum addresses that are announced, and that are taken from one instance."""

_PTR, _TXT, _AAAA, _SRV, _A, _ANY = 12, 16, 28, 33, 1, 255
_IN, _FLUSH = 1, 0x8000
_RESPONSE = 0x8400
_PREFIX = b"dnsaddr="
_TTL, _HOST_TTL = 3200, 120
"""Seconds for which the records are valid: those of a Go betar."""


@dataclass(frozen=True, slots=True)
class Record:
    """The TXT record of an instance. `name` is in lower case; without a lifetime (`gone`) it says goodbye."""

    service: str
    name: str
    text: bytes
    gone: bool


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says about the services: which are asked for, the instances that the asker knows already, and the
    instances that it describes."""

    asked: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    records: tuple[Record, ...] = ()


def decode(data: bytes) -> Message:
    """Read a message. Raises DecodeError for one that is too large or not a message.

    All peers of a link ask the same again and again and give the same answers, but for the message's id."""
    return _decode(data[2:])


@lru_cache(MAX_CACHED)
def _decode(rest: bytes) -> Message:
    data = b"\0\0" + rest
    if not 12 <= len(data) <= MAX_MESSAGE:
        raise DecodeError(f"an mDNS message of {plural(len(data), 'byte')}")
    questions, *counts = (int.from_bytes(data[at : at + 2]) for at in range(4, 12, 2))
    if questions > MAX_QUESTIONS or sum(counts) > MAX_RECORDS:
        raise DecodeError(f"an mDNS message with {plural(questions, 'question')} and {plural(sum(counts), 'record')}")
    incoming = DNSIncoming(data)
    if not incoming.valid:
        raise DecodeError("not an mDNS message")
    if incoming.is_response():
        return Message(records=tuple(_records(incoming.answers())))
    if incoming.is_probe():
        return Message()  # it asks whether a name is taken; a Go betar does not answer that either
    asked = {each.name.lower() for each in incoming.questions if each.type in (_PTR, _ANY)}
    answers = incoming.answers() if counts[0] and asked.intersection(SERVICES) else []
    known = (each.alias.lower() for each in answers if isinstance(each, DNSPointer) and each.ttl * 2 >= _TTL)
    return Message(asked=tuple(service for service in SERVICES if service in asked), known=frozenset(known))


def _records(answers: Iterable[DNSRecord]) -> Iterator[Record]:
    texts: dict[str, list[DNSText]] = {}
    for each in answers:
        if isinstance(each, DNSText) and each.class_ == _IN:
            name = each.name.lower()
            if name in texts or len(texts) < MAX_INSTANCES and any(name.endswith(f".{one}") for one in SERVICES):
                texts.setdefault(name, []).append(each)
    for name, found in texts.items():
        service = next(service for service in SERVICES if name.endswith(f".{service}"))
        # js-libp2p and rust-libp2p write a record for each address.
        text = b"".join(each.text for each in found)
        yield Record(service, name, text, gone=all(each.ttl == 0 for each in found))


def moved_to(text: bytes, source: str) -> str:
    """The IPv4 address of a sender whose TXT record does not have it, else "".

    go-libp2p writes its record once: after a change of address only the sender's tells where it is."""
    known = f"/{source}/".encode() in text
    return source if "." in source and not known and _usable(f"/ip4/{source}/tcp/1", False) else ""


def peer_in(text: bytes, same_machine: bool, moved: str = "") -> tuple[str, tuple[str, ...]] | None:
    """The peer that a TXT record names and its addresses for TCP, best first, each ending in /p2p/<peer id>.

    None unless it names one peer and an address that this machine can dial. Names are left out, since looking them up
    would be up to a stranger, and so are link-local IPv6 addresses, which mean nothing without their interface, and
    loopback, unless the sender is on the `same_machine`. With `moved`, the peer is looked for at that IPv4 address too."""
    addrs: dict[str, list[str]] = {}
    for string in _strings(text):
        address, peer = multiaddrs.split_peer(string)
        if peer and _usable(address, same_machine):
            addrs.setdefault(peer, []).append(string)
    if len(addrs) != 1:
        return None
    peer, found = addrs.popitem()
    if not is_peer_id(peer):
        return None
    if moved:
        port = found[0].split("/")[4]
        found.insert(0, f"/ip4/{moved}/tcp/{port}/p2p/{peer}")
    dialable = with_peer(dial_order(found)[: 2 * MAX_ADDRS], peer)[:MAX_ADDRS]
    return (peer, dialable) if dialable else None


def _strings(text: bytes) -> Iterator[str]:
    at = 0
    for _ in range(MAX_STRINGS):
        if at >= len(text):
            return
        string = text[at + 1 : at + 1 + text[at]]
        at += 1 + text[at]
        if string.startswith(_PREFIX):
            yield string[len(_PREFIX) :].decode("ascii", "replace")


def _usable(address: str, same_machine: bool) -> bool:
    parts = address.split("/")
    if len(parts) != 5 or parts[0] or parts[1] not in ("ip4", "ip6") or parts[3] != "tcp":
        return False
    ip = multiaddrs.ip_of(address)
    if ip is None:
        return False
    if ip.is_loopback:
        return same_machine
    return not (ip.is_multicast or ip.is_unspecified or ip.version == 6 and ip.is_link_local)


def announced(addrs: Iterable[str]) -> tuple[str, ...]:
    """Those of a peer's own multiaddrs that are announced: reachable from the link."""
    return tuple(each for each in addrs if _usable(multiaddrs.split_peer(each)[0], False))[:MAX_ADDRS]


def question() -> bytes:
    """A message that asks for the instances of both services."""
    out = DNSOutgoing(0)
    for service in SERVICES:
        out.add_question(DNSQuestion(service, _PTR, _IN))
    return out.packets()[0]


def answer(service: str, instance: str, addrs: Iterable[str], goodbye: bool = False) -> bytes:
    """The message that describes an instance, as a Go betar writes it: a pointer, and the rest beside it.

    go-libp2p insists on an SRV record and on the address of its host, and takes neither's value. A `goodbye` takes the
    instance back."""
    ttl, host_ttl = (0, 0) if goodbye else (_TTL, _HOST_TTL)
    name, host = f"{instance}.{service}", f"{instance}.local."
    strings = [_PREFIX + each.encode() for each in addrs]
    text = b"".join(bytes([len(each)]) + each for each in strings if len(each) < 256)
    ips = dict.fromkeys(ipaddress.ip_address(each.split("/")[2]) for each in addrs)
    out = DNSOutgoing(_RESPONSE)
    out.add_answer_at_time(DNSPointer(service, _PTR, _IN, ttl, f"{instance}.{service}"), 0)
    out.add_additional_answer(DNSService(name, _SRV, _IN | _FLUSH, ttl, 0, 0, 4001, host))
    out.add_additional_answer(DNSText(name, _TXT, _IN | _FLUSH, ttl, text))
    for ip in ips:
        kind = _A if ip.version == 4 else _AAAA
        out.add_additional_answer(DNSAddress(host, kind, _IN | _FLUSH, host_ttl, ip.packed))
    return out.packets()[0]
