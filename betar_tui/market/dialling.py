"""Whether others can dial the addresses of a listing, as far as its seller can know. Pure."""

import ipaddress
from collections.abc import Iterable, Sequence

from betar_tui.market.marketplace import Status
from betar_tui.multiaddrs import split_peer, without_loopback


def dialling_warning(addrs: Iterable[Sequence[str]], status: Status) -> str:
    """A sentence for the seller of listings that have these multiaddrs, empty ones standing for the peer's own; "" where
    nothing is known against them.

    A private address is fine for buyers on the same network, so this is never a refusal."""
    own = without_loopback(status.addrs)
    warnings = [_warning(each or own, own, status) for each in addrs]
    return next(filter(None, warnings), "")


def _warning(addrs: Sequence[str], own: Sequence[str], status: Status) -> str:
    if not addrs:
        return ""  # no peer runs: the addresses follow when one does
    hosts = {address: _host(address) for address in addrs}
    private = [host for host in hosts.values() if host is not None and not host.is_global]
    if len(private) == len(hosts):
        shown = f"{private[0]}{' and the like' if len(set(private)) > 1 else ''}"
        if all(host.is_loopback for host in private):
            return f"only programs on this machine can dial {shown}: listen on another address, or name one with --addr"
        return (
            f"only peers on your own network can dial {shown}: to be dialled from outside, forward the port in your router"
            " (--upnp asks it to) or name an outside address with --addr"
        )
    if status.reachability.verdict == "private" and set(addrs) <= set(own):
        port = split_peer(addrs[0])[0].rpartition("/")[2]
        return (
            "peers outside tried to dial this one and could not: open TCP port "
            f"{port} in your firewall, or forward it in your router (--upnp asks it to)"
        )
    return ""


def _host(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address in a multiaddr; None for a name, which is trusted, and for anything else."""
    _, kind, host, *_ = (*address.split("/"), "", "", "")
    try:
        return ipaddress.ip_address(host) if kind in ("ip4", "ip6") else None
    except ValueError:
        return None
