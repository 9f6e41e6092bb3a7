"""Finding peers, and keeping those of the market: what a peer that is found, identified, joins or is lost means for each
way of finding them and for the address book."""

import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import trio

from betar_tui.p2p.adaptations.host import PeerHost
from betar_tui.p2p.address_book import STRANGER_SECONDS
from betar_tui.p2p.candidates import Candidates
from betar_tui.p2p.connection_table import ConnectionTable, PeerRecord
from betar_tui.p2p.dht.contacts import Contacts
from betar_tui.p2p.dialer import Dialer
from betar_tui.p2p.discovery.kademlia import DHT, Kademlia, Market
from betar_tui.p2p.discovery.mdns import LOCAL_NETWORK, LocalDiscovery
from betar_tui.p2p.identify import IdentifyInfo
from betar_tui.p2p.searches import search
from betar_tui.p2p.types import NetworkConfig
from betar_tui.supervise import Supervisor
from betar_tui.values import Search


class PeerFinder:
    """`learned(peer, info)` is called for a peer that counts as connected only from now on; the rest is as in `Contacts`
    and `Candidates`."""

    def __init__(
        self,
        market: Market,
        config: NetworkConfig,
        host: PeerHost,
        table: ConnectionTable,
        dialer: Dialer,
        supervisor: Supervisor,
        nursery: trio.Nursery,
        banned: Callable[[str], bool],
        close: Callable[[str], Awaitable[None]],
        learned: Callable[[str, IdentifyInfo], None],
    ) -> None:
        self._market = market
        self._config = config
        self._host = host
        self._table = table
        self._dialer = dialer
        self._book = dialer.address_book
        self._supervisor = supervisor
        self._learned = learned
        self._candidates = Candidates(market.peer_id, dialer, nursery, market.topic_peers, banned)
        self._contacts = Contacts(dialer, table, banned, market.open_stream, close, market.penalize)
        self._local: LocalDiscovery | None = None
        self.dht = Kademlia(market, self._contacts, partial(supervisor.report, DHT), config.dht_seeds)

    def start(self, bootstrap: Iterable[tuple[str, str]]) -> None:
        """Start the services that are switched on. `bootstrap` pairs peers with their addresses."""
        for peer, address in bootstrap:
            self._book.add(peer, (address,), "bootstrap")
        for peer, addrs in self._config.known_peers:
            self._book.add(peer, addrs, "remembered")
        self._supervisor.start("dialling", self._dialer.run)
        self._supervisor.start("leaving strangers", self._leave_strangers)
        if self._config.dht:
            self._supervisor.start(DHT, self.dht.run)
        if self._config.mdns:
            local = self._local = LocalDiscovery(
                self._host.fresh_addr_texts,
                lambda: len(self._market.topic_peers()),
                self._sighted,
                partial(self._supervisor.report, LOCAL_NETWORK),
            )
            self._supervisor.start(LOCAL_NETWORK, local.run)

    def moved(self) -> None:
        """The addresses of this machine may have changed."""
        if self._local is not None:
            self._local.moved()

    async def _leave_strangers(self) -> None:
        """A service: strangers that stay connected without the topic keep their places from no others for long."""
        while True:
            await trio.sleep(STRANGER_SECONDS)
            await self._contacts.leave(self._book.overstayed(trio.current_time()))

    def searches(self) -> tuple[Search, ...]:
        """What is done to find peers: each way that is on, and the peers that are dialled."""
        offset = time.time() - trio.current_time()
        ways: list[Search] = []
        if (local := self._local) is not None:
            ways.append(search("searching the local network", local.next_ask, offset, local.trouble))
        if self._config.dht:
            ways.append(search("searching the DHT", self.dht.next_search, offset, self.dht.trouble))
        return (*ways, *self._dialer.searches())

    def _sighted(self, peer: str, addrs: tuple[str, ...], fresh: bool) -> None:
        """A peer is on the local network."""
        if peer == self._market.peer_id:
            self._market.remember(peer, addrs)  # which looks into it
        else:
            self._candidates.add("mdns", peer, addrs, fresh)

    def is_stranger(self, peer: str) -> bool:
        """Whether a peer is connected for the DHT alone, see `Contacts`."""
        return self._contacts.is_stranger(peer)

    def found(self, peer: str) -> str:
        """How a connected peer was found, see `PeerInfo.found`; "" for one that was not looked for."""
        found = self._contacts.found(peer)
        # One that had dialled before it was found, too.
        return self._candidates.found(peer) or found if found in ("", "incoming") else found

    def remember(self, peer: str, addrs: Iterable[str], found: str) -> bool:
        """Keep dialling a peer. Returns whether it can be dialled."""
        added = self._book.add(peer, addrs, found)
        if added:
            self.adopt(peer)
        self._dialer.wake()
        return added

    def reached(self, peer: str, address: str) -> None:
        """The user named an address, and the peer has proved there who it is."""
        self._book.add(peer, (address,), "connect")
        self._book.answered(peer, trio.current_time())
        self.adopt(peer)
        self._note_member(peer)

    def adopt(self, peer: str) -> None:
        """A peer that was only asked about others counts as connected from now on."""
        if self._contacts.adopt(peer) and (record := self._table.get(peer)) and record.identify_info is not None:
            self._book.add(peer, record.worth_dialling(), "dht")
            self._learned(peer, record.identify_info)

    def topic_changed(self, peer: str, on_topic: bool) -> None:
        """A peer joined the topic, or left it."""
        if on_topic:
            self.adopt(peer)
            self._candidates.joined(peer)
        self._note_member(peer)
        self.dht.topic_changed()

    def identified(self, record: PeerRecord, identify_info: IdentifyInfo) -> bool:
        """A connected peer said who it is. Returns whether it counts as connected, and not only for the DHT."""
        peer = record.peer
        self.dht.identified(peer, identify_info.protocols, identify_info.addrs)
        if self._contacts.is_stranger(peer):
            return False
        self._book.replace(peer, record.worth_dialling())
        self._book.connected(peer, trio.current_time(), record.direction == "out")
        self._note_member(peer)
        return True

    def ended(self, peer: str) -> None:
        """The last connection to a peer ended."""
        self.dht.ended(peer)
        self._contacts.ended(peer)
        self._book.lost(peer, trio.current_time())
        self._dialer.wake()

    def _note_member(self, peer: str) -> None:
        """Keep dialling a peer that is identified and on the topic, whichever side dialled."""
        record = self._table.get(peer)
        if record is not None and record.identify_info is not None and peer in self._market.topic_peers():
            self._book.add(peer, record.worth_dialling(), "incoming" if record.direction == "in" else "")
            self._book.joined(peer, trio.current_time())
