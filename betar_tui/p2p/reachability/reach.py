"""`Reach` joins what is known about this peer's reachability, and lets the host advertise the addresses that follow."""

import logging
from collections.abc import Iterable
from typing import Protocol

import trio

from betar_tui.multiaddrs import is_public, parse_ip, split_peer
from betar_tui.p2p.adaptations.host import PeerHost
from betar_tui.p2p.connection_table import ConnectionTable, PeerRecord
from betar_tui.p2p.reachability.client import AutoNatClient
from betar_tui.p2p.reachability.mapping import PortMapper
from betar_tui.p2p.reachability.messages import PROTOCOL
from betar_tui.p2p.reachability.observed import CREDIBLE, ObservedAddrs, ip_of
from betar_tui.p2p.reachability.server import DialBackServer
from betar_tui.p2p.reachability.verdict import PRIVATE, PUBLIC
from betar_tui.p2p.types import Stream
from betar_tui.supervise import Supervisor
from betar_tui.values import Reachability

log = logging.getLogger(__name__)


class Surroundings(Protocol):
    """The part of `Network` that `Reach` uses."""

    async def open_stream(self, peer: str, protocol: str) -> Stream:
        """Open a stream to a connected peer. Raises NetworkError."""

    def penalize(self, peer: str, reason: str) -> None:
        """Count a misbehaviour."""

    def push_identify(self) -> None:
        """Tell the connected peers that this peer's protocols or addresses have changed."""


class Reach:
    """What is known about how others can dial this peer."""

    def __init__(self, host: PeerHost, table: ConnectionTable, upnp: bool, network: Surroundings) -> None:
        self._host = host
        self._table = table
        self._network = network
        self._observed = ObservedAddrs()
        self._mapper = PortMapper(self._port_to_map, self._forwarded) if upnp else None
        self.client = AutoNatClient(
            str(host.get_id()),
            network.open_stream,
            self._servers,
            self._candidates,
            self._believed,
            self._update,
            network.penalize,
        )
        self.server = DialBackServer()
        self.trusted = is_public
        """Whether an IP address is one that the internet can reach; tests on one machine allow others."""

    def start(self, supervisor: Supervisor) -> None:
        """Start the services."""
        supervisor.start("asking whether this peer can be dialled", self.client.run)
        if self._mapper is not None:
            supervisor.start("port forwarding", self._mapper.run)

    async def close(self) -> None:
        """Give the forwarded port back."""
        if self._mapper is not None:
            await self._mapper.close()

    def learned(self, record: PeerRecord) -> None:
        """A peer was identified."""
        info, ip = record.identify_info, self._ip_of(record)
        if info is None or not ip:
            return
        news = bool(info.observed) and self._observed.note(ip, info.observed, trio.current_time())
        if news or PROTOCOL in info.protocols:
            self.client.wake()

    def moved(self) -> None:
        """This machine has moved to other addresses, or has slept and may have."""
        self.client.moved()
        self._update()
        if self._mapper is not None:
            self._mapper.wake()

    @property
    def reachable(self) -> bool:
        """Whether other peers have confirmed that they can dial this one from the internet."""
        return self.client.answers.verdict(trio.current_time()) == PUBLIC

    def describe(self) -> Reachability:
        """All of it as a value."""
        now, answers = trio.current_time(), self.client.answers
        mapping = self._mapper.mapping if self._mapper is not None else None
        return Reachability(
            verdict=answers.verdict(now),
            observed=self._observed.addresses(now),
            confirmed=answers.confirmed(now),
            mapped=mapping.address if mapping is not None else "",
            asked=answers.count(now),
            mapping_trouble=self._mapper.trouble if self._mapper is not None else "",
        )

    # Addresses

    def _own(self) -> list[str]:
        """The addresses of this machine's interfaces that the host listens on, without /p2p."""
        return [bare for each in self._host.addr_texts() if (bare := split_peer(each)[0]) not in self._host.confirmed]

    def _candidates(self) -> tuple[str, ...]:
        """Where the internet may reach this peer: public addresses of its own, those that others see, a forwarded port."""
        found = dict.fromkeys(each for each in self._own() if self.trusted(ip_of(each)))
        if self._mapper is not None and self._mapper.mapping is not None and self.trusted(self._mapper.mapping.ip):
            found[self._mapper.mapping.address] = None
        for ip in self._observed.addresses(trio.current_time()):
            if self.trusted(ip):
                found.update(dict.fromkeys(self._with_listen_ports(ip)))
        return tuple(found)

    def _with_listen_ports(self, ip: str) -> Iterable[str]:
        """The address that others see with the ports that this peer listens on beyond loopback."""
        kind = f"ip{6 if ':' in ip else 4}"
        for each in self._own():
            _, own_kind, host, _, port, *_ = each.split("/")
            address = parse_ip(host)
            if own_kind == kind and address is not None and (not address.is_loopback or self.trusted(host)):
                yield f"/{kind}/{ip}/tcp/{port}"

    def _port_to_map(self) -> int | None:
        """The port that a router would have to forward; None where no router is in between, or nothing listens."""
        port = None
        for each in self._own():
            _, kind, host, _, number, *_ = each.split("/")
            address = parse_ip(host)
            if kind != "ip4" or address is None or address.is_loopback or address.is_link_local:
                continue
            if is_public(host):
                return None
            port = port or int(number)
        return port

    def _believed(self) -> set[str]:
        """The IP addresses that are this peer's: of its interfaces, of its router, and those that several networks see."""
        believed = {ip_of(each) for each in self._own()}
        believed.update(self._observed.addresses(trio.current_time(), CREDIBLE))
        if self._mapper is not None and self._mapper.mapping is not None and self.trusted(self._mapper.mapping.ip):
            believed.add(self._mapper.mapping.ip)
        return believed

    def _update(self) -> None:
        """Advertise the addresses that are believed now."""
        now, answers = trio.current_time(), self.client.answers
        verdict = answers.verdict(now)
        confirmed: dict[str, None] = {}
        mapping = self._mapper.mapping if self._mapper is not None else None
        if mapping is not None and self.trusted(mapping.ip) and verdict != PRIVATE:
            confirmed[mapping.address] = None
        if verdict == PUBLIC:
            confirmed.update(dict.fromkeys(answers.confirmed(now)))
        addrs = tuple(each for each in confirmed if each not in self._own())
        if addrs != self._host.confirmed:
            log.info("reachable at %s", ", ".join(addrs) or "no address beyond those of the interfaces")
            self._host.confirmed = addrs
            self._host.forget_addrs()
            self._network.push_identify()

    def _forwarded(self) -> None:
        self._update()
        self.client.wake()

    # Servers

    @staticmethod
    def _ip_of(record: PeerRecord) -> str:
        return ip_of(record.remote[0]) if record.remote else ""

    def _servers(self) -> Iterable[tuple[str, str]]:
        """The connected peers that serve AutoNAT and are not on this peer's own network: they refuse the others."""
        for record in self._table.records():
            info, ip = record.identify_info, self._ip_of(record)
            if info is not None and PROTOCOL in info.protocols and self.trusted(ip):
                yield record.peer, ip
