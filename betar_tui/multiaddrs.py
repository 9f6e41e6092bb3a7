"""Multiaddrs as text, for rooms that do not import libp2p. `p2p.addresses` parses those that are to be dialled."""

from collections.abc import Iterable

_LOOPBACK = ("/ip4/127.", "/ip6/::1/")


def is_path(text: str) -> bool:
    """Whether the text has the form of a multiaddr or a protocol id: a slash first, no spaces or control characters."""
    return text.startswith("/") and text.isprintable() and " " not in text


def split_peer(address: str) -> tuple[str, str]:
    """The address without a /p2p/<peer id> at its end, and that peer id, or "" where it names no peer."""
    rest, found, peer = address.rpartition("/p2p/")
    return (rest, peer) if found and "/" not in peer else (address, "")


def without_loopback(addresses: Iterable[str]) -> tuple[str, ...]:
    """The addresses that other machines can dial, or all of them where there is only loopback."""
    given = tuple(addresses)
    return tuple(address for address in given if not address.startswith(_LOOPBACK)) or given
