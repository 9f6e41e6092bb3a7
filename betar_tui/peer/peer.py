"""`Peer`: the `Marketplace` of a peer that runs in this process."""

import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from itertools import islice
from pathlib import Path

import trio

from betar_tui import __version__
from betar_tui.config import DIALECTS, Config, load_identity, prepare_data_dir, save_settings
from betar_tui.errors import (
    ArchiveError,
    ConfigError,
    DecodeError,
    NoRunningPeerError,
    StoreError,
    StoreLockedError,
    UnknownListingError,
)
from betar_tui.ipld import cid
from betar_tui.market.catalogue import Catalogue, DecodedChange
from betar_tui.market.hub import EventHub
from betar_tui.market.marketplace import (
    Connectivity,
    DagNodeInfo,
    DelistReceipt,
    DeltaInfo,
    Event,
    Exported,
    HeadInfo,
    Imported,
    ListingDetail,
    ListingDraft,
    ListingPage,
    ListingPatch,
    PeerInfo,
    Receipt,
    Status,
    StatusChanged,
    Version,
)
from betar_tui.market.provenance import Signer
from betar_tui.market.seller import Seller
from betar_tui.peer import archive
from betar_tui.peer.first_page import FirstPage, read_first_page
from betar_tui.peer.network_session import NetworkSession
from betar_tui.replica import Applied, Replica, Written, decode_node, keys
from betar_tui.replica.delta import Delta
from betar_tui.replica.facts import Element, LogRow
from betar_tui.store.database import Store, open_store
from betar_tui.store.lock import DirectoryLock
from betar_tui.sync.dagsync.walk import Walk
from betar_tui.sync.writer import ReplicaWriter

log = logging.getLogger(__name__)

LOCK_PATIENCE = 2.0
PACKED_AT_ONCE = 256
PACK_PAUSE, PACK_INTERVAL = 0.05, 30.0
BULK, QUIET = 32, 2.0
"""Nothing is packed within so many seconds of a merge of so many deltas."""
PATIENCE = 10
"""So many times packing is put off; then all that is due is packed all the same."""


@asynccontextmanager
async def open_peer(
    config: Config,
    *,
    network: bool,
    start: trio.Event | None = None,
    first_page: FirstPage | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator["Peer"]:
    """A peer on a data directory, which it locks. With `start`, the network waits for that event; `first_page` is given the
    first stored listings before all are read.

    Raises ConfigError, StoreError, StoreLockedError.
    """
    prepare_data_dir(config.data_dir)
    lock = DirectoryLock(config.data_dir)
    await _acquire(lock, patient=not network)
    try:
        seed = load_identity(config.key_file)
        store = await trio.to_thread.run_sync(open_store, config.database)
        try:
            if first_page is not None:
                peer_id = Signer(seed).peer_id
                await first_page.take(
                    await trio.to_thread.run_sync(read_first_page, store, peer_id, first_page.sort, clock())
                )
            node = await trio.to_thread.run_sync(Peer, config, seed, store, clock)
            log.info("betar-tui %s, peer %s in %s", __version__, node.peer_id, config.data_dir)
            with closing(node):
                async with trio.open_nursery() as nursery:
                    if network:
                        nursery.start_soon(node.online.run, start)
                        nursery.start_soon(node.run_maintenance)
                    try:
                        yield node
                    finally:
                        nursery.cancel_scope.cancel()
                        with trio.CancelScope(shield=True):
                            await node.save_signature_cache()
                        log.info("stopped")
        finally:
            store.close()
    finally:
        lock.release()


async def _acquire(lock: DirectoryLock, patient: bool) -> None:
    """Take the lock; a command waits a moment for another command to finish."""
    deadline = trio.current_time() + (LOCK_PATIENCE if patient else 0.0)
    while True:
        try:
            return lock.acquire()
        except StoreLockedError:
            if trio.current_time() >= deadline:
                raise
            await trio.sleep(0.05)


class Peer:
    """One peer. Made by `open_peer`; blocking work goes to worker threads, single puts in a row apart."""

    def __init__(self, config: Config, seed: bytes, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._settings_file = config.settings_file
        self._started = clock()
        self._hub = EventHub()
        signer = Signer(seed)
        self.peer_id = signer.peer_id
        self._writer = ReplicaWriter(Replica(store), clock, store.reserve)
        self._book = Catalogue(self.peer_id, signer.is_own_value)
        self._signature_cache = store.signature_cache()
        self._book.fill(store.values(keys.span(keys.AGENTS)), self._signature_cache)
        self._bulk_merged, self._put_off = -math.inf, 0
        self._writer.listen(self._read, self._take)
        self._writer.listen(lambda applied: len(applied.nodes) >= BULK, self._note_bulk)
        self._seller = Seller(
            store,
            self._writer,
            signer,
            self._book,
            dialect=config.listing_dialect,
            refresh_interval=config.refresh_interval,
            clock=clock,
            default_addrs=self._default_addrs,
            announce=self._announce,
        )
        self.online = NetworkSession(
            config, seed, store, self._writer, self._book, self._seller, emit=self._hub.emit, clock=clock
        )

    def close(self) -> None:
        """End the node's own thread; nobody may use the node any more."""
        self._writer.close()

    def _default_addrs(self) -> tuple[str, ...]:
        return self.online.dialable_addrs()

    def _announce(self, heads: Sequence[bytes]) -> int:
        return self.online.announce(heads)

    def _read(self, applied: Applied) -> list[DecodedChange]:
        return self._book.decode(applied)

    def _note_bulk(self, bulk: bool) -> None:
        if bulk:
            self._bulk_merged = trio.current_time()

    def _take(self, readings: list[DecodedChange]) -> None:
        self._hub.emit((*self._book.apply(readings), StatusChanged()))
        self.online.files.listings_changed()

    async def run_maintenance(self) -> None:
        """Pack old history when there is nothing better to do, until cancelled."""
        while True:
            packed = await self._pack()
            if not packed:
                await self.save_signature_cache()
            await trio.sleep(PACK_PAUSE if packed else PACK_INTERVAL)

    async def _pack(self) -> int:
        """Pack a slice of old history, unless history is just coming in; how many blocks it was. Wanted blocks are no reason
        to wait: anybody can make us want some that nobody has."""
        busy = trio.current_time() - self._bulk_merged < QUIET
        if busy and self._put_off < PATIENCE:
            self._put_off += 1
            return 0
        packed = 0
        try:
            packed = await trio.to_thread.run_sync(self._store.pack, PACKED_AT_ONCE)
        except StoreError:
            log.exception("packing old history failed; it is tried again")
        if not busy or not packed:
            self._put_off = 0
        return packed

    async def save_signature_cache(self) -> None:
        """Remember what signatures showed: looking costs a start with many listings seconds."""
        if not self._book.signature_cache_changed:
            return
        before, self._signature_cache = self._signature_cache, self._book.signature_cache()
        added = {token: each for token, each in self._signature_cache.items() if token not in before}
        removed = before.keys() - self._signature_cache.keys()
        try:
            await trio.to_thread.run_sync(self._store.change_signature_cache, added, removed)
        except StoreError:
            log.exception("what was found out about signatures could not be kept; it is found out again")

    # Marketplace

    async def listings(self, query: str = "", sort: str = "", limit: int = 0) -> ListingPage:
        """See `Marketplace`."""
        return await trio.to_thread.run_sync(self._book.page, query, sort, limit, self._clock())

    async def show(self, listing_id: str) -> ListingDetail:
        """See `Marketplace`."""
        listing = self._book.get(listing_id)
        if listing is None:
            raise UnknownListingError(f"no listing has the id {listing_id!r}; betar-tui list shows them")
        elements = await trio.to_thread.run_sync(self._store.elements, keys.of_agent(listing_id))
        shown = next((e.value for e in elements if not e.dead and cid.to_str(e.cid) == listing.cid), b"")
        return ListingDetail(listing, shown.decode(errors="replace"), _history(elements), self._book.document(listing))

    async def publish(self, drafts: Sequence[ListingDraft]) -> tuple[Receipt, ...]:
        """See `Marketplace`."""
        published = await self._seller.publish(drafts)
        if published:
            log.info("published %s", published[0].listing_id if len(published) == 1 else f"{len(published)} listings")
        return tuple(_receipt(each.listing_id, each.written, each.sent_to) for each in published)

    async def update(self, listing_id: str, patch: ListingPatch) -> Receipt:
        """See `Marketplace`."""
        written = await self._seller.update(listing_id, patch)
        log.info("updated %s", listing_id)
        return _receipt(listing_id, written, self._send([written]))

    async def delist(self, listing_id: str) -> DelistReceipt:
        """See `Marketplace`."""
        written = await self._seller.delist(listing_id)
        log.info("delisted %s", listing_id)
        sent = self._send([written])
        name, height = cid.to_str(written.node.cid), written.node.delta.priority
        return DelistReceipt(listing_id, name, height, written.tombstones, sent)

    async def status(self) -> Status:
        """See `Marketplace`."""
        totals = await trio.to_thread.run_sync(self._store.totals)
        replica, online = self._writer.replica, self.online
        return Status(
            version=__version__,
            running=online.state is not Connectivity.STOPPED,
            peer_id=self.peer_id,
            addrs=online.addrs,
            peers=online.connected,
            topic_peers=online.topic_peers,
            listings=len(self._book),
            heads=len(replica.heads),
            height=replica.height,
            blocks=totals.blocks,
            bytes=totals.bytes,
            pending=online.pending,
            tombstones=totals.tombstones,
            uptime=self._clock() - self._started,
            connectivity=online.state,
            invalid=self._book.invalid,
            unreadable=len(self._book.unreadable),
            dialect=self._seller.dialect,
            troubles=online.troubles(),
            sync=online.sync,
            packed=totals.packed,
            dialect_choice=self._seller.dialect_choice,
            peers_unable_to_read=online.peers_unable_to_read(),
            sync_held=online.sync_held,
        )

    async def peers(self) -> tuple[PeerInfo, ...]:
        """See `Marketplace`."""
        if self.online.state is Connectivity.STOPPED:
            raise NoRunningPeerError("no peer runs on this data directory; start one with betar-tui --serve")
        return self.online.connections()

    async def connect(self, address: str) -> PeerInfo:
        """See `Marketplace`."""
        return await self.online.connect(address)

    async def disconnect(self, peer_id: str) -> None:
        """See `Marketplace`."""
        await self.online.disconnect(peer_id)

    async def choose_dialect(self, dialect: str) -> None:
        """See `Marketplace`."""
        if dialect not in DIALECTS:
            raise ConfigError(f"{dialect!r} is no dialect; choose one of {', '.join(DIALECTS)}")
        await trio.to_thread.run_sync(save_settings, self._settings_file, {"listing_dialect": dialect})
        await self._seller.choose_dialect(dialect)
        await self.online.rewrite()

    async def hold_sync(self, held: bool) -> None:
        """See `Marketplace`."""
        self.online.hold_sync(held)

    async def heads(self) -> tuple[HeadInfo, ...]:
        """See `Marketplace`."""
        heads = sorted(self._writer.replica.heads.items(), key=lambda item: (-item[1], item[0]))
        return tuple(HeadInfo(cid.to_str(name), height) for name, height in heads)

    async def dag(self, limit: int = 200) -> tuple[DagNodeInfo, ...]:
        """See `Marketplace`."""
        blocks = Walk(self._writer.replica.heads, (), self._store.blocks).blocks()
        newest = islice(blocks, max(0, min(limit, 10_000)))
        return await trio.to_thread.run_sync(lambda: tuple(_dag_node(name, block) for name, block in newest))

    async def log(self, limit: int = 50) -> tuple[DeltaInfo, ...]:
        """See `Marketplace`."""
        count = max(0, min(limit, 10_000))
        return await trio.to_thread.run_sync(lambda: tuple(map(_delta_info, self._store.log(count))))

    async def export_car(self, path: str, heads: Sequence[str] = ()) -> Exported:
        """See `Marketplace`."""
        chosen = [await self._held(text) for text in heads] or sorted(self._writer.replica.heads)
        return await archive.export_car(self._store, chosen, Path(path))

    async def import_car(self, path: str) -> Imported:
        """See `Marketplace`."""
        before = self._writer.replica.heads
        imported = await archive.import_car(self._store, self._writer, Path(path))
        self.online.announce([name for name in self._writer.replica.heads if name not in before])
        self.online.ask_again()
        return imported

    def events(self) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Event]]:
        """See `Marketplace`."""
        return self._hub.watch()

    async def _held(self, text: str) -> bytes:
        try:
            name = cid.from_str(text)
        except DecodeError as error:
            raise ArchiveError(f"{text[:80]!r} names no block; betar-tui heads shows those that do") from error
        if await self._writer.missing([name]):
            raise ArchiveError(f"the block {text} is not here; betar-tui heads shows what is")
        return name

    def _send(self, written: Collection[Written]) -> int:
        """Announce deltas of ours; the number of peers they go to."""
        return self._announce([each.node.cid for each in written])


def _receipt(listing_id: str, written: Written, sent: int) -> Receipt:
    return Receipt(listing_id, cid.to_str(written.node.cid), written.node.delta.priority, sent)


def _history(elements: Sequence[Element]) -> tuple[Version, ...]:
    """The versions of a key, newest first; a removed one is shown without its value."""
    return tuple(
        Version(cid.to_str(e.cid), e.height, None if e.dead else e.value.decode(errors="replace")) for e in elements
    )


def _dag_node(name: bytes, block: bytes) -> DagNodeInfo:
    node = decode_node(name, block)
    delta = node.delta
    links = tuple(cid.to_str(link) for link in node.links)
    return DagNodeInfo(
        cid.to_str(name), delta.priority, links, len(block), len(delta.elements), len(delta.tombstones), _ids(delta)
    )


def _ids(delta: Delta) -> tuple[str, ...]:
    """The listings that a delta touches."""
    touched = dict.fromkeys([span.key for span in delta.elements] + [key for key, _ in delta.tombstones])
    return tuple(each for each in map(keys.agent_id, touched) if each is not None)


def _delta_info(row: LogRow) -> DeltaInfo:
    delta = decode_node(row.cid, row.data).delta
    return DeltaInfo(
        cid.to_str(row.cid),
        row.height,
        row.size,
        row.at,
        row.via or "local",
        len(delta.elements),
        len(delta.tombstones),
        _ids(delta),
    )
