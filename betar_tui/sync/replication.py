"""Keeps one replica in step with the topic.

Heads come in by gossip, from betar-tui peers together with their blocks; a missing block is wanted from the peer that
announced it. Each block is merged as soon as it is here, newest first, and the blocks that it links to are wanted next.
Nothing waits for a merge: heads and blocks that come while one runs are merged together after it. Our own heads are
broadcast after each write, when a peer joins the topic, and periodically, then only those that no other peer announced
(docs/protocol.md#announcing)."""

import logging
import math
import random
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.errors import DecodeError, NetworkError
from betar_tui.ipld import cid as cids
from betar_tui.p2p.types import NetworkEvent, PeerDisconnected, PeerJoined, ReceivedBlock, ReceivedBroadcast
from betar_tui.plurals import plural
from betar_tui.replica import Applied, Head, encode_broadcast
from betar_tui.replica.broadcast import MAX_INLINE
from betar_tui.replica.node import links_of, looks_like_file
from betar_tui.sync.dagsync.messages import PROTOCOL as DAGSYNC
from betar_tui.sync.dagsync.walk import Lookup
from betar_tui.sync.delivery import OnDelivered
from betar_tui.sync.fetching import Fetcher
from betar_tui.sync.head_lookups import Announcement, HeadLookups
from betar_tui.sync.merge_queue import MergeQueue
from betar_tui.sync.observation import Observation
from betar_tui.sync.pending_heads import Sent
from betar_tui.sync.pending_heads_journal import PendingHeadsJournal
from betar_tui.sync.progress import ProgressMeter
from betar_tui.sync.roots import RootAllowance, is_root
from betar_tui.sync.writer import RawBlock, ReplicaWriter
from betar_tui.values import SyncProgress

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network

log = logging.getLogger(__name__)

MAX_ANNOUNCED = 512
"""Maximum number of heads in a broadcast: at 40 bytes each, 20 KiB. With its blocks it stays far below a gossip RPC."""
MAX_INLINE_TOTAL = 64 << 10
"""Maximum bytes of blocks in a broadcast."""
MAX_RECENT = 64
"""Maximum number of blocks in memory that can be broadcast with their heads."""
MIN_LOGGED_SYNC = 100
"""Minimum number of deltas for which the end of a sync is logged."""
REBROADCAST_DELAYS = 1.0, 5.0
"""Seconds after a burst of own writes at which the heads are broadcast again: a Go peer drops broadcasts while it walks
a DAG, and would otherwise wait for the next periodic one."""
BURST = 0.003
"""Seconds between two broadcasts that belong to one burst: deltas published in a row follow each other faster."""
GATHER_TIME = 0.03
"""Seconds for which a broadcast of a burst waits for more heads, unless their blocks fill it: about a hop, no more. A
broadcast costs sender and receiver about as much as a delta, so that each delta of a burst costs a fifth less."""
MAX_JOIN_ANNOUNCEMENTS, JOIN_INTERVAL = 8, 1.0
"""Maximum number of announcements to joining peers at once, and the seconds from then on for each further one: to join
again and again costs a peer nothing."""
SHUTDOWN_FLUSH_TIMEOUT = 1.0
"""Maximum seconds for the last announcements when a peer stops."""
NOT_A_DELTA = "it is a file or folder, or says nothing, so it is not a delta"
_NO_BLOCKS: Mapping[bytes, bytes] = MappingProxyType({})


class Replication:
    """Drives a replica from a network. `announce_interval` is in seconds and jittered by 30 %; `journal` stores pending
    heads for the next run; `on_delivered` is that of `DeliveryTracker`. While it is `full` nothing of others is merged;
    `refused` counts the blocks that were not."""

    def __init__(
        self,
        network: "Network",
        writer: ReplicaWriter,
        lookup: Lookup,
        journal: PendingHeadsJournal,
        announce_interval: float,
        on_delivered: OnDelivered,
    ) -> None:
        self._network = network
        self._writer = writer
        self._interval = announce_interval
        self._merge_queue = MergeQueue()
        self._journal = journal
        self._pending_heads = journal.pending_heads
        self.fetcher = Fetcher(network, writer, lookup)
        self.full, self.refused = False, 0
        self.lookups = HeadLookups(writer.missing, self._want_announced)
        self._announced: set[bytes] = set()
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()
        self._joined, self._written = Wakeup(), Wakeup()
        self._roots = RootAllowance()
        self._last_write = -math.inf
        self._due: dict[bytes, bytes] = {}
        self._due_added, self._due_full = Wakeup(), Wakeup()
        self._meter = ProgressMeter(trio.current_time)
        self.observation = Observation(network, writer, on_delivered, self.queue_announcement)
        self.fetcher.is_announced = self._pending_heads.__contains__
        self.fetcher.brought = self.observation.brought
        self.fetcher.passed_over = self._passed_over
        self._unlisten = writer.listen(lambda applied: applied, self._on_applied)

    @property
    def pending(self) -> int:
        """Number of blocks that are known to be missing."""
        return self.fetcher.pending

    @property
    def progress(self) -> SyncProgress | None:
        """The progress of the sync under way, None when nothing is missing."""
        return self._meter.now(self.pending, self.fetcher.source)

    async def close(self) -> None:
        """Broadcast the queued announcements, also those added meanwhile, and store the pending heads."""
        with trio.CancelScope(shield=True), trio.move_on_after(SHUTDOWN_FLUSH_TIMEOUT):
            try:
                while True:
                    await self._flush_due()
                    await self._network.flush()
                    if not self._due:
                        break
                await self.lookups.look_up()
            except Exception:  # a failed network must not hide the error that ended it
                log.exception("the last announcements failed")
        self._unlisten()
        # They were forwarded to other peers: the next run checks which are missing.
        for announcement, heads in self.lookups.left().items():
            self._pending_heads.announced(heads, announcement.author, below=announcement.below)
        await self._journal.finish()

    async def on_block(self, block: ReceivedBlock) -> None:
        """Take a block that the network fetched.

        The blocks that it links to are requested before it is merged: in a long chain every block waits for the one
        above."""
        self.observation.brought(block.peer, (block.cid,))
        if self.full:
            self.refused += 1
            self.fetcher.arrived([block.cid])
            return
        links: tuple[bytes, ...] = ()
        with suppress(DecodeError):
            # What a file links to is wanted only if a delta turns out to link to the file.
            links = () if looks_like_file(block.data) else links_of(block.data)
        may_be_missing = self._writer.replica.may_be_missing
        unsure = [
            cid for cid in links if may_be_missing(cid) and not self.fetcher.asked(cid) and cid not in self._merge_queue
        ]
        if unsure:
            self.fetcher.want(await self._writer.missing_now(unsure), block.peer)
        # Without an author: its sender is not to blame if it is not a delta, since the block was requested.
        await self._merge_queue.put([RawBlock(block.cid, block.data, block.peer)])

    async def run_merges(self) -> None:
        """Merge the queued blocks, as many at a time as there are."""
        await self._writer.finish()
        self._want_pending(self._pending_heads)  # a failed merge has lost its heads
        while True:
            await self._merge(await self._merge_queue.take())

    async def run_large_merges(self) -> None:
        """Merge the queued blocks that are large, one at a time."""
        while True:
            await self._merge(await self._merge_queue.take_large())

    def queue_announcement(self, heads: Iterable[bytes]) -> None:
        """Broadcast these heads as soon as possible, with others that are due.

        The writer need not wait: in a burst it can write the next delta meanwhile."""
        for cid in heads:
            # Keeps the block, which blocks of others may displace from the recent ones.
            self._due[cid] = self._recent.get(cid) or self._due.get(cid, b"")
        self._due_added.set()
        if sum(map(len, self._due.values())) > MAX_INLINE_TOTAL - MAX_INLINE:
            self._due_full.set()

    async def flush_announcements(self) -> None:
        """Broadcast the queued announcements, those of a burst together."""
        last = -math.inf
        while True:
            await self._due_added.wait()
            if trio.current_time() - last < BURST:
                with trio.move_on_after(GATHER_TIME):
                    await self._due_full.wait()
            last = trio.current_time()
            await self._flush_due()

    async def _flush_due(self) -> None:
        self._due_added.clear()
        self._due_full.clear()
        due, self._due = self._due, {}
        if not due:
            return
        try:
            await self.announce(self._with_heads_above(due), due)
        except NetworkError as error:
            # The delta is stored, and the next periodic broadcast announces it.
            log.warning("announcing failed: %s", error)
        except trio.Cancelled:
            self._due = {**due, **self._due}  # for `close`
            raise

    def _with_heads_above(self, due: Iterable[bytes]) -> list[bytes]:
        """The heads to announce so that every peer gets these deltas.

        Those that are heads are announced themselves; for others the heads above bring them along. If all neighbours
        speak dagsync the others are announced too, since their blocks then come without a request. A Go peer without
        heads would take over every announced one as its head, whether it is one or not."""
        heads = self._writer.heads
        lower = [cid for cid in due if cid not in heads]
        if not lower:
            return list(due)
        all_dagsync = all(self._network.supports(peer, DAGSYNC) for peer in self._network.topic_peers())
        return [*heads, *reversed(lower)] if all_dagsync else list(heads)

    async def rebroadcast_periodically(self) -> None:
        """Announce, at each interval, the heads that no other peer announced since the last time."""
        while True:
            await trio.sleep(self._interval * random.uniform(0.7, 1.3))
            await self._rebroadcast()
            self._announced.clear()
            if self._network.topic_peers() and not self.fetcher.paused:
                self._give_up(self._pending_heads.expired())
                self._journal.schedule_write()
            else:
                self._pending_heads.renew()

    async def run_pending_heads(self) -> None:
        """Want the pending heads of an earlier run again, and store those of this one. Raises StoreError."""
        restored = await self._journal.restore()
        missing = await self._writer.missing(restored)
        self._journal.arrived(set(restored) - set(missing))
        self._want_pending(missing)
        await self._journal.run()

    def pause(self, paused: bool) -> None:
        """Stop fetching blocks that were announced before, or resume with all that are missing."""
        self.fetcher.pause(paused)
        self._want_pending(self._pending_heads)

    async def rebroadcast_after_burst(self) -> None:
        """Announce our heads again soon after the last write, for peers that missed the broadcast."""
        while True:
            await self._written.wait()
            for delay in REBROADCAST_DELAYS:
                await trio.sleep_until(self._last_write + delay)
                if self._written.is_set():
                    break
                await self._rebroadcast()
                if self._written.is_set():
                    break

    async def handle(self, event: NetworkEvent) -> None:
        """React to one event of the network."""
        self.observation.handle(event)
        if isinstance(event, ReceivedBroadcast):
            await self._on_heads(event)
        elif isinstance(event, PeerDisconnected):
            self.fetcher.peer_disconnected(event.peer)
        elif isinstance(event, PeerJoined):
            self._joined.set()

    async def announce_to_joiners(self) -> None:
        """Announce our heads to peers that join the topic, within a token bucket."""
        tokens, last = float(MAX_JOIN_ANNOUNCEMENTS), trio.current_time()
        while True:
            await self._joined.wait()
            now = trio.current_time()
            tokens, last = min(MAX_JOIN_ANNOUNCEMENTS, tokens + (now - last) / JOIN_INTERVAL), now
            if tokens < 1:
                await trio.sleep((1 - tokens) * JOIN_INTERVAL)
                self._joined.set()  # try again
                continue
            tokens -= 1
            if heads := self._writer.heads:
                await self.announce(heads)

    async def announce(self, heads: Iterable[bytes], blocks: Mapping[bytes, bytes] = _NO_BLOCKS) -> None:
        """Broadcast these heads, the highest first, with their blocks from `blocks` or the recent ones as far as they
        fit.

        CIDs that are not heads any more come last, or are left out if their block does not fit."""
        heights = self._writer.heads
        ordered = sorted(heads, key=lambda cid: -heights.get(cid, 0))
        for i in range(0, len(ordered), MAX_ANNOUNCED):
            room = MAX_INLINE_TOTAL
            announced = []
            for cid in ordered[i : i + MAX_ANNOUNCED]:
                block = blocks.get(cid) or self._recent.get(cid, b"")
                inline = 0 < len(block) <= min(room, MAX_INLINE)
                room -= len(block) if inline else 0
                if inline or cid in heights:
                    announced.append(Head(cid, block if inline else None))
            if announced:
                await self._network.broadcast(encode_broadcast(announced))

    async def _rebroadcast(self) -> None:
        """Announce the heads that no other peer announced lately."""
        if heads := [cid for cid in self._writer.heads if cid not in self._announced]:
            await self.announce(heads)

    async def _on_heads(self, event: ReceivedBroadcast) -> None:
        heads: tuple[Head, ...] = event.payload  # as `accept_broadcast` returned them
        self.observation.announced(event.author, [head.cid for head in heads])
        known, now = self._writer.heads, trio.current_time()
        self._announced.update(head.cid for head in heads if head.cid in known)
        if self.full:
            self.refused += sum(head.cid not in known for head in heads)
            return
        refused = {head.cid: None for head in heads if self.fetcher.is_refused(head.cid)}
        bare, blocks = [], []
        for head in heads:
            if head.cid in known or head.cid in refused or head.cid in self._merge_queue:
                continue
            if head.block is not None:
                wanted = self._writer.replica.is_wanted(head.cid) or head.cid in self._pending_heads
                if not wanted and is_root(head.block) and not self._roots.take(event.author, event.peer, now):
                    continue
                # To merge a block that is stored changes nothing, so it need not be looked up first.
                blocks.append(RawBlock(head.cid, head.block, event.peer, event.author))
            else:
                bare.append(head.cid)
        if blocks:
            # Together: each links to the next, which would be requested if it came by itself.
            await self._merge_queue.put(blocks)
        announcement = Announcement(event.author, event.peer)
        if bare:
            self.lookups.add(bare, announcement)
        if refused:
            self._want_below(refused, announcement)

    def _want_announced(self, heads: Collection[bytes], by: Announcement) -> None:
        """Want announced heads, a limited number for each author: anybody can announce blocks that nobody has."""
        self._give_up(self._pending_heads.announced(heads, by.author, below=by.below))
        self._journal.schedule_write()
        self.fetcher.want([cid for cid in heads if cid in self._pending_heads], by.peer, announced=True)

    def _want_below(self, not_deltas: Iterable[bytes], by: Announcement) -> None:
        """Want what stands for announced nodes that are not deltas, a level deeper with each announcement: nobody can
        have whole trees of files fetched by one."""
        if below := self.fetcher.below(not_deltas):
            self.lookups.add(below, by._replace(below=True))

    def _passed_over(self, came: Collection[Sent]) -> None:
        """These nodes came and are not deltas."""
        announced = self._pending_heads.by_announcer(came)
        self._journal.arrived([cid for cid, _, _ in came])
        for (author, peer), named in announced.items():
            self._want_below(named, Announcement(author, peer))

    def _want_pending(self, heads: Iterable[bytes]) -> None:
        """Want those of these heads that are still pending and may be deltas, from any peer."""
        refused = self.fetcher.is_refused
        self.fetcher.want([cid for cid in heads if cid in self._pending_heads and not refused(cid)], "")

    def _give_up(self, dropped: list[bytes]) -> None:
        """Stop fetching blocks that are not pending any more, unless a merged block links to them."""
        self.fetcher.arrived([cid for cid in dropped if not self._writer.replica.is_wanted(cid)])

    async def _merge(self, batch: list[RawBlock]) -> None:
        arrived = [block.cid for block in batch]
        try:
            outcome = await self._writer.merge(batch)
        finally:
            # After a failed merge these are still wanted by the replica, and requested again in their turn.
            self.fetcher.arrived(arrived)
            self._merge_queue.done(batch)
        others = [(block, NOT_A_DELTA) for block in batch if block.cid in outcome.not_deltas]
        self.fetcher.pass_over(outcome.not_deltas)
        self._passed_over([(block.cid, block.peer, block.author) for block, _ in others])
        self._journal.arrived(arrived)
        for block, reason in (*outcome.bad, *others):
            if block.author:
                self._network.penalize(block.author, f"block {cids.to_str(block.cid)}: {reason}")
            with suppress(DecodeError):  # its links were requested when it came
                self._give_up([link for link in links_of(block.data) if link not in self._pending_heads])
        self.fetcher.refuse([block.cid for block, _ in outcome.bad])
        for peer, wanted in outcome.wants.items():
            self.fetcher.want(wanted, peer)

    def _on_applied(self, applied: Applied) -> None:
        """Keep the newest blocks in memory to broadcast them with their heads, and serve peers that wait for them."""
        # Blocks below a requested one come with it in a dagsync.
        asked = [node for node in applied.nodes if self.fetcher.source or self.fetcher.asked(node.cid)]
        # They are not requested any more, or they would count as missing.
        self.fetcher.arrived([node.cid for node in applied.nodes])
        for node in applied.nodes:
            self._network.announce_block(node.cid)
        self.observation.applied(applied)
        self._journal.arrived(node.cid for node in applied.nodes)
        if applied.via:
            synced = self._meter.merged(len(asked), self.pending)
            if synced >= MIN_LOGGED_SYNC:
                said = plural(synced, "delta was missing and is here now", "deltas were missing and are here now")
                log.info("%s, the last from %s", said, applied.via)
        else:
            self._last_write = trio.current_time()
            self._written.set()
        for node in applied.nodes[-MAX_RECENT:]:
            if len(node.data) <= MAX_INLINE:
                self._recent[node.cid] = node.data
        while len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)
