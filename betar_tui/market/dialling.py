"""Whether others can dial the addresses of a listing, as far as its seller can know. Pure."""

import re
from collections.abc import Iterable, Sequence

from betar_tui.market.marketplace import Status
from betar_tui.multiaddrs import ip_of, without_loopback


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
    hosts = {address: ip_of(address) for address in addrs}  # None for a name, which is trusted
    private = [host for host in hosts.values() if host is not None and not host.is_global]
    if len(private) == len(hosts):
        shown = f"{private[0]}{' and the like' if len(set(private)) > 1 else ''}"
        if all(host.is_loopback for host in private):
            return f"only programs on this machine can dial {shown}; listen on another address, or give one"
        return f"only peers on your own network can dial {shown}; for others, {_advice(addrs)}"
    if status.reachability.verdict == "private" and set(addrs) <= set(own):
        return f"peers outside tried to dial this one and could not; {_advice(addrs)}"
    return ""


def _advice(addrs: Sequence[str]) -> str:
    tcp = re.search(r"/tcp/(\d+)", addrs[0])
    port = f"TCP port {tcp[1]}" if tcp else "the port"
    return f"forward {port} in your router, or give an outside address"
