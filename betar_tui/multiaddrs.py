"""Multiaddrs as text, for rooms that do not import libp2p. `p2p.addresses` parses those that are to be dialled."""

import ipaddress
from collections.abc import Iterable

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_LOOPBACK = ("/ip4/127.", "/ip6/::1/")


def is_path(text: str) -> bool:
    """Whether the text has the form of a multiaddr or a protocol id: a slash first, no spaces or control characters."""
    return text.startswith("/") and text.isprintable() and " " not in text


def split_peer(address: str) -> tuple[str, str]:
    """The address without a /p2p/<peer id> at its end, and that peer id, or "" where it names no peer."""
    rest, found, peer = address.rpartition("/p2p/")
    return (rest, peer) if found and "/" not in peer else (address, "")


def parse_ip(text: str) -> Ip | None:
    """An IP address; None for any other text. An IPv4 address that is mapped into IPv6 counts as itself, since dialling
    it leads to the same host."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_public(text: str) -> bool:
    """Whether an IP address can be reached from the whole internet, as far as the address tells."""
    address = parse_ip(text)
    if address is None or not address.is_global or address.is_multicast:
        return False
    # 6to4 and Teredo carry an IPv4 address inside, which may be private.
    return isinstance(address, ipaddress.IPv4Address) or (address.sixtofour is None and address.teredo is None)


def ip_of(address: str) -> Ip | None:
    """The IP address that a multiaddr begins with, see `parse_ip`; None where there is none."""
    _, kind, host, *_ = (*address.split("/"), "", "", "")
    return parse_ip(host) if kind in ("ip4", "ip6") else None


def without_loopback(addresses: Iterable[str]) -> tuple[str, ...]:
    """The addresses that other machines can dial, or all of them where there is only loopback."""
    given = tuple(addresses)
    return tuple(address for address in given if not address.startswith(_LOOPBACK)) or given
