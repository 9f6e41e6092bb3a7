"""Finding peers in the DHT, and being found there.

The market has a rendezvous string. Whoever is in the market stores a provider record under its hash, at the servers
nearest to that hash, and asks them for the records of others: at the start, then at growing intervals, and those that
are connected anyway more often while few others are on the topic. A Go betar provides itself and never searches
(docs/protocol.md#discovery-and-connections)."""

import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256
from typing import Protocol

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.errors import NetworkError
from betar_tui.multiaddrs import split_peer
from betar_tui.p2p.dht.client import LOOPBACK, DhtClient, Found, scope, usable
from betar_tui.p2p.dht.contacts import Contacts
from betar_tui.p2p.dht.lookup import ALPHA, K, peer_position, position
from betar_tui.p2p.dht.messages import PROTOCOL, DhtPeer, Kind, binary_addresses, binary_id, tcp_address
from betar_tui.p2p.dht.providers import ProviderRecords
from betar_tui.p2p.dht.routing_table import RoutingTable
from betar_tui.p2p.dht.server import DhtServer
from betar_tui.p2p.types import Stream

log = logging.getLogger(__name__)

DHT = "finding peers in the DHT"
"""Name of the service."""
RENDEZVOUS = "betar/agent-marketplace"
KEY = b"\x12\x20" + sha256(RENDEZVOUS.encode()).digest()
"""The multihash of the CID under which Go's discovery provides the rendezvous; a key in the DHT has no more of a CID."""
SEARCH_MIN, SEARCH_MAX = 5.0, 300.0
"""Seconds between two searches: they double from the one to the other, from the start and whenever we are alone."""
FEW = 6
"""Number of peers on the topic from which on there is less hurry: as many as GossipSub wants as neighbours."""
GLANCE, CALM_GLANCE = 15.0, 60.0
"""Seconds between two questions to the connected servers, while there are few peers and later. They cost a message
each."""
GLANCE_MIN = 2.0
"""Minimum seconds between two of them: servers that connect again and again cause no more."""
JITTER = 0.1
"""Fraction of a pause by which it varies either way."""
PROVIDE_AGAIN = 3600.0
"""Seconds after which a server is given our record again; it keeps it for 24 hours or more."""
MAX_PROVIDED = 256
"""Maximum servers for which it is remembered when they were given our record."""
MAX_KEPT = 4
"""Maximum connections to servers near the key that are kept between searches."""
MAX_GLANCED = 8
"""Maximum connected servers that are asked at a time."""
MAX_DIALLED = 32
"""Maximum providers that are dialled because of one lookup."""
HAND_AGAIN = 600.0
"""Seconds until a provider with the same addresses is dialled because of the DHT again."""
MAX_HANDED = 1024
"""Maximum providers for which that is remembered."""


class Market(Protocol):
    """The network of the market as this service sees it; `Network` is one."""

    @property
    def peer_id(self) -> str:
        """This peer."""

    @property
    def addrs(self) -> tuple[str, ...]:
        """Own multiaddrs."""

    @property
    def serves_dht(self) -> bool:
        """Whether this peer should be a server."""

    def topic_peers(self) -> tuple[str, ...]:
        """The peers on the topic."""

    def remember(self, peer: str, addrs: Iterable[str], found: str = "") -> bool:
        """Takes a peer that was found."""

    def set_protocol_handler(self, protocol: str, handler: Callable[[Stream], Awaitable[None]] | None) -> None:
        """Serve a protocol, or no longer, and tell the connected peers."""

    async def open_stream(self, peer: str, protocol: str) -> Stream:
        """A stream to a connected peer. Raises NetworkError."""

    def penalize(self, peer: str, reason: str) -> None:
        """Count a misbehaviour."""


class Kademlia:
    """The service. `run` searches and provides; the network reports what it learns of its peers.

    `report` shows a trouble, and with "" that it is over. `seeds` are multiaddrs of servers, each with /p2p, that are
    asked while few others are known.
    """

    def __init__(self, market: Market, contacts: Contacts, report: Callable[[str], None], seeds: Iterable[str]) -> None:
        self._market = market
        self._own = own = market.peer_id
        self._contacts = contacts
        self._say = report
        self._seeds = [(split_peer(each)[1], each) for each in seeds]
        self._table = RoutingTable(own)
        self._records = ProviderRecords(KEY)
        self._client = DhtClient(own, contacts, self._answered, self._failed)
        self.server = DhtServer(self._table, self._records, self._own_peer, contacts.remote, trio.current_time)
        self._connected: set[str] = set()  # servers
        self._kept: set[str] = set()
        self._provided: dict[str, tuple[float, tuple[bytes, ...]]] = {}
        self._handed: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._wakeup = Wakeup()
        self._searches = 0  # since the start, or since nobody is on the topic any more
        self._alone = True
        self._last_failure = ""
        self.trouble = ""
        self._told = False  # the trouble, by `report`
        self.next_search = 0.0

    # What the network reports.

    def identified(self, peer: str, protocols: Iterable[str], addrs: Iterable[str]) -> None:
        """A connected peer has said what it speaks and where it listens."""
        if PROTOCOL not in protocols:
            self._connected.discard(peer)
            self._table.remove(peer)
            return
        claimed = DhtPeer(peer, binary_addresses(addrs))
        least = min(map(scope, self._contacts.remote(peer)), default=LOOPBACK)
        self._table.add(peer, binary_addresses(usable(claimed, least)), trio.current_time())
        if peer not in self._connected:
            self._connected.add(peer)
            if not self._contacts.is_stranger(peer):
                self._wakeup.set()

    def ended(self, peer: str) -> None:
        """The last connection to a peer ended. A server that we did not leave may come back without our record."""
        self._connected.discard(peer)
        if peer in self._kept or not self._contacts.is_stranger(peer):
            self._provided.pop(peer, None)
        self._kept.discard(peer)

    def topic_changed(self) -> None:
        """A peer joined the topic or left it."""
        alone = not self._others()
        if alone and not self._alone:
            self._searches, self.next_search = 0, trio.current_time() + SEARCH_MIN
            self._wakeup.set()
        self._alone = alone

    # The service.

    async def run(self) -> None:
        """Search and provide until cancelled."""
        glanced, expired = -GLANCE_MIN, trio.current_time()
        while True:
            now = trio.current_time()
            if self.server.serving != self._market.serves_dht:
                self.server.serving = self._market.serves_dht
                self._market.set_protocol_handler(PROTOCOL, self.server.handle if self.server.serving else None)
            if now >= self.next_search or (self.trouble and self._connected):
                asked = await self._search()
            else:
                asked = await self._glance()
            glanced = trio.current_time() if asked else glanced
            if self.server.serving:
                await self._contacts.trim(self._others())
                if now > expired + PROVIDE_AGAIN:
                    self._records.expire(now)
                    expired = now
            await self._pause(glanced)

    async def _pause(self, glanced: float) -> None:
        """Wait until something is due, or until a server has connected and may be asked."""
        pause = GLANCE if self._connected and len(self._others()) < FEW else CALM_GLANCE
        with trio.move_on_at(min(self.next_search, trio.current_time() + pause)):
            await self._wakeup.wait()
            await trio.sleep_until(glanced + GLANCE_MIN)

    async def _search(self) -> int:
        """One whole lookup; afterwards the nearest servers have our record, and a few of them stay connected.

        Returns the number of servers that were asked."""
        self._searches += 1
        pause = min(SEARCH_MIN * 2.0 ** min(self._searches - 1, 10), SEARCH_MAX)
        self.next_search = trio.current_time() + pause * random.uniform(1 - JITTER, 1 + JITTER)
        self._last_failure = ""
        try:
            if self.server.serving:  # so that those near us know us
                await self._client.search(Kind.FIND_NODE, binary_id(self._own), self._start(self._own))
            result = await self._client.search(Kind.GET_PROVIDERS, KEY, self._start())
            self._hand_over(result)
            await self._provide(result.closest)
            self._kept = {peer for peer in result.closest[:MAX_KEPT] if self._contacts.is_stranger(peer)}
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(1):
                await self._contacts.release(self._kept)
        self._report(result)
        return result.asked

    async def _glance(self) -> int:
        """Ask the connected servers alone. Returns their number."""
        target = position(KEY)
        nearest = sorted(self._connected, key=lambda peer: peer_position(peer) ^ target)[:MAX_GLANCED]
        result = await self._client.ask_connected(Kind.GET_PROVIDERS, KEY, nearest)
        self._hand_over(result)
        await self._provide(result.closest)
        return result.asked

    def _start(self, near: str = "") -> list[tuple[str, tuple[str, ...]]]:
        """The peers that a lookup of the key, or of a peer, starts from; the seeds too while few servers are known.

        Those that are connected may all lie, so that they do not make the seeds superfluous."""
        target = peer_position(near) if near else position(KEY)
        known = [(each.peer, usable(each, LOOPBACK)) for each in self._table.closest(target)]
        listed = {peer for peer, _ in known}
        known += [(peer, ()) for peer in sorted(self._connected - listed)]
        if self.trouble or len(self._table) < K:
            known += [(peer, (address,)) for peer, address in self._seeds if peer not in listed]
        return [each for each in known if not self._contacts.is_dismissed(each[0])]

    def _hand_over(self, result: Found) -> None:
        """Have providers dialled that are not on the topic: anybody may invent some, so only a few, chosen by chance."""
        now = trio.current_time()
        others = set(self._others())

        def is_new(peer: str) -> bool:
            then, addrs = self._handed.get(peer, (0.0, ()))
            return (
                peer not in others
                and not self._contacts.is_dismissed(peer)
                and (set(addrs) != set(result.providers[peer]) or then < now - HAND_AGAIN)
            )

        new = [peer for peer in result.providers if is_new(peer)]
        for peer in random.sample(new, min(len(new), MAX_DIALLED)):
            self._handed.pop(peer, None)
            self._handed[peer] = now, result.providers[peer]
            if len(self._handed) > MAX_HANDED:
                del self._handed[next(iter(self._handed))]
            self._market.remember(peer, result.providers[peer], "dht")

    async def _provide(self, servers: Iterable[str]) -> None:
        """Give our record to servers that do not have it, or had it long ago or with other addresses."""
        limit = trio.CapacityLimiter(ALPHA)

        async def give(server: str, addrs: tuple[bytes, ...]) -> None:
            async with limit:
                try:
                    await self._client.provide(server, KEY, addrs)
                except NetworkError as error:
                    log.debug("%s does not take our record: %s", server, error)
                    return
            self._provided.pop(server, None)
            self._provided[server] = trio.current_time(), addrs
            if len(self._provided) > MAX_PROVIDED:
                del self._provided[next(iter(self._provided))]

        own = self._own_addrs()
        async with trio.open_nursery() as nursery:
            for server in servers:
                least = min(map(scope, self._contacts.remote(server)), default=LOOPBACK)
                addrs = tuple(raw for raw, reach in own if reach >= least)
                given = self._provided.get(server)
                again = given is None or given[1] != addrs or given[0] < trio.current_time() - PROVIDE_AGAIN
                if addrs and again:
                    nursery.start_soon(give, server, addrs)

    def _own_addrs(self) -> list[tuple[bytes, int]]:
        """Own addresses in binary, each with its scope."""
        binary = binary_addresses(split_peer(each)[0] for each in self._market.addrs)
        return [(raw, scope(text)) for raw in binary if (text := tcp_address(raw)) is not None]

    def _own_peer(self) -> DhtPeer:
        return DhtPeer(self._own, tuple(raw for raw, _ in self._own_addrs()))

    def _others(self) -> tuple[str, ...]:
        return self._market.topic_peers()

    # Servers that answer and fail.

    def _answered(self, peer: str) -> None:
        self._table.add(peer, (), trio.current_time())

    def _failed(self, peer: str, reason: str) -> None:
        self._table.remove(peer)
        self._last_failure = reason

    def _report(self, result: Found) -> None:
        """Say once that no server answers, until one does. Without any to ask, a bootstrap peer may still come."""
        if result.closest:
            log.debug("the DHT: %d asked, %d providers", result.asked, len(result.providers))
            if self._told:
                self._say("")
            self.trouble, self._told = "", False
        elif not self.trouble:
            self.trouble = "no server of the DHT answers"
            if result.asked:
                log.warning("%s (%s); tried again at growing intervals", self.trouble, self._last_failure)
                self._say(f"{self.trouble} ({self._last_failure})")
                self._told = True
