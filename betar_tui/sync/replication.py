"""Keeping one replica in step with the topic.

Heads come in by gossip, with their block from peers of ours; what is missing is wanted from the peer that spoke of it;
each block is merged as soon as it is here, newest first, and what it links to is wanted next. Nothing waits for a merge:
heads and blocks gather while one runs and are merged together after it. Our heads go out when we write, when a peer
joins the topic, and in rounds, then only those that nobody else announced (PROTOCOL 1, 4, 8).
"""

import logging
import math
import random
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

import trio

from betar_tui.errors import DecodeError, NetworkError
from betar_tui.ipld import cid
from betar_tui.p2p.types import NetworkEvent, PeerDisconnected, PeerJoined, ReceivedBlock, ReceivedBroadcast
from betar_tui.replica import Applied, Head, decode_broadcast, encode_broadcast
from betar_tui.replica.broadcast import MAX_INLINE
from betar_tui.replica.node import links_of
from betar_tui.sync.dagsync.messages import PROTOCOL as DAGSYNC
from betar_tui.sync.dagsync.walk import Lookup
from betar_tui.sync.delivery import DeliveryTracker, Tell
from betar_tui.sync.fetching import Fetcher
from betar_tui.sync.merge_queue import MergeQueue
from betar_tui.sync.pending_heads_journal import PendingHeadsJournal
from betar_tui.sync.progress import ProgressMeter
from betar_tui.sync.writer import RawBlock, ReplicaWriter
from betar_tui.values import SyncProgress

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network

log = logging.getLogger(__name__)

MAX_ANNOUNCED = 512
HEAD_SIZE = 200
"""Bytes of memory that a decoded head takes besides its block: most of a broadcast of Go's."""
MAX_INLINE_TOTAL = 64 << 10
MAX_RECENT = 64
"""So many blocks are at hand to travel with their heads."""
MANY = 100
"""So many deltas that came as one sync are worth a line in the log."""
ECHOES = (1.0, 5.0)
"""After a burst of our own writes the heads go out again when it has been quiet for so many seconds: a Go peer drops
broadcasts while it walks, and would wait for a whole round."""
BURST = 0.003
GATHERED = 0.03
"""Broadcasts that are due within `BURST` seconds of the last one wait so many seconds for those behind them, or until their
blocks fill a broadcast: each costs sender and receiver about as much as the delta that it tells of."""
GREETINGS, GREETING = 8, 1.0
"""Our heads go out for so many peers that join at once, and from then on once in so many seconds: joining again and again
costs a peer nothing."""
SHUTDOWN_FLUSH_TIMEOUT = 1.0
"""So many seconds what is still to be told may take when a peer stops."""


_NOTHING: Mapping[bytes, bytes] = MappingProxyType({})


def accept_broadcast(payload: bytes) -> tuple[tuple[Head, ...], int] | None:
    """The heads of a broadcast, their blocks verified, and the bytes of memory that they take.

    None for a payload that may not be passed on to others. Each broadcast is decoded, and each of its blocks hashed, here
    and nowhere else.
    """
    try:
        heads = decode_broadcast(payload)
    except DecodeError:
        return None
    size = len(heads) * HEAD_SIZE
    for head in heads:
        if head.block is not None:
            if cid.of(head.block) != head.cid:
                return None
            size += len(head.block)
    return heads, size


class Replication:
    """Drives a replica from a network. `keeper` keeps announced heads for the next run; `announce_interval` is in seconds
    and jittered by 30 %; `seen` as in `DeliveryTracker`."""

    def __init__(
        self,
        network: "Network",
        writer: ReplicaWriter,
        lookup: Lookup,
        keeper: PendingHeadsJournal,
        announce_interval: float,
        seen: Tell,
    ) -> None:
        self._network = network
        self._writer = writer
        self._interval = announce_interval
        self._inbox = MergeQueue()
        self._keeper = keeper
        self._roots = keeper.roots
        self.fetcher = Fetcher(network, writer, lookup)
        self._announced: set[bytes] = set()
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()
        self._joined = trio.Event()
        self._written = trio.Event()
        self._wrote = -math.inf
        self._due: dict[bytes, bytes] = {}
        self._telling, self._full = trio.Event(), trio.Event()
        self._meter = ProgressMeter(trio.current_time)
        self._witnesses = DeliveryTracker(seen)
        network.on_sent(self._witnesses.sent)
        self._unlisten = writer.listen(lambda applied: applied, self._remember)

    @property
    def pending(self) -> int:
        """How many blocks are known of and not here."""
        return self.fetcher.pending

    @property
    def progress(self) -> SyncProgress | None:
        """How the sync under way goes on, None when nothing is missing."""
        return self._meter.now(self.pending, self.fetcher.source)

    async def close(self) -> None:
        """Tell of what is due as long as the network is there, also of what is written meanwhile, and remember what has not
        come."""
        with trio.CancelScope(shield=True), trio.move_on_after(SHUTDOWN_FLUSH_TIMEOUT):
            try:
                while True:
                    await self._tell_due()
                    await self._network.flush()
                    if not self._due:
                        break
            except Exception:  # of a network that has failed: what ends it must not be hidden
                log.exception("what was written last could not be told of")
        self._unlisten()
        await self._keeper.finish()

    async def give(self, block: ReceivedBlock) -> None:
        """A block that the network fetched. What it links to is asked for before it is merged: in a long chain every
        block waits for the one above it."""
        links: tuple[bytes, ...] = ()
        with suppress(DecodeError):
            links = links_of(block.data)
        unsure = [name for name in links if self._writer.replica.may_be_missing(name) and not self.fetcher.asked(name)]
        if unsure:
            self.fetcher.want(await self._writer.lacking(unsure), block.peer)
        # It is what was asked for: whoever linked to it, or spoke of it, answers for what it is.
        await self._inbox.put([RawBlock(block.cid, block.data, block.peer)])

    async def run_merges(self) -> None:
        """Merge what has come in, as much at a time as is there."""
        self._ask_for(self._roots)  # a merge that failed has lost the heads that it was to merge
        while True:
            await self._merge(await self._inbox.take())

    def tell(self, heads: Iterable[bytes]) -> int:
        """Broadcast these heads as soon as possible, with others that are due; the number of peers that will be told.

        Whoever wrote them need not wait: in a burst the next delta is on its way to the disk meanwhile.
        """
        for name in heads:
            # Its block is kept here: what others write meanwhile may displace it.
            self._due[name] = self._recent.get(name) or self._due.get(name, b"")
        self._telling.set()
        if sum(map(len, self._due.values())) > MAX_INLINE_TOTAL - MAX_INLINE:
            self._full.set()
        return self._network.audience

    async def flush_announcements(self) -> None:
        """Broadcast what is due, in a burst together."""
        last = -math.inf
        while True:
            await self._telling.wait()
            if trio.current_time() - last < BURST:
                with trio.move_on_after(GATHERED):
                    await self._full.wait()
            last = trio.current_time()
            await self._tell_due()

    async def _tell_due(self) -> None:
        self._telling, self._full = trio.Event(), trio.Event()
        due, self._due = self._due, {}
        if not due:
            return
        try:
            await self.announce(self._heads_with(due), due)
        except NetworkError as error:
            # It is stored, and the next round announces it.
            log.warning("announcing failed: %s", error)
        except trio.Cancelled:
            self._due = {**due, **self._due}  # for `close`
            raise

    def _heads_with(self, due: Iterable[bytes]) -> list[bytes]:
        """What to name so that everybody hears of these deltas: themselves where they are heads. Where something was written
        on top of one, the heads bring it along, whoever tells of them and when. Where all neighbours are peers of ours it is
        named as well, for its block to come without asking; otherwise not, since go-ds-crdt without heads takes over every
        one that is named, tip or not."""
        heads = self._writer.heads
        lower = [name for name in due if name not in heads]
        if not lower:
            return list(due)
        ours = all(self._network.supports(peer, DAGSYNC) for peer in self._network.topic_peers())
        return [*heads, *reversed(lower)] if ours else list(heads)

    async def rebroadcast_periodically(self) -> None:
        """Announce, each interval, the heads that nobody else announced since the last round."""
        while True:
            await trio.sleep(self._interval * random.uniform(0.7, 1.3))
            await self._announce_quiet()
            self._announced.clear()
            if self._network.topic_peers() and not self.fetcher.held:
                self._give_up(self._roots.expired())
                self._keeper.note()
            else:
                self._roots.renew()

    async def run_roots(self) -> None:
        """Want again what was announced to an earlier run and did not come, and write down what does not come to this one.
        Raises StoreError."""
        restored = await self._keeper.restore()
        missing = await self._writer.missing(restored)
        self._keeper.arrived(set(restored) - set(missing))
        self._ask_for(missing)
        await self._keeper.run()

    def hold(self, held: bool) -> None:
        """Ask for nothing that was spoken of before now, until told to go on; then for all of it that is not here."""
        self.fetcher.hold(held)
        self._ask_for(self._roots)

    async def rebroadcast_after_burst(self) -> None:
        """Announce our heads again soon after we wrote, for those that could not listen."""
        while True:
            await self._written.wait()
            for quiet in ECHOES:
                self._written = trio.Event()
                await trio.sleep_until(self._wrote + quiet)
                if self._written.is_set():
                    break
                await self._announce_quiet()
                if self._written.is_set():
                    break

    async def handle(self, event: NetworkEvent) -> None:
        """React to one event of the network."""
        if isinstance(event, ReceivedBroadcast):
            await self._heads(event)
        elif isinstance(event, PeerDisconnected):
            self.fetcher.left(event.peer)
        elif isinstance(event, PeerJoined):
            self._joined.set()

    async def announce_to_joiners(self) -> None:
        """Announce our heads to peers that join the topic."""
        spare, last = float(GREETINGS), trio.current_time()
        while True:
            await self._joined.wait()
            now = trio.current_time()
            spare, last = min(GREETINGS, spare + (now - last) / GREETING), now
            if spare < 1:
                await trio.sleep((1 - spare) * GREETING)
                continue
            spare -= 1
            self._joined = trio.Event()
            if heads := self._writer.heads:
                await self.announce(heads)

    async def announce(self, heads: Iterable[bytes], at_hand: Mapping[bytes, bytes] = _NOTHING) -> int:
        """Broadcast these heads, the highest first, with their blocks as far as they are `at_hand` or recent and fit; the
        number of peers told. Those that are no heads any more come last, or not at all without their block."""
        heights = self._writer.heads
        ordered = sorted(heads, key=lambda name: -heights.get(name, 0))
        told = 0
        for i in range(0, len(ordered), MAX_ANNOUNCED):
            room = MAX_INLINE_TOTAL
            named = []
            for name in ordered[i : i + MAX_ANNOUNCED]:
                block = at_hand.get(name) or self._recent.get(name, b"")
                inline = 0 < len(block) <= min(room, MAX_INLINE)
                room -= len(block) if inline else 0
                if inline or name in heights:
                    named.append(Head(name, block if inline else None))
            if named:
                told = await self._network.broadcast(encode_broadcast(named))
        return told

    async def _announce_quiet(self) -> None:
        """Announce the heads that nobody else announced lately."""
        quiet = [name for name in self._writer.heads if name not in self._announced]
        if quiet:
            await self.announce(quiet)

    async def _heads(self, event: ReceivedBroadcast) -> None:
        heads: tuple[Head, ...] = event.payload  # as `accept_broadcast` returned them
        self._witnesses.announced(event.author, [head.cid for head in heads])
        known = self._writer.heads
        self._announced.update(head.cid for head in heads if head.cid in known)
        bare, blocks = [], []
        for head in heads:
            if head.cid in known or self.fetcher.is_refused(head.cid):
                continue
            if head.block is not None:
                # Merging what is held already changes nothing: no need to look first.
                blocks.append(RawBlock(head.cid, head.block, event.peer, event.author))
            else:
                bare.append(head.cid)
        if blocks:
            # Together: each links to the next, which would be asked for if it came by itself.
            await self._inbox.put(blocks)
        if bare:
            try:
                missing = await self._writer.missing(bare)
            except trio.Cancelled:
                # Others got this broadcast through us: the next run finds out what is missing.
                self._roots.announced(bare, event.author)
                raise
            self._want_roots(list(missing), event)

    def _want_roots(self, names: list[bytes], event: ReceivedBroadcast) -> None:
        """Want heads that were announced, of one author only so many: anybody can name blocks that nobody has."""
        self._give_up(self._roots.announced(names, event.author))
        self._keeper.note()
        self.fetcher.want([name for name in names if name in self._roots], event.peer, announced=True)

    def _ask_for(self, roots: Iterable[bytes]) -> None:
        """Ask whoever may have them for these, as far as they are still wanted."""
        self.fetcher.want([name for name in roots if name in self._roots], "")

    def _give_up(self, names: list[bytes]) -> None:
        """Announced heads that are not waited for any longer, unless something merged links to them."""
        self.fetcher.arrived([name for name in names if not self._writer.replica.is_wanted(name)])

    async def _merge(self, batch: list[RawBlock]) -> None:
        arrived = [block.cid for block in batch]
        try:
            outcome = await self._writer.merge(batch)
        finally:
            # A merge that failed left these wanted: they are asked for again in their turn.
            self.fetcher.arrived(arrived)
        self._keeper.arrived(arrived)
        for block, reason in outcome.bad:
            if block.author:
                self._network.penalize(block.author, f"block {cid.to_str(block.cid)}: {reason}")
            with suppress(DecodeError):  # what a block links to is asked for when it comes
                self._give_up([link for link in links_of(block.data) if link not in self._roots])
        self.fetcher.refuse([block.cid for block, _ in outcome.bad])
        for peer, names in outcome.wants.items():
            self.fetcher.want(names, peer)

    def _remember(self, applied: Applied) -> None:
        """Keep the newest blocks at hand to send along with their heads, and give them to peers that wait for them."""
        # What comes below a block that was asked for comes with it.
        asked = [node for node in applied.nodes if self.fetcher.source or self.fetcher.asked(node.cid)]
        # Nobody is asked for these any more, or they would count as missing.
        self.fetcher.arrived([node.cid for node in applied.nodes])
        for node in applied.nodes:
            self._network.announce_block(node.cid)
        self._witnesses.applied(applied.nodes, ours=not applied.via)
        self._keeper.arrived(node.cid for node in applied.nodes)
        if applied.via:
            synced = self._meter.merged(len(asked), self.pending)
            if synced >= MANY:
                log.info("%d deltas were missing and are here now, the last from %s", synced, applied.via)
        else:
            self._wrote = trio.current_time()
            self._written.set()
        for node in applied.nodes[-MAX_RECENT:]:
            if len(node.data) <= MAX_INLINE:
                self._recent[node.cid] = node.data
        while len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)
