"""`Peer`: the `Marketplace` of a peer that runs in this process."""

import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import trio

from betar_tui import __version__, stored
from betar_tui.catalogue.catalogue import Catalogue
from betar_tui.config import DIALECTS, Config, load_identity, prepare_data_dir, save_settings
from betar_tui.errors import (
    ArchiveError,
    ConfigError,
    DecodeError,
    NoRunningPeerError,
    StoreError,
    StoreLockedError,
    UnknownPeerError,
)
from betar_tui.ipld import cid as cids
from betar_tui.market.hub import EventHub
from betar_tui.market.marketplace import (
    Change,
    Connected,
    Connectivity,
    DagNodeInfo,
    DelistReceipt,
    DeltaInfo,
    Event,
    Exported,
    HeadInfo,
    Imported,
    Listed,
    Listing,
    ListingDetail,
    ListingDraft,
    ListingPage,
    ListingPatch,
    PeerInfo,
    Place,
    Receipt,
    Status,
    StatusChanged,
)
from betar_tui.market.personal import BLOCKED, MUTED, full_id
from betar_tui.market.provenance import Signer
from betar_tui.market.seller import Seller
from betar_tui.peer.disk import DiskQuota
from betar_tui.peer.indexing import Indexing
from betar_tui.peer.metadata_files import MetadataFiles
from betar_tui.peer.network_session import NetworkSession
from betar_tui.peer.personal_lists import PersonalList, take_over_old_mutes
from betar_tui.peer.reading import read
from betar_tui.plurals import plural
from betar_tui.replica import Applied, Replica, Written, decode_node
from betar_tui.store.database import Store, open_store
from betar_tui.store.lock import DirectoryLock
from betar_tui.sync.dagsync.walk import Walk
from betar_tui.sync.writer import ReplicaWriter

log = logging.getLogger(__name__)

PACKED_AT_ONCE = 256
"""Maximum blocks that are packed in one transaction."""
PACK_PAUSE, PACK_INTERVAL = 0.05, 30.0
"""Seconds between two such transactions, and between two looks for blocks to pack."""
BULK, QUIET = 32, 2.0
"""A merge of `BULK` deltas postpones packing for `QUIET` seconds."""
MAX_LISTINGS = 10_000
"""Maximum listings of a connected peer that are counted."""
CONNECTED_OR_SELLER = "connected peer or a seller in the market"
MAX_POSTPONED = 10
"""Maximum times in a row that packing is postponed; then all that is due is packed."""


@asynccontextmanager
async def open_peer(
    config: Config,
    *,
    network: bool,
    start: trio.Event | None = None,
    must_open: bool = True,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator["Peer"]:
    """Open the peer of a data directory, and lock the directory meanwhile.

    With `start`, the network waits for that event. Without `must_open`, a network that cannot be opened leaves the peer
    offline; else it is raised into the block as NetworkError. Raises ConfigError, StoreError, StoreLockedError."""
    prepare_data_dir(config.data_dir)
    lock = DirectoryLock(config.data_dir)
    await _acquire(lock, patient=not network)
    try:
        seed = load_identity(config.key_file)
        store = await trio.to_thread.run_sync(open_store, config.database)
        try:
            peer = await trio.to_thread.run_sync(Peer, config, seed, store, clock, network)
            log.info("betar-tui %s, peer %s in %s", __version__, peer.peer_id, config.data_dir)
            with closing(peer):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(peer.indexing.run, network)
                    if network:
                        nursery.start_soon(peer.session.run, start, must_open)
                        nursery.start_soon(peer.run_maintenance)
                    try:
                        yield peer
                    finally:
                        nursery.cancel_scope.cancel()
                        log.info("stopped")
        finally:
            store.close()
    finally:
        lock.release()


async def _acquire(lock: DirectoryLock, patient: bool) -> None:
    """Take the lock; a command waits a moment for another command to finish."""
    deadline = trio.current_time() + (stored.LOCK_TIMEOUT if patient else 0.0)
    while True:
        try:
            return lock.acquire()
        except StoreLockedError:
            if trio.current_time() >= deadline:
                raise
            await trio.sleep(stored.LOCK_RETRY)


class Peer:
    """One peer, made by `open_peer`. Blocking work goes to worker threads, except single puts in a row.

    One that has a network shows what it has so far; one that works for a command shows everything that is stored."""

    def __init__(self, config: Config, seed: bytes, store: Store, clock: Callable[[], float], network: bool) -> None:
        self._store = store
        self._network = network
        self._clock = clock
        self._settings_file = config.settings_file
        self._started, self._up_since = clock(), time.monotonic()
        self._hub = EventHub()
        signer = Signer(seed)
        self.peer_id = signer.peer_id
        self._writer = ReplicaWriter(Replica(store), clock, store.reserve)
        own = self.peer_id, signer.is_own_value
        self._catalogue = Catalogue(store, *own, opened=self._started, limits=config.limits)
        self.indexing = Indexing(self._catalogue, self._writer, self._hub.emit, self._look_for_files, clock)
        self._bulk_merged, self._postponed = -math.inf, 0
        self._writer.listen(self._changes, self._report)
        self._seller = Seller(
            store,
            self._writer,
            signer,
            self._catalogue,
            dialect=config.listing_dialect,
            refresh_interval=config.refresh_interval,
            clock=clock,
            default_addrs=self._default_addrs,
        )
        take_over_old_mutes(store, config.interface, self._started)
        self._blocked = PersonalList(store, BLOCKED, "blocked peer", clock)
        self._muted = PersonalList(store, MUTED, "muted seller", clock)
        self.session = NetworkSession(
            config,
            seed,
            store,
            self._writer,
            self._seller,
            MetadataFiles(store, self._catalogue.files, self.indexing.wake, clock),
            emit=self._hub.emit,
            clock=clock,
            blocked=lambda: self._blocked.ids,
            disk=DiskQuota(store, config.data_dir, config.limits.disk),
        )

    def close(self) -> None:
        """End the peer's own thread; the peer cannot be used any more."""
        self._writer.close()

    def _default_addrs(self) -> tuple[str, ...]:
        return self.session.dialable_addrs()

    def _changes(self, applied: Applied) -> tuple[list[Change], bool]:
        return self._catalogue.changes_of(applied), len(applied.nodes) >= BULK

    def _report(self, merge: tuple[list[Change], bool]) -> None:
        changes, bulk = merge
        if bulk:
            self._bulk_merged = trio.current_time()
        self._hub.emit((*changes, StatusChanged()))
        self.indexing.merged(bulk)
        self._look_for_files()

    def _look_for_files(self) -> None:
        self.session.metadata_files.listings_changed()

    async def run_maintenance(self) -> None:
        """Pack old history while the peer is idle, until cancelled."""
        while True:
            packed = await self._pack()
            await trio.sleep(PACK_PAUSE if packed else PACK_INTERVAL)

    async def _pack(self) -> int:
        """Pack a slice of old history, unless history is coming in right now; returns the number of blocks packed.

        Missing blocks do not postpone it: anybody can link to blocks that nobody has."""
        busy = trio.current_time() - self._bulk_merged < QUIET
        if busy and self._postponed < MAX_POSTPONED:
            self._postponed += 1
            return 0
        packed = 0
        try:
            packed = await trio.to_thread.run_sync(self._store.pack, PACKED_AT_ONCE)
        except StoreError:
            log.exception("packing old history failed; it is tried again")
        if not busy or not packed:
            self._postponed = 0
        return packed

    # Marketplace

    async def listings(
        self,
        query: str = "",
        sort: str = "",
        limit: int = 0,
        after: Place | None = None,
        before: Place | None = None,
        around: str = "",
        skip: int = 0,
        muted: Sequence[str] = (),
    ) -> ListingPage:
        await self._settled()
        asked = query, sort, limit, self._clock(), after, before, around, skip, muted
        return await read(lambda go_on: self._catalogue.page(*asked, go_on=go_on))

    async def count(self, query: str = "", muted: Sequence[str] = ()) -> int:
        await self._settled()
        return await read(lambda go_on: self._catalogue.count(query, self._clock(), muted, go_on=go_on))

    async def find(self, ids: Sequence[str]) -> tuple[Listing, ...]:
        return await trio.to_thread.run_sync(self._catalogue.find, ids)

    async def show(self, listing_id: str) -> ListingDetail:
        await self._settled()
        return await trio.to_thread.run_sync(stored.detail, self._store, self._catalogue, listing_id)

    async def _settled(self) -> None:
        if not self._network:
            await self.indexing.settled()

    async def publish(self, drafts: Sequence[ListingDraft]) -> tuple[Receipt, ...]:
        published = await self._seller.publish(drafts)
        if published:
            log.info(
                "published %s", published[0].listing_id if len(published) == 1 else plural(len(published), "listing")
            )
        return tuple(self._receipt(each.listing_id, each.written) for each in published)

    async def update(self, listing_id: str, patch: ListingPatch) -> Receipt:
        await self._settled()
        written = await self._seller.update(listing_id, patch)
        log.info("updated %s", listing_id)
        return self._receipt(listing_id, written)

    async def delist(self, listing_id: str) -> DelistReceipt:
        await self._settled()
        written = await self._seller.delist(listing_id)
        log.info("delisted %s", listing_id)
        receipt = self._receipt(listing_id, written)
        return DelistReceipt(receipt.id, receipt.cid, receipt.height, written.tombstones, receipt.sent_to)

    async def status(self) -> Status:
        totals = await trio.to_thread.run_sync(self._store.totals)
        counts = await trio.to_thread.run_sync(self._catalogue.counts)
        replica, session = self._writer.replica, self.session
        return Status(
            version=__version__,
            running=session.state is not Connectivity.STOPPED,
            peer_id=self.peer_id,
            addrs=session.addrs,
            peers=session.connected,
            topic_peers=session.topic_peers,
            listings=counts.listings,
            heads=len(replica.heads),
            height=replica.height,
            blocks=totals.blocks,
            bytes=totals.bytes,
            pending=session.pending,
            tombstones=totals.tombstones,
            uptime=time.monotonic() - self._up_since,
            connectivity=session.state,
            invalid=counts.invalid,
            unreadable=counts.unreadable,
            dialect=self._seller.dialect,
            troubles=(*session.troubles(), *self.indexing.troubles()),
            sync=session.sync,
            packed=totals.packed,
            dialect_choice=self._seller.dialect_choice,
            peers_unable_to_read=session.peers_unable_to_read(),
            sync_held=session.sync_held,
            reachability=session.reachability(),
            offline=session.offline,
            port_taken=session.port_taken,
            listen_notice=session.listen_notice,
            searches=session.searches(),
            indexing=self._catalogue.backlog.progress.now(),
            muted=self._muted.ids,
            blocked=self._blocked.ids,
            limits=self._catalogue.quotas(counts, session.disk),
            listen=session.listen,
        )

    async def peers(self) -> tuple[PeerInfo, ...]:
        if self.session.state is Connectivity.STOPPED:
            raise NoRunningPeerError("no peer runs on this data directory; start one with betar-tui --serve")
        peers = self.session.connections()
        ids = [each.peer_id for each in peers]
        counts = await trio.to_thread.run_sync(self._catalogue.counts_of_sellers, ids, MAX_LISTINGS)
        return tuple(replace(each, listings=counts[each.peer_id]) for each in peers)

    async def connect(self, address: str) -> Connected:
        return await self.session.connect(address)

    async def disconnect(self, peer_id: str) -> None:
        await self.session.disconnect(peer_id)

    async def block(self, peer_id: str) -> str:
        connected = {each.peer_id for each in self.session.connections()}
        known = connected | set(await trio.to_thread.run_sync(self._catalogue.sellers, peer_id))
        blocked = full_id(peer_id, {*known, *self._blocked.ids}, CONNECTED_OR_SELLER)
        if blocked == self.peer_id:
            raise UnknownPeerError("that is this peer itself: it cannot be blocked")
        await self._blocked.add(blocked)
        log.info("blocked %s", blocked)
        await self.session.block(blocked)
        self._hub.emit([StatusChanged()])
        return blocked

    async def unblock(self, peer_id: str) -> str:
        peer = await self._blocked.remove(peer_id)
        log.info("unblocked %s", peer)
        self.session.unblock(peer)
        self._hub.emit([StatusChanged()])
        return peer

    async def blocks(self) -> tuple[Listed, ...]:
        return self._blocked.entries()

    async def mute(self, seller_id: str) -> str:
        sellers = await trio.to_thread.run_sync(self._catalogue.sellers, seller_id)
        seller = full_id(seller_id, {*sellers, *self._muted.ids}, "seller in the market")
        if seller == self.peer_id:
            raise UnknownPeerError("that is this peer itself: your own listings cannot be muted")
        await self._muted.add(seller)
        self._hub.emit([StatusChanged()])
        return seller

    async def unmute(self, seller_id: str) -> str:
        seller = await self._muted.remove(seller_id)
        self._hub.emit([StatusChanged()])
        return seller

    async def mutes(self) -> tuple[Listed, ...]:
        return self._muted.entries()

    async def go_online(self, free_port: bool = False) -> None:
        await self.session.go_online(free_port)

    async def choose_dialect(self, dialect: str) -> None:
        if dialect not in DIALECTS:
            raise ConfigError(f"{dialect!r} is not a dialect; choose one of {', '.join(DIALECTS)}")
        await trio.to_thread.run_sync(save_settings, self._settings_file, {"listing_dialect": dialect})
        await self._seller.choose_dialect(dialect)
        await self.session.rewrite()

    async def hold_sync(self, held: bool) -> None:
        self.session.hold_sync(held)

    async def heads(self) -> tuple[HeadInfo, ...]:
        return stored.heads(self._writer.replica.heads)

    async def dag(self, limit: int = 200) -> tuple[DagNodeInfo, ...]:
        blocks = Walk(self._writer.replica.heads, (), self._store.look_up).blocks()
        newest = islice(blocks, max(0, min(limit, 10_000)))
        return await trio.to_thread.run_sync(lambda: tuple(_dag_node(cid, block) for cid, block in newest))

    async def log(self, limit: int = 50) -> tuple[DeltaInfo, ...]:
        return await trio.to_thread.run_sync(stored.deltas, self._store, limit)

    async def export_car(self, path: str, heads: Sequence[str] = (), descriptor: int | None = None) -> Exported:
        chosen = [await self._stored_cid(text) for text in heads]
        if not chosen:
            tops = await self._writer.tops()
            chosen = sorted(tops, key=lambda cid: (-tops[cid], cid))
        from betar_tui.peer.archive import export_car  # deferred: listings are on the screen sooner without it

        return await export_car(self._store, chosen, Path(path), descriptor)

    async def import_car(self, path: str, descriptor: int | None = None) -> Imported:
        from betar_tui.peer.importing import Source, import_car  # deferred: see `export_car`

        before, source = self._writer.replica.heads, Source(Path(path), descriptor)
        try:
            return await import_car(self._writer, self._catalogue, self.indexing, source)
        finally:  # also after a fault: what lies before it is merged
            self.session.announce([head for head in self._writer.replica.heads if head not in before])
            self.session.fetch_missing()

    def events(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Event]]:
        return self._hub.watch()

    async def _stored_cid(self, text: str) -> bytes:
        try:
            cid = cids.from_str(text)
        except DecodeError as error:
            raise ArchiveError(f"{text[:80]!r} names no block; betar-tui heads shows those that do") from error
        if await self._writer.missing([cid]):
            raise ArchiveError(f"the block {text} is not here; betar-tui heads shows what is")
        return cid

    def _receipt(self, listing_id: str, written: Written) -> Receipt:
        """The receipt of a delta that was stored, and so announced, just now."""
        node = written.node
        return Receipt(listing_id, cids.to_str(node.cid), node.delta.priority, self.session.audience)


def _dag_node(cid: bytes, block: bytes) -> DagNodeInfo:
    node = decode_node(cid, block)
    delta = node.delta
    ids = stored.touched(delta)
    links = tuple(cids.to_str(link) for link in node.links)
    return DagNodeInfo(
        cids.to_str(cid), delta.priority, links, len(block), len(delta.elements), len(delta.tombstones), ids
    )
