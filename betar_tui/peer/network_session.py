"""The network of a peer: kept open for as long as the peer runs, and joined to its replica and its listings.

libp2p is imported in a worker thread, so that an interface can paint meanwhile. A network that fails as a whole is opened
again (see `reopening`); the services in it are supervised one by one."""

import importlib
import logging
import random
from collections.abc import AsyncIterable, Callable, Collection, Iterable
from typing import TYPE_CHECKING

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.config import Config
from betar_tui.errors import NetworkError, NoRunningPeerError
from betar_tui.ipld import cid as cids
from betar_tui.market.fields import BETAR_GO, BETAR_PROTOCOL
from betar_tui.market.marketplace import (
    Connected,
    Connectivity,
    Event,
    Notice,
    PeerInfo,
    Quota,
    Reachability,
    Search,
    Seen,
    StatusChanged,
    SyncProgress,
)
from betar_tui.market.peer_facts import disk_text
from betar_tui.market.seller import Seller
from betar_tui.multiaddrs import without_loopback
from betar_tui.peer.ban_memory import BanMemory
from betar_tui.peer.block_source import StoredBlocks
from betar_tui.peer.disk import LOOK_EVERY, DiskQuota
from betar_tui.peer.metadata_files import MetadataFiles
from betar_tui.peer.peer_memory import PeerMemory
from betar_tui.peer.reopening import Reopening
from betar_tui.replica import Applied, keys
from betar_tui.store.database import Store
from betar_tui.supervise import Supervisor
from betar_tui.sync.writer import ReplicaWriter

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network
    from betar_tui.p2p.types import ReceivedBlock
    from betar_tui.peer.reacting import Reactions
    from betar_tui.sync.replication import Replication

log = logging.getLogger(__name__)


class NetworkSession:
    """The network of one peer. Its methods can be called before the network is up and after it is down.

    `network` is None while it is down; `ready` is set when it is up for the first time."""

    def __init__(
        self,
        config: Config,
        seed: bytes,
        store: Store,
        writer: ReplicaWriter,
        seller: Seller,
        metadata_files: MetadataFiles,
        *,
        emit: Callable[[Iterable[Event]], None],
        clock: Callable[[], float],
        blocked: Callable[[], Iterable[str]],
        disk: DiskQuota,
    ) -> None:
        self._config = config
        self._seed = seed
        self._store = store
        self._writer = writer
        self._seller = seller
        self._emit = emit
        self._clock = clock
        self._blocked = blocked
        self._disk = disk
        self._refused = 0
        self.network: Network | None = None
        self._replication: Replication | None = None
        self._reactions: Reactions | None = None
        self._supervisor: Supervisor | None = None
        self._reopening = Reopening(self._run_network, self._set_state)
        self.metadata_files = metadata_files
        self._memory = PeerMemory(store, clock)
        self._bans = BanMemory(store)
        self._round_due = Wakeup()
        self._heads_due = False
        self.sync_held = False
        self.state = Connectivity.STOPPED
        self.ready = trio.Event()

    async def run(self, start: trio.Event | None = None, must_open: bool = True) -> None:
        """Keep the network open, once `start` is set, until cancelled. Raises NetworkError if it cannot be opened even
        once; without `must_open` it then stays offline, and is tried again and again."""
        self._set_state(Connectivity.STARTING)
        if start is not None:
            await start.wait()
        try:
            await self._reopening.run(must_open)
        finally:
            self._set_state(Connectivity.STOPPED)

    # The network, seen from the peer.

    @property
    def addrs(self) -> tuple[str, ...]:
        """Own multiaddrs, each with /p2p."""
        return self.network.addrs if self.network else ()

    def dialable_addrs(self) -> tuple[str, ...]:
        """Own multiaddrs for a listing: without loopback unless it has only that."""
        return without_loopback(self.addrs)

    @property
    def topic_peers(self) -> int:
        """Number of connected peers that are on the topic."""
        return len(self.network.topic_peers()) if self.network else 0

    @property
    def pending(self) -> int:
        """Number of missing blocks."""
        return self._replication.pending if self._replication else self._writer.replica.wanted

    @property
    def sync(self) -> SyncProgress | None:
        """The sync under way, None where nothing is missing."""
        return self._replication.progress if self._replication else None

    def troubles(self) -> tuple[str, ...]:
        """The troubles of the network and its services, one sentence each."""
        own = self._supervisor.troubles() if self._supervisor else ()
        theirs = self.network.troubles() if self.network else ()
        return (*own, *theirs)

    @property
    def offline(self) -> str:
        """Why the network is not open although it should be, else ""."""
        return self._reopening.offline

    @property
    def port_taken(self) -> str:
        """The address that could not be listened on, if the network is offline for that reason, else ""."""
        return self._reopening.port_taken

    @property
    def listen_notice(self) -> str:
        """A sentence about the default port, if another one was taken, else ""."""
        return self.network.listen_notice if self.network else ""

    @property
    def listen(self) -> tuple[str, ...]:
        """The multiaddrs that it was told to listen on."""
        return tuple(self._config.listen)

    def searches(self) -> tuple[Search, ...]:
        """What is done to find peers."""
        return self.network.searches() if self.network else ()

    async def go_online(self, free_port: bool) -> None:
        """Open the network at once if it is offline. Raises NetworkError, NoRunningPeerError."""
        await self._reopening.go_online(free_port)

    def reachability(self) -> Reachability:
        """How others can dial this peer."""
        return self.network.reachability() if self.network else Reachability()

    @property
    def connected(self) -> int:
        """Number of connected peers."""
        return self.network.connected if self.network else 0

    @property
    def audience(self) -> int:
        """Number of peers that an announcement is sent to now."""
        return self.network.audience if self.network else 0

    def connections(self) -> tuple[PeerInfo, ...]:
        """The connected peers."""
        connections = self.network.connections() if self.network else ()
        if self._replication is None:
            return connections
        return self._replication.observation.describe(connections, self._clock())

    async def connect(self, address: str) -> Connected:
        """Dial a peer and remember it. Raises NetworkError, NoRunningPeerError."""
        if self.network is None:
            raise self._not_up()
        connected = await self.network.connect(address)
        if self.network is not None:
            await self._memory.note(self.network, connected.peer.peer_id)
        return connected

    async def disconnect(self, peer: str) -> None:
        """Close the connections to a peer. Raises NetworkError, NoRunningPeerError."""
        if self.network is None:
            raise self._not_up()
        if all(each.peer_id != peer for each in self.network.connections()):
            raise NetworkError(f"{peer} is not connected; betar-tui peers shows who is")
        await self.network.disconnect(peer)

    async def block(self, peer: str) -> None:
        """Close the connections to a peer and have nothing to do with it; where no network is up, from its start on."""
        if self.network is not None:
            await self.network.block(peer)

    def unblock(self, peer: str) -> None:
        """Let a peer in again."""
        if self.network is not None:
            self.network.unblock(peer)

    def _not_up(self) -> NetworkError | NoRunningPeerError:
        if self.offline:
            return NetworkError(f"this peer is offline: {self.offline}")
        return NoRunningPeerError("the network is not up; start a peer with betar-tui --serve")

    def hold_sync(self, held: bool) -> None:
        """Stop fetching history, or resume it."""
        self.sync_held = held
        if self._replication:
            self._replication.pause(held or self._disk.full)
        self._emit([StatusChanged()])

    @property
    def disk(self) -> Quota:
        """How large the replica may get."""
        return self._disk.quota(self._refused + (self._replication.refused if self._replication else 0))

    async def _watch_disk(self, replication: "Replication") -> None:
        """A service: takes nothing more of others once the replica is as large as it may be."""
        while True:
            if await self._disk.look():
                full = self._disk.full
                text = f"{disk_text(self.disk)}; own listings are stored as ever" if full else "there is room again"
                log.warning("%s", text)
                self._emit(
                    [Notice("warning" if full else "info", f"The replica: {text}", self._clock()), StatusChanged()]
                )
                self._hold_to_disk(replication)
            await trio.sleep(LOOK_EVERY)

    def _hold_to_disk(self, replication: "Replication") -> None:
        replication.full = self.metadata_files.full = self._disk.full
        replication.pause(self.sync_held or self._disk.full)

    def peers_unable_to_read(self) -> int:
        """Number of Go betars on the topic that cannot read the dialect of own listings."""
        if self.network is None or self._seller.dialect == BETAR_GO:
            return 0
        return len([peer for peer in self.network.topic_peers() if self.network.supports(peer, BETAR_PROTOCOL)])

    async def rewrite(self) -> None:
        """Put own listings again where another dialect demands it, without waiting for the next round."""
        if self.network is not None and self._reactions is not None:
            for peer in self.network.topic_peers():
                await self._reactions.look_for_betar(peer)
        self._round_due.set()
        self._emit([StatusChanged()])

    def announce(self, heads: Collection[bytes]) -> None:
        """Announce heads as soon as possible; without a network they go out when one is up.

        The writer hands over every delta of this peer as soon as it is stored (see `_run_network`), and each round of
        maintenance the heads. Only the heads that an archive brings come from the caller."""
        if self._replication and heads:
            self._replication.queue_announcement(heads)

    def _announce_written(self, cids: Collection[bytes]) -> None:
        if self._seller.maintaining:  # a round may write thousands of deltas: it announces the heads at its end
            self._heads_due |= bool(cids)
        else:
            self.announce(cids)

    def fetch_missing(self) -> None:
        """Ask for the blocks that an archive lacks."""
        if self._replication:
            self._replication.fetcher.want(self._writer.replica.wants, "")

    # The services.

    async def _run_network(self) -> None:
        # Importing libp2p takes a second, in which the interface shows the stored listings.
        await trio.to_thread.run_sync(_import_network)
        from betar_tui.p2p.opening import open_network
        from betar_tui.peer.network_config import network_config
        from betar_tui.peer.reacting import Reactions
        from betar_tui.sync.accepting import accept_broadcast
        from betar_tui.sync.dagsync.messages import PROTOCOL as DAGSYNC
        from betar_tui.sync.dagsync.server import DagSyncServer
        from betar_tui.sync.pending_heads import PendingHeads
        from betar_tui.sync.pending_heads_journal import PendingHeadsJournal
        from betar_tui.sync.replication import Replication

        known, bans = await self._memory.load(), await self._bans.load()
        config = network_config(
            self._config, self._seed, self._blocked(), known, bans, free_port=self._reopening.free_port
        )
        async with open_network(config, StoredBlocks(self._store), accept_broadcast) as network:
            self.network = network
            self._replication = Replication(
                network,
                self._writer,
                self._store.look_up,
                PendingHeadsJournal(PendingHeads(trio.current_time), self._store, self._clock),
                self._config.announce_interval,
                self._report_delivery,
            )
            # After `Replication`, which listens too: it then has a new delta's block when that is announced.
            stop_announcing = self._writer.listen(_written, self._announce_written)
            self._hold_to_disk(self._replication)
            server = DagSyncServer(self._store.look_up, self._replication.observation.sent)
            network.set_protocol_handler(DAGSYNC, server.handle)
            log.info("listening on %s", ", ".join(self.addrs))
            if network.listen_notice:
                self._emit([Notice("warning", network.listen_notice, self._clock())])
            self._reactions = Reactions(
                network,
                self._memory,
                self._seller,
                emit=self._emit,
                rewrite=self._round_due.set,
                set_state=self._set_state,
                clock=self._clock,
            )
            try:
                await self._run_services(network, self._replication, self._reactions)
            finally:
                await self._replication.close()
                stop_announcing()
                self._refused += self._replication.refused
                self.network = self._replication = self._reactions = self._supervisor = None

    async def _run_services(self, network: "Network", replication: "Replication", reactions: "Reactions") -> None:
        async with trio.open_nursery() as nursery:
            supervisor = self._supervisor = Supervisor(nursery)
            supervisor.start("events", lambda: reactions.run(replication))
            supervisor.start("blocks", lambda: self._blocks(network, network.blocks, replication))
            supervisor.start("large blocks", lambda: self._blocks(network, network.large_blocks, replication))
            supervisor.start("merging", replication.run_merges)
            supervisor.start("merging large deltas", replication.run_large_merges)
            supervisor.start("fetching", replication.fetcher.run)
            supervisor.start("requesting missing blocks again", replication.fetcher.run_rotation)
            supervisor.start("announced heads", replication.run_pending_heads)
            supervisor.start("looking up announced heads", replication.lookups.run)
            supervisor.start("observing peers", replication.observation.run)
            supervisor.start("announcing own deltas", replication.flush_announcements)
            supervisor.start("announcing", replication.rebroadcast_periodically)
            supervisor.start("announcing to joiners", replication.announce_to_joiners)
            supervisor.start("rebroadcast after a burst", replication.rebroadcast_after_burst)
            supervisor.start("metadata files", lambda: self.metadata_files.run(network))
            supervisor.start("own listings", self._own_rounds)
            supervisor.start("remembered peers", lambda: self._memory.run(network))
            supervisor.start("size of the replica", lambda: self._watch_disk(replication))
            supervisor.start("remembered bans", lambda: self._bans.run(network))
            self._reopening.opened()
            self._set_state(Connectivity.ALONE)
            self.ready.set()

    async def _blocks(
        self, network: "Network", blocks: AsyncIterable["ReceivedBlock"], replication: "Replication"
    ) -> None:
        async for block in blocks:
            if self.metadata_files.asked(block.cid):
                await self.metadata_files.take(network, block)
                # A listing may name a delta as its metadata: that must not keep the delta from the replica.
                if not self._writer.replica.is_wanted(block.cid) and not replication.fetcher.asked(block.cid):
                    continue
            await replication.on_block(block)

    async def _own_rounds(self) -> None:
        """Keep own listings up: each interval, and at once when something asks for it."""
        while True:
            try:
                repairs = await self._seller.maintain()
            finally:  # also of what was written before a fault
                if self._heads_due:
                    self._heads_due = False
                    self.announce(self._writer.heads)
            for repaired in repairs:
                level = logging.getLevelNamesMapping()[repaired.level.upper()]
                log.log(level, "%s: %s", repaired.name, repaired.text)
                self._emit([repaired])
            with trio.move_on_after(self._config.announce_interval * random.uniform(0.7, 1.3)):
                await self._round_due.wait()

    def _report_delivery(self, cid: bytes, touched: tuple[str, ...], peers: int) -> None:
        ids = tuple(listing_id for listing_id in map(keys.agent_id, touched) if listing_id is not None)
        self._emit([Seen(cids.to_str(cid), ids, peers)])

    def _set_state(self, state: Connectivity) -> None:
        if state is not self.state:
            self.state = state
            self._emit([StatusChanged()])


def _import_network() -> None:
    modules = "p2p.opening", "peer.network_config", "peer.reacting", "sync.pending_heads_journal", "sync.dagsync.server"
    for module in modules:
        importlib.import_module(f"betar_tui.{module}")


def _written(applied: Applied) -> tuple[bytes, ...]:
    """The CIDs of deltas that this peer wrote, none for those of others."""
    return () if applied.via else tuple(node.cid for node in applied.nodes)
