"""The IP addresses under which other peers see this one, as they say in their identify messages. Pure.

What one peer says may be invented, and peers of one network are easily had: each network counts once. The port of an
outgoing connection is made up by the system or the router, so only the IP address is kept."""

import ipaddress
from collections import Counter

from betar_tui.multiaddrs import parse_ip

MAX_OBSERVERS = 64
"""Maximum networks whose last observation is kept."""
OBSERVATION_TTL = 3600.0
"""Seconds for which an observation counts."""
CREDIBLE = 2
"""Number of networks that must agree on an address before this peer advertises it."""


def ip_of(multiaddr: str) -> str:
    """The IP address in a multiaddr, "" where there is none."""
    _, kind, host, *_ = (*multiaddr.split("/"), "", "", "")
    return host if kind in ("ip4", "ip6") else ""


def network_of(ip: str) -> str:
    """The /24 or /56 of an address."""
    address = parse_ip(ip)
    if address is None:
        return ""
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 56}", strict=False))


class ObservedAddrs:
    """The last observation from each network."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def note(self, observer: str, observed: str, now: float) -> bool:
        """A peer at the IP address `observer` sees this one under the multiaddr `observed`. Returns whether that is news."""
        network, address = network_of(observer), parse_ip(ip_of(observed))
        if not network or address is None or address.is_unspecified:
            return False
        before = self._seen.pop(network, ("", 0.0))[0]
        self._seen[network] = str(address), now
        while len(self._seen) > MAX_OBSERVERS:
            del self._seen[next(iter(self._seen))]
        return before != str(address)

    def count(self, now: float) -> Counter[str]:
        """Number of networks by the address that they saw last."""
        self._seen = {network: each for network, each in self._seen.items() if each[1] + OBSERVATION_TTL > now}
        return Counter(address for address, _ in self._seen.values())

    def addresses(self, now: float, at_least: int = 1) -> tuple[str, ...]:
        """IP addresses that `at_least` so many networks agree on, the most seen first."""
        return tuple(address for address, count in self.count(now).most_common() if count >= at_least)
