"""A node's network: opened beside it, kept up, and asked for what only a network knows.

Libp2p is imported in a worker thread, so that an interface can paint meanwhile. When the network fails as a whole it is
opened again with a growing pause; what it was doing shows as a trouble. Services inside it are supervised one by one.
"""

import gc
import importlib
import logging
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import trio

from betar_tui import __version__
from betar_tui.config import Config
from betar_tui.errors import NetworkError, NoRunningPeerError, StoreError
from betar_tui.ipld import cid
from betar_tui.market.catalogue import Catalogue
from betar_tui.market.listing import BETAR_GO, BETAR_PROTOCOL
from betar_tui.market.marketplace import (
    Connectivity,
    Event,
    Notice,
    PeerInfo,
    Seen,
    StatusChanged,
    SyncProgress,
)
from betar_tui.market.republish import RepublishReason
from betar_tui.market.seller import Seller
from betar_tui.p2p.types import (
    Misbehaviour,
    NetworkConfig,
    NetworkEvent,
    PeerConnected,
    PeerDisconnected,
    PeerJoined,
    PeerLeft,
)
from betar_tui.peer.metadata_files import MetadataFiles
from betar_tui.replica import keys
from betar_tui.replica.facts import PeerRow
from betar_tui.store.database import Store
from betar_tui.supervise import Supervisor
from betar_tui.sync.dagsync.messages import PROTOCOL as DAGSYNC
from betar_tui.sync.dagsync.server import DagSyncServer
from betar_tui.sync.pending_heads import PendingHeads
from betar_tui.sync.pending_heads_journal import PendingHeadsJournal
from betar_tui.sync.replication import Replication, accept_broadcast
from betar_tui.sync.writer import ReplicaWriter

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
KNOWN_PEERS_DIALLED = 16


class NetworkSession:
    """The network of one node. Every method answers, sensibly, before it is up and after it is down."""

    def __init__(
        self,
        config: Config,
        seed: bytes,
        store: Store,
        writer: ReplicaWriter,
        book: Catalogue,
        seller: Seller,
        *,
        emit: Callable[[Iterable[Event]], None],
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._seed = seed
        self._store = store
        self._writer = writer
        self._book = book
        self._seller = seller
        self._emit = emit
        self._clock = clock
        self._network: Network | None = None
        self._replication: Replication | None = None
        self._supervisor: Supervisor | None = None
        self._failure = ""
        self.files = MetadataFiles(store, book, emit, clock)
        self._rounds = trio.Event()
        self.sync_held = False
        self.state = Connectivity.STOPPED
        self.ready = trio.Event()

    async def run(self, start: trio.Event | None = None) -> None:
        """Keep the network open, once `start` is set, until cancelled. Raises NetworkError if it cannot be opened even
        once."""
        self._set_state(Connectivity.STARTING)
        if start is not None:
            await start.wait()
        pause = FIRST_PAUSE
        try:
            while True:
                try:
                    await self._session()
                    return
                except NetworkError as error:
                    if not self.ready.is_set():
                        raise
                    log.exception("the network failed")
                    self._failure = f"the network failed ({error}), it is opened again"
                except StoreError:
                    raise
                except Exception as error:
                    if isinstance(error, ExceptionGroup) and error.subgroup(StoreError):
                        raise
                    log.exception("the network failed")
                    self._failure = f"the network failed ({type(error).__name__}: {error}), it is opened again"
                self._set_state(Connectivity.FAILED)
                await trio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            self._set_state(Connectivity.STOPPED)

    # What a network knows.

    @property
    def addrs(self) -> tuple[str, ...]:
        """Own multiaddrs, each with /p2p."""
        return self._network.addrs if self._network else ()

    def dialable_addrs(self) -> tuple[str, ...]:
        """Own multiaddrs for a listing: without loopback unless there is no other."""
        public = tuple(each for each in self.addrs if not each.startswith(("/ip4/127.", "/ip6/::1/")))
        return public or self.addrs

    @property
    def topic_peers(self) -> int:
        """How many connected peers are on the topic."""
        return len(self._network.topic_peers()) if self._network else 0

    @property
    def pending(self) -> int:
        """How many blocks are wanted and not here."""
        return self._replication.pending if self._replication else self._writer.replica.wanted

    @property
    def sync(self) -> SyncProgress | None:
        """How a sync under way goes on."""
        return self._replication.progress if self._replication else None

    def troubles(self) -> tuple[str, ...]:
        """What does not work at the moment, in words."""
        own = self._supervisor.troubles() if self._supervisor else ()
        theirs = self._network.troubles() if self._network else ()
        return (*((self._failure,) if self._failure else ()), *own, *theirs)

    @property
    def connected(self) -> int:
        """How many peers are connected."""
        return self._network.connected if self._network else 0

    def connections(self) -> tuple[PeerInfo, ...]:
        """The connected peers."""
        return self._network.connections() if self._network else ()

    async def connect(self, address: str) -> PeerInfo:
        """Dial a peer. Raises NetworkError, NoRunningPeerError."""
        if self._network is None:
            raise NoRunningPeerError("the network is not up; start a peer with betar-tui --serve")
        return await self._network.connect(address)

    async def disconnect(self, peer: str) -> None:
        """Close the connections to a peer. Raises NetworkError, NoRunningPeerError."""
        if self._network is None:
            raise NoRunningPeerError("the network is not up; start a peer with betar-tui --serve")
        if all(each.peer_id != peer for each in self._network.connections()):
            raise NetworkError(f"{peer} is not connected; betar-tui peers shows who is")
        await self._network.disconnect(peer)

    def hold_sync(self, held: bool) -> None:
        """Stop fetching history, or go on."""
        self.sync_held = held
        if self._replication:
            self._replication.pause(held)
        self._emit([StatusChanged()])

    def peers_unable_to_read(self) -> int:
        """How many Go betars on the topic cannot read the dialect that own listings are written in."""
        if self._network is None or self._seller.dialect == BETAR_GO:
            return 0
        return len([peer for peer in self._network.topic_peers() if self._network.supports(peer, BETAR_PROTOCOL)])

    async def rewrite(self) -> None:
        """The dialect is another: put own listings again where that is due, without waiting for a round."""
        if self._network is not None:
            for peer in self._network.topic_peers():
                await self._look_for_betar(self._network, peer)
        self._rounds.set()
        self._emit([StatusChanged()])

    def announce(self, heads: Iterable[bytes]) -> int:
        """Broadcast heads at once; the number of peers they go to, 0 without a network."""
        return self._replication.queue_announcement(heads) if self._replication else 0

    def ask_again(self) -> None:
        """Something outside the network left blocks wanted."""
        if self._replication:
            self._replication.fetcher.want(self._writer.replica.wants, "")

    # How it runs.

    async def _session(self) -> None:
        # Importing libp2p takes a second and must not hold up the first frame.
        p2p = await trio.to_thread.run_sync(importlib.import_module, "betar_tui.p2p.network")
        known = await trio.to_thread.run_sync(self._store.peers)
        config = NetworkConfig(
            seed=self._seed,
            listen=self._config.listen,
            listen_explicit=self._config.listen_explicit,
            bootstrap=self._config.bootstrap,
            known_peers=tuple((peer.peer_id, peer.addrs) for peer in known[:KNOWN_PEERS_DIALLED]),
            agent_version=f"betar-tui/{__version__}",
        )
        async with p2p.open_network(config, _Blocks(self._store), accept_broadcast) as network:
            self._network = network
            self._replication = Replication(
                network,
                self._writer,
                self._store.blocks,
                PendingHeadsJournal(PendingHeads(trio.current_time), self._store, self._clock),
                self._config.announce_interval,
                self._seen,
            )
            self._replication.pause(self.sync_held)
            server = DagSyncServer(self._store.blocks)
            network.set_protocol_handler(DAGSYNC, server.handle)
            log.info("listening on %s", ", ".join(self.addrs))
            try:
                await self._serve(network, self._replication)
            finally:
                await self._replication.close()
                self._network = self._replication = self._supervisor = None

    async def _serve(self, network: "Network", replication: "Replication") -> None:
        async with trio.open_nursery() as nursery:
            supervisor = self._supervisor = Supervisor(nursery)
            self._failure = ""
            supervisor.start("events", lambda: self._events(network, replication))
            supervisor.start("blocks", lambda: self._blocks(network, replication))
            supervisor.start("merging", replication.run_merges)
            supervisor.start("fetching", replication.fetcher.run)
            supervisor.start("asking again", replication.fetcher.run_rotation)
            supervisor.start("announced heads", replication.run_pending_heads)
            supervisor.start("telling", replication.flush_announcements)
            supervisor.start("announcing", replication.rebroadcast_periodically)
            supervisor.start("greeting", replication.announce_to_joiners)
            supervisor.start("announcing again", replication.rebroadcast_after_burst)
            supervisor.start("metadata files", lambda: self.files.run(network))
            supervisor.start("own listings", lambda: self._own_rounds(replication))
            # What was imported and read so far stays: walking it again and again costs the collector, and so the
            # loop, a tenth of a second each time.
            gc.collect()
            gc.freeze()
            self._set_state(Connectivity.ALONE)
            self.ready.set()

    async def _events(self, network: "Network", replication: "Replication") -> None:
        async for event in network.events:
            await replication.handle(event)
            await self._note(network, event)

    async def _blocks(self, network: "Network", replication: "Replication") -> None:
        async for block in network.blocks:
            if self.files.asked(block.cid):
                await self.files.take(network, block)
                # A listing may name a delta as its metadata: that must not keep the delta from the replica.
                if not self._writer.replica.is_wanted(block.cid) and not replication.fetcher.asked(block.cid):
                    continue
            await replication.on_block(block)

    async def _note(self, network: "Network", event: NetworkEvent) -> None:
        """What the node itself makes of an event."""
        if isinstance(event, PeerConnected) and event.addrs and self._reached(network, event.peer):
            row = PeerRow(event.peer, event.addrs, self._clock())
            await trio.to_thread.run_sync(self._store.put_peer, row)
        if isinstance(event, Misbehaviour):
            self._emit([Notice("warning", f"{event.peer}: {event.what}", self._clock())])
        if isinstance(event, PeerConnected | PeerDisconnected):
            log.info("%s %s", event.peer, "connected" if isinstance(event, PeerConnected) else "is gone")
        if isinstance(event, PeerConnected | PeerJoined):
            await self._look_for_betar(network, event.peer)
        if isinstance(event, PeerConnected | PeerDisconnected | PeerJoined | PeerLeft):
            online = bool(network.connections())
            self._set_state(Connectivity.ONLINE if online else Connectivity.ALONE)

    @staticmethod
    def _reached(network: "Network", peer: str) -> bool:
        """Whether we dialled the peer ourselves: what others say of their addresses may be anything."""
        return any(each.peer_id == peer and each.direction == "out" for each in network.connections())

    async def _look_for_betar(self, network: "Network", peer: str) -> None:
        if peer not in network.topic_peers() or not network.supports(peer, BETAR_PROTOCOL):
            return
        if await self._seller.speak_betar_go():
            self._tell(
                "info", f"a Go betar ({peer}) is on the topic: own listings are now written so that it can read them"
            )
            self._rounds.set()

    async def _own_rounds(self, replication: "Replication") -> None:
        """Keep own listings up: each interval, and at once when something asks for it."""
        while True:
            repairs = await self._seller.round()
            if repairs:
                replication.queue_announcement(self._writer.heads)
            for repair in repairs:
                level = "warning" if repair.why.healing or repair.trouble else "info"
                done = f"not put again: {repair.trouble}" if repair.trouble else "put again"
                done = "taken over" if repair.why is RepublishReason.ADOPTED and not repair.trouble else done
                self._tell(level, f"{repair.name}: {repair.why}; {done}")
            with trio.move_on_after(self._config.announce_interval * random.uniform(0.7, 1.3)):
                await self._rounds.wait()
            self._rounds = trio.Event()

    def _tell(self, level: str, text: str) -> None:
        log.log(logging.getLevelNamesMapping()[level.upper()], "%s", text)
        self._emit([Notice(level, text, self._clock())])

    def _seen(self, name: bytes, touched: tuple[str, ...], peers: int) -> None:
        ids = tuple(each for each in map(keys.agent_id, touched) if each is not None)
        self._emit([Seen(cid.to_str(name), ids, peers)])

    def _set_state(self, state: Connectivity) -> None:
        if state is not self.state:
            self.state = state
            self._emit([StatusChanged()])


class _Blocks:
    """Serves the store's blocks to Bitswap."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def blocks(self, cids: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Of the CIDs asked for, those held."""
        return await trio.to_thread.run_sync(self._store.blocks, cids)
