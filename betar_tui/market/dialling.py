"""Whether others can dial the addresses of a listing, as far as its seller can know. Pure."""

import re
from collections.abc import Iterable, Sequence

from betar_tui.market.marketplace import Status
from betar_tui.multiaddrs import ip_of, is_public, split_peer, without_loopback


def dialling_warning(addrs: Iterable[Sequence[str]], status: Status) -> str:
    """A sentence for the seller of listings that have these multiaddrs, empty ones standing for the peer's own; "" where
    nothing is known against them.

    A private address is fine for buyers on the same network, so this is never a refusal."""
    own = without_loopback(status.addrs)
    warnings = [_warning(each or own, own, status) for each in addrs]
    return next(filter(None, warnings), "")


def own_addresses(status: Status) -> tuple[str, ...]:
    """The multiaddrs by which others may dial this peer, each ending in its id: those that most can dial come first.

    Among equals, what others have confirmed is before the port that a router forwards, and that before what the peer
    listens on. Addresses of this machine alone are there only if it has no other."""
    reach = status.reachability
    forwarded = reach.mapped if reach.verdict != "private" else ""  # else it was tried, and does not lead here
    known = (*reach.confirmed, forwarded, *without_loopback(status.addrs))
    whole = dict.fromkeys(
        f"{split_peer(each)[0]}/p2p/{split_peer(each)[1] or status.peer_id}" for each in known if each
    )
    return tuple(sorted(whole, key=_rank))


def own_address(status: Status) -> str:
    """The address to give to somebody who is to connect to this peer, the first of them; "" while it has none."""
    return next(iter(own_addresses(status)), "")


def leads_from_anywhere(address: str) -> bool:
    """Whether a multiaddr begins with an address of the internet, or with a name."""
    return _rank(address) == 0


LOOPBACK_ADVICE = "start it with --listen /ip4/0.0.0.0/tcp/4001, which is all of its addresses"
"""The next step of who has a peer that nobody else can dial, unless it listens there already."""
NO_OTHER_NETWORK = "this machine has no other network now"


def listens_everywhere(status: Status) -> bool:
    """Whether the peer was told to listen on all addresses of its machine, as far as it tells."""
    hosts = map(ip_of, status.listen)
    return any(host is not None and host.is_unspecified for host in hosts)


def _rank(address: str) -> int:
    host = ip_of(address)
    if host is None or is_public(str(host)):
        return 0
    return 3 if host.is_loopback else 2 if host.is_link_local else 1


def leads_here_only(address: str) -> bool:
    """Whether only programs on this machine can dial a multiaddr: its address is a loopback one."""
    host = ip_of(address)
    return host is not None and host.is_loopback


def host_and_port(address: str) -> str:
    """The same in short: "192.168.1.20:4001"; "" for an address that is not of an IP and TCP."""
    found = re.match(r"/(ip4|ip6)/([^/]+)/tcp/(\d+)", address)
    if not found:
        return ""
    return f"[{found[2]}]:{found[3]}" if found[1] == "ip6" else f"{found[2]}:{found[3]}"


def _warning(addrs: Sequence[str], own: Sequence[str], status: Status) -> str:
    if not addrs:
        return ""  # no peer runs: the addresses follow when one does
    hosts = {address: ip_of(address) for address in addrs}  # None for a name, which is trusted
    private = [host for host in hosts.values() if host is not None and not host.is_global]
    if len(private) == len(hosts):
        shown = f"{private[0]}{' and the like' if len(set(private)) > 1 else ''}"
        if all(host.is_loopback for host in private):
            return f"only programs on this machine can dial {shown}{_other_address(own, status)}"
        return f"only peers on your own network can dial {shown}; for others, {_advice(addrs)}"
    if status.reachability.verdict == "private" and set(addrs) <= set(own):
        return f"peers outside tried to dial this one and could not; {_advice(addrs)}"
    return ""


def _other_address(own: Sequence[str], status: Status) -> str:
    """What there is to do about loopback addresses, as the end of a sentence."""
    if not listens_everywhere(status):
        return "; listen on another address, or give one"
    if all(map(leads_here_only, own)):
        return f", for {NO_OTHER_NETWORK}; give another address if it will have one"
    return "; give another address"


def _advice(addrs: Sequence[str]) -> str:
    tcp = re.search(r"/tcp/(\d+)", addrs[0])
    port = f"TCP port {tcp[1]}" if tcp else "the port"
    return f"forward {port} in your router, or give an outside address"
