"""Multiaddrs: parsing them, the order to dial them in, and the addresses of this peer.

Text in, text out; the only file that knows which addresses this peer can dial (TCP over IPv4, IPv6 or a DNS name).
Anything from a remote peer may be passed in: addresses that cannot be used are left out, never raised."""

from collections.abc import Iterable

from libp2p.peer.id import ID
from libp2p.utils.address_validation import get_available_interfaces
from multiaddr import Multiaddr

from betar_tui import multiaddrs
from betar_tui.errors import NetworkError
from betar_tui.multiaddrs import Ip, ip_of

MAX_ADDRS_PER_PEER = 16
"""Maximum addresses kept of one peer."""
MAX_ADDRESS = 1024
"""Maximum characters of an address that is parsed; one that can be dialled is shorter, and parsing costs by their number."""
MAX_CLAIMED = 8
"""Maximum addresses kept of those that a peer claims to listen on."""
_HOSTS = ("ip4", "ip6", "dns", "dns4", "dns6", "dnsaddr")


def split_peer(address: str) -> tuple[str, str]:
    """(peer id in base58, the address with its /p2p part) of a dialable multiaddr. Raises NetworkError."""
    text = address.strip()
    if len(text) > MAX_ADDRESS:
        raise NetworkError(f"An address of {len(text)} characters cannot be dialled; at most {MAX_ADDRESS} are read.")
    try:
        parsed = Multiaddr(text)
        peer = parsed.value_for_protocol("p2p")
    except Exception as error:
        raise NetworkError(
            f"Not an address that can be dialled: {text!r} ({error}). "
            "Use a multiaddr such as /ip4/203.0.113.5/tcp/4001/p2p/<peer id>."
        ) from None
    if not peer:
        raise NetworkError(f"The address {text!r} does not name a peer: it must end in /p2p/<peer id>.")
    if not is_dialable(text):
        raise NetworkError(f"The address {text!r} cannot be dialled: only TCP addresses without relays are supported.")
    return str(peer), text


def peer_id(base58: str) -> ID:
    """The library's peer id. Raises NetworkError."""
    try:
        peer = ID.from_base58(base58)
        if len(peer.to_bytes()) < 34:
            raise ValueError("too short")
    except Exception:
        raise NetworkError(f"Not a peer id: {base58!r}.") from None
    return peer


def is_peer_id(base58: str) -> bool:
    """Whether the text is a peer id."""
    try:
        peer_id(base58)
    except NetworkError:
        return False
    return True


def is_dialable(address: str) -> bool:
    """Whether this peer has a transport for the address: plain TCP to a host, a real port, and no relay."""
    if not address.startswith("/") or len(address) > MAX_ADDRESS:  # the library takes one without the slash as well
        return False
    try:
        protocols = [protocol.name for protocol in Multiaddr(address).protocols()]
    except Exception:
        return False
    without_peer = protocols[:-1] if protocols[-1:] == ["p2p"] else protocols
    if without_peer == ["dnsaddr"]:
        return True
    if len(without_peer) != 2 or without_peer[0] not in _HOSTS or without_peer[1] != "tcp":
        return False
    ip = ip_of(address)
    return address.split("/")[4] != "0" and (ip is None or not ip.is_unspecified)


def with_peer(addresses: Iterable[str], peer: str) -> tuple[str, ...]:
    """The dialable `addresses` without repetition, each ending in /p2p/<peer>; at most MAX_ADDRS_PER_PEER."""
    result: dict[str, None] = {}
    for address in addresses:
        bare, named = multiaddrs.split_peer(address)
        if named and named != peer:
            continue
        if "/p2p/" not in bare and is_dialable(bare):
            result[f"{bare}/p2p/{peer}"] = None
        if len(result) == MAX_ADDRS_PER_PEER:
            break
    return tuple(result)


def worth_dialling(claimed: Iterable[str], seen_at: Iterable[str]) -> tuple[str, ...]:
    """Those of a peer's own addresses that may lead to it from here; `seen_at` is where its connections come from or go to.

    A peer may claim anything, and an honest one also lists what only its own machine or network can reach. So loopback
    counts only for a peer that is seen on loopback, and a private or link-local address only for one that is seen at an
    address of the same kind or on loopback; a name would be looked up for anybody who asks. Addresses on the host that the
    peer is seen at come first."""
    seen = [ip for address in seen_at if (ip := ip_of(address)) is not None]
    reach = max(map(_reach, seen), default=_PUBLIC)
    usable = [a for a in claimed if (ip := ip_of(a)) is not None and _can_reach(ip, reach)]
    usable.sort(key=lambda address: ip_of(address) not in seen)
    return tuple(usable[:MAX_CLAIMED])


_PUBLIC, _PRIVATE, _LINK, _LOOPBACK = range(4)


def _reach(ip: Ip) -> int:
    """How near a peer must be to reach an address."""
    if ip.is_loopback:
        return _LOOPBACK
    if ip.is_link_local:
        return _LINK
    return _PUBLIC if ip.is_global else _PRIVATE


def _can_reach(ip: Ip, reach: int) -> bool:
    if ip.is_multicast or ip.is_unspecified or (ip.version == 6 and ip.is_link_local):  # the last would need a zone
        return False
    return _reach(ip) <= reach


def dial_order(addresses: Iterable[str]) -> tuple[str, ...]:
    """Addresses in the order worth trying: public first, then names, private networks, loopback; IPv4 before IPv6.

    Only the order among different kinds changes: addresses of one kind keep the order they came in."""
    return tuple(sorted(dict.fromkeys(addresses), key=_rank))


def _rank(address: str) -> int:
    kind = address.split("/")[1]
    if kind not in ("ip4", "ip6"):
        return 1
    ip = ip_of(address)
    if ip is None:
        return 9
    v6 = 1 if kind == "ip6" else 0
    if ip.is_loopback:
        return 6 + v6
    if ip.is_private or ip.is_link_local:
        return 4 + v6
    return 0 if not v6 else 2


def reachable(bound: Iterable[Multiaddr]) -> tuple[str, ...]:
    """Listen addresses as other peers would dial them: wildcards expanded to the interfaces, loopback included."""
    result: dict[str, None] = {}
    for address in bound:
        text = str(address)
        _, kind, host, transport, port, *_ = text.split("/")
        if host not in ("0.0.0.0", "::"):
            result[text] = None
            continue
        for candidate in get_available_interfaces(int(port), transport):
            if str(candidate).startswith(f"/{kind}/"):
                result[str(candidate)] = None
        result[f"/{kind}/{'127.0.0.1' if kind == 'ip4' else '::1'}/{transport}/{port}"] = None
    return tuple(result)
