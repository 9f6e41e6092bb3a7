"""Sockets for mDNS, one for each interface and IP version, and the interfaces that carry it.

A socket is bound to the group's address, so that it receives nothing that was sent from beyond the link: a router does
not forward what goes to that group."""

import errno
import logging
import socket
import struct
import sys
from dataclasses import dataclass

import psutil
import trio

log = logging.getLogger(__name__)

PORT = 5353
GROUP4, GROUP6 = "224.0.0.251", "ff02::fb"
MAX_INTERFACES = 16
"""Maximum interfaces that are used; machines that run containers may have hundreds."""
AFTER_ERROR = 1.0
"""Seconds until an interface that failed is read again."""
_IP_MULTICAST_ALL = 49  # of Linux; without it a socket gets what others joined on other interfaces


@dataclass(frozen=True, slots=True, order=True)
class Interface:
    """An interface that is up and can send to groups, with its addresses, without link-local ones of IPv6.

    A peer is not dialled by a link-local address, and they come and go with every container that is started."""

    name: str
    index: int
    ip4: tuple[str, ...]
    ip6: tuple[str, ...]


def interfaces() -> tuple[Interface, ...]:
    """The interfaces as they are now; at most MAX_INTERFACES. Takes about 0.3 ms."""
    found = []
    stats = psutil.net_if_stats()
    for name, addrs in psutil.net_if_addrs().items():
        flags = stats[name].flags.split(",") if name in stats else []
        if "up" not in flags or "multicast" not in flags or "loopback" in flags:
            continue
        ip4 = tuple(sorted(each.address for each in addrs if each.family == socket.AF_INET))
        ip6 = tuple(
            sorted(each.address for each in addrs if each.family == socket.AF_INET6 and "%" not in each.address)
        )
        try:
            index = socket.if_nametoindex(name)
        except OSError:  # it has just gone
            continue
        if ip4 or ip6:
            found.append(Interface(name, index, ip4, ip6))
    return tuple(sorted(found)[:MAX_INTERFACES])


class Link:
    """A socket in the group of one interface and IP version."""

    def __init__(self, interface: Interface, family: socket.AddressFamily) -> None:
        """Join the group. Raises OSError."""
        self.interface = interface
        self._target: tuple[str, int] | tuple[str, int, int, int]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the system's own mDNS has the port too
            if family == socket.AF_INET:
                self._join4(interface.index)
            else:
                self._join6(interface.index)
        except BaseException:
            self._socket.close()
            raise

    def _join4(self, index: int) -> None:
        request = struct.pack("=4s4si", socket.inet_aton(GROUP4), bytes(4), index)
        self._target = (GROUP4, PORT)
        if sys.platform == "linux":
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        self._socket.bind(self._target)

    def _join6(self, index: int) -> None:
        request = struct.pack("=16si", socket.inet_pton(socket.AF_INET6, GROUP6), index)
        self._target = (GROUP6, PORT, 0, index)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        self._socket.bind(self._target)

    def send(self, data: bytes) -> None:
        """Send to the group, unless the link is not able to now."""
        try:
            self._socket.sendto(data, self._target)
        except OSError as error:
            log.debug("mDNS on %s: %s", self.interface.name, error)

    async def receive(self, most: int) -> tuple[bytes, str]:
        """The first `most` bytes of the next message, and the IP address of its sender without its zone."""
        while True:
            await trio.lowlevel.wait_readable(self._socket.fileno())
            try:
                data, source = self._socket.recvfrom(most)
            except BlockingIOError:
                continue
            except OSError as error:
                log.debug("mDNS on %s: %s", self.interface.name, error)
                await trio.sleep(AFTER_ERROR)
                continue
            return data, str(source[0]).split("%")[0]

    def close(self) -> None:
        """Leave the group."""
        self._socket.close()


def open_links(found: tuple[Interface, ...]) -> tuple[list[Link], str]:
    """A link for each interface and IP version that allows it, and why the last of the others does not."""
    links: list[Link] = []
    refusal = ""
    for interface in found:
        for family, addrs in ((socket.AF_INET, interface.ip4), (socket.AF_INET6, interface.ip6)):
            if not addrs:
                continue
            try:
                links.append(Link(interface, family))
            except OSError as error:
                log.debug("no mDNS on %s, %s: %s", interface.name, family.name, error)
                taken = error.errno == errno.EADDRINUSE
                refusal = (
                    f"a program that does not share it has UDP port {PORT}" if taken else f"{interface.name}: {error}"
                )
    return links, refusal
