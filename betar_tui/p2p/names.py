"""Multiaddrs with a name, `/dns`, `/dns4`, `/dns6` and `/dnsaddr`, as those with IP addresses that they stand for.

A `/dnsaddr` name has TXT records `dnsaddr=<multiaddr>` at `_dnsaddr.<name>`, which may have names again. Only those that
end in the peer that is asked for count. py-libp2p 0.8.1 resolves inside its transport: without bounds, up to 32 levels
deep, one address after the other within one time limit, and a name that does not exist becomes "IP address not found"
(docs/py-libp2p.md#connections)."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.asyncresolver
import dns.exception
import dns.resolver
import trio

from betar_tui.errors import NetworkError
from betar_tui.multiaddrs import split_peer
from betar_tui.p2p.addresses import is_dialable

TIMEOUT = 5.0
"""Seconds for all that one multiaddr takes."""
MAX_ADDRS = 16
"""Maximum addresses that one multiaddr stands for; the rest is not used."""
MAX_RECORDS = 64
"""Maximum TXT records of a name that are read."""
MAX_QUESTIONS = 16
"""Maximum questions for one multiaddr."""
MAX_DEPTH = 3
"""Maximum levels of /dnsaddr names."""

_FAMILIES = {"dns": socket.AF_UNSPEC, "dns4": socket.AF_INET, "dns6": socket.AF_INET6}


def has_name(address: str) -> bool:
    """Whether a multiaddr begins with a name."""
    return address.startswith("/dns")


@dataclass(slots=True)
class _Resolution:
    """One multiaddr being resolved: the addresses found so far, without /p2p, and the questions that are left."""

    peer: str
    found: dict[str, None] = field(default_factory=dict)
    questions: int = MAX_QUESTIONS
    failure: Exception | None = None


class Resolver:
    """Resolves with the system's settings, or with the given DNS servers on `port`."""

    def __init__(self, nameservers: Sequence[str] = (), port: int = 53) -> None:
        self._nameservers = list(nameservers)
        self._port = port

    async def resolve(self, address: str) -> tuple[str, ...]:
        """The plain TCP multiaddrs with IP addresses, each with the same /p2p, that `address` stands for.

        Raises NetworkError, which names what could not be resolved."""
        bare, peer = split_peer(address)
        resolution = _Resolution(peer)
        failure = "it has no address that this peer can dial"
        with trio.move_on_after(TIMEOUT) as scope:
            await self._expand(bare, resolution, MAX_DEPTH)
        if scope.cancelled_caught:
            failure = f"no answer within {TIMEOUT:g} s"
        elif resolution.failure is not None:
            failure = _reason(resolution.failure)
        if not resolution.found:
            raise NetworkError(f"the name {bare.split('/')[2]!r} cannot be resolved: {failure}")
        return tuple(f"{each}/p2p/{peer}" for each in resolution.found)

    async def _expand(self, address: str, resolution: _Resolution, depth: int) -> None:
        """Note the addresses that one without /p2p stands for, or why there are none."""
        if len(resolution.found) >= MAX_ADDRS or not is_dialable(address):
            return
        if not has_name(address):
            resolution.found[address] = None
            return
        if not resolution.questions:
            return
        resolution.questions -= 1
        _, kind, name, *rest = address.split("/")
        try:
            if kind == "dnsaddr":
                expansions = await self._texts(f"_dnsaddr.{name}", resolution.peer, nested=depth > 1)
            else:
                hosts = await self._hosts(name, _FAMILIES[kind])
                expansions = ["/".join(["", "ip6" if ":" in host else "ip4", host, *rest]) for host in hosts]
        except (OSError, dns.exception.DNSException, UnicodeError) as error:
            resolution.failure = error
            return
        for each in expansions:
            await self._expand(each, resolution, depth - 1)

    async def _hosts(self, name: str, family: socket.AddressFamily) -> list[str]:
        if not self._nameservers:
            found = await trio.socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
            return list(dict.fromkeys(str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found))[:MAX_ADDRS]
        kinds = {socket.AF_INET: ["A"], socket.AF_INET6: ["AAAA"]}.get(family, ["A", "AAAA"])
        hosts: list[str] = []
        failure: dns.exception.DNSException | None = None
        for kind in kinds:
            try:
                hosts += [str(each) for each in await self._resolver().resolve(name, kind)]
            except dns.exception.DNSException as error:
                failure = error
        if not hosts and failure is not None:
            raise failure
        return hosts[:MAX_ADDRS]

    async def _texts(self, name: str, peer: str, nested: bool) -> list[str]:
        """What the TXT records of a name say of `peer`; with `nested`, further /dnsaddr names too."""
        answer = await self._resolver().resolve(name, "TXT")
        result = []
        for record in list(answer)[:MAX_RECORDS]:
            text = b"".join(record.strings).decode(errors="replace")
            bare, named = split_peer(text.removeprefix("dnsaddr="))
            if text.startswith("dnsaddr=/") and named == peer and (nested or not bare.startswith("/dnsaddr/")):
                result.append(bare)
        return result

    def _resolver(self) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
        resolver.lifetime = TIMEOUT
        if self._nameservers:
            resolver.nameservers, resolver.port = list(self._nameservers), self._port
        return resolver


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, dns.exception.Timeout | dns.resolver.NoNameservers | dns.resolver.NoResolverConfiguration):
        return "no DNS server answers"
    if isinstance(error, dns.resolver.NXDOMAIN | dns.resolver.NoAnswer):
        return "there is no such name"
    return str(error) or type(error).__name__
