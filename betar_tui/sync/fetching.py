"""Fetches wanted blocks: by dagsync from betar-tui peers, over Bitswap from all peers.

A want goes to the peer that announced the block. If that peer speaks dagsync, one request brings the block and all
missing blocks below it; blocks that it turns out not to have are requested from the next peer, and in the end from all
peers over Bitswap. One dagsync runs at a time: two would fetch the same history twice. A peer that sends an invented
history without end must not keep other blocks away. So peers that truncated an answer come after the other announcers,
and blocks that wait too long behind an answer are requested over Bitswap meanwhile.

Anybody can announce blocks that nobody has. So the number of blocks requested over Bitswap at a time is limited, for the
links of each peer too (`link_shares`), and the oldest are dropped first: a block that a merged block links to gets another
turn, an invented head does not."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.errors import DecodeError, NetworkError
from betar_tui.p2p.types import LARGE_BLOCK
from betar_tui.plurals import plural
from betar_tui.sync.dagsync.client import DagSyncClient
from betar_tui.sync.dagsync.messages import MAX_WANTS, PROTOCOL
from betar_tui.sync.dagsync.walk import Lookup, locator
from betar_tui.sync.link_shares import LinkShares
from betar_tui.sync.not_deltas import NotDeltas
from betar_tui.sync.pending_heads import Sent
from betar_tui.sync.writer import MergeOutcome, RawBlock, ReplicaWriter

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network

log = logging.getLogger(__name__)

MAX_BITSWAP = 8192
"""Maximum number of blocks requested over Bitswap at a time."""
MAX_DAGSYNC = 2 * MAX_BITSWAP
"""Number of blocks that wait for dagsync at which those that nothing waits for any more are dropped."""
MAX_OWN_HAVES = 256
"""Maximum number of own blocks in a dagsync request."""
BACKOFF = 60.0
"""Seconds after a failed dagsync during which a peer is asked over Bitswap only."""
ROTATION = 20.0
"""Seconds between two requests for the blocks that wait for their turn."""
MAX_OVERDUE = 512
"""Maximum number of blocks requested over Bitswap at a time although a running dagsync may still bring them."""
MAX_REFUSED = 4096
"""Maximum number of remembered blocks that cannot be decoded."""
MAX_LATE_BYTES = 4 << 20
"""Number of bytes of large blocks of an answer at which they are merged before the rest of it is read."""
MIN_BLOCKS, MIN_BYTES = 1000, 1 << 20
"""A truncated answer with fewer blocks and bytes than these is a failure: repeating the request costs more than it."""
SLOW_AFTER, MIN_RATE = 15.0, 50_000
"""Seconds after which an answer must have this rate, in bytes a second: other blocks wait behind it."""


class Fetcher:
    """Fetches wanted blocks. `lookup` finds stored ones, in a worker thread; `source` is the peer that answers now.

    `is_announced(CID)` says whether a block is an announced head that is still waited for. `brought(peer, CIDs)` is called
    for the wanted blocks that came by dagsync, `passed_over` for those that are not deltas."""

    def __init__(self, network: "Network", writer: ReplicaWriter, lookup: Lookup) -> None:
        self._network = network
        self._writer = writer
        self._lookup = lookup
        self._client = DagSyncClient(network.open_stream)
        # Dictionaries keep the order in which blocks were requested.
        self._bitswap: dict[bytes, None] = {}
        self._shares = LinkShares()
        self._dagsync_wants: dict[bytes, str] = {}  # each with the peer to ask first
        self._refused: dict[bytes, None] = {}
        self._not_deltas = NotDeltas()
        self._known_missing: dict[str, frozenset[bytes]] = {}
        self._backed_off: dict[str, float] = {}
        self._truncated: dict[str, None] = {}
        self._waited: frozenset[bytes] = frozenset()
        self._work = Wakeup()
        self._paused = False
        self._syncing = trio.CancelScope()
        self.source = ""
        self.is_announced: Callable[[bytes], bool] = lambda cid: False
        self.brought: Callable[[str, Iterable[bytes]], None] = lambda peer, cids: None
        self.passed_over: Callable[[Collection[Sent]], None] = lambda came: None

    def asked(self, cid: bytes) -> bool:
        """Whether a block is requested from some peer."""
        return cid in self._bitswap or cid in self._dagsync_wants

    @property
    def pending(self) -> int:
        """Number of blocks that are requested or wait for their turn."""
        replica = self._writer.replica
        asked = len(self._bitswap) + len(self._dagsync_wants) - len(self._bitswap.keys() & self._dagsync_wants.keys())
        return max(asked, replica.wanted - sum(map(replica.is_wanted, self._refused)))

    def is_refused(self, cid: bytes) -> bool:
        """Whether the block is known not to be a delta, so that nobody's announcement makes it wanted."""
        return cid in self._refused or cid in self._not_deltas

    def below(self, cids: Iterable[bytes]) -> list[bytes]:
        """What stands for these blocks, as far as they are known not to be deltas (see `NotDeltas`)."""
        return [cid for cid in self._not_deltas.below(cids) if cid not in self._refused]

    @property
    def paused(self) -> bool:
        """Whether no history is fetched."""
        return self._paused

    def pause(self, paused: bool) -> None:
        """Stop fetching history, or resume; announced heads are still fetched, without the blocks below them."""
        self._paused = paused
        if paused:
            self._dagsync_wants.clear()
            self.arrived(list(self._bitswap))
            self._syncing.cancel()
        else:
            self.want(self._writer.replica.wants, "")

    def want(self, cids: Iterable[bytes], peer: str, *, announced: bool = False) -> None:
        """Fetch blocks that are not requested yet, from `peer` first, "" for any.

        `announced` ones are heads that a peer has just announced, as opposed to parts of a history."""
        cids = [cid for cid in cids if cid not in self._refused]
        for cid in cids if peer else ():
            if self._dagsync_wants.get(cid) == "":
                self._dagsync_wants[cid] = peer
        fresh = [cid for cid in cids if not self.asked(cid)]
        if not fresh or (self._paused and not announced):
            return
        if self._paused:
            self._want_over_bitswap(fresh, peer)
        elif self._speaks_dagsync(peer) if peer else self._any_speaks_dagsync():
            self._known_missing[peer] = self._known_missing.get(peer, frozenset()) - set(fresh)
            self._dagsync_wants.update((cid, peer) for cid in fresh)
            self._drop_stale()
            self._work.set()
        elif announced:
            self._want_over_bitswap(fresh, peer)
        else:
            self._want_over_bitswap(self._shares.take(fresh, peer), peer)

    def _drop_stale(self) -> None:
        """Forget the blocks that nothing waits for any more: mostly links of blocks that the replica has laid aside.

        Links of a block that is not merged yet may be among them; they are wanted again when it is."""
        if len(self._dagsync_wants) <= MAX_DAGSYNC:
            return
        replica = self._writer.replica
        for cid in [cid for cid in self._dagsync_wants if not replica.is_wanted(cid) and not self.is_announced(cid)]:
            del self._dagsync_wants[cid]

    def arrived(self, cids: Collection[bytes]) -> None:
        """These blocks are here, or not wanted any more; a CID may be repeated."""
        for peer, waited in self._forget(cids).items():
            self.want(filter(self._writer.replica.is_wanted, waited), peer)

    def _forget(self, cids: Collection[bytes]) -> Mapping[str, list[bytes]]:
        """Request these no more. Returns the links that have room now, by peer."""
        found = self._bitswap.keys() & cids
        for cid in found:
            del self._bitswap[cid]
        for cid in cids:
            self._dagsync_wants.pop(cid, None)
        if found:
            self._network.cancel(found)
        return self._shares.ended(found)

    def refuse(self, cids: Collection[bytes]) -> None:
        """These blocks match their CIDs and cannot be decoded: never request them again, whatever links to them."""
        for cid in cids:
            self._refused.pop(cid, None)
            self._refused[cid] = None
        self.arrived(cids)
        for cid in list(self._refused)[: max(0, len(self._refused) - MAX_REFUSED)]:
            del self._refused[cid]

    def pass_over(self, nodes: Mapping[bytes, tuple[bytes, ...]]) -> None:
        """These blocks, with their links, are not deltas: request them again only if a merged delta links to them."""
        self._not_deltas.add(nodes)
        self.arrived(nodes.keys())

    def peer_disconnected(self, peer: str) -> None:
        """The last connection to a peer has ended."""
        self._client.forget(peer)
        self._known_missing.pop(peer, None)
        self._backed_off.pop(peer, None)
        self._truncated.pop(peer, None)
        self._shares.forget(peer)

    async def run(self) -> None:
        """Fetch the wants for dagsync; those that no peer has that way are requested from all over Bitswap."""
        while True:
            while not self._dagsync_wants:
                await self._work.wait()
            peer = self._peer_to_ask()
            if peer:
                await self._sync(peer)
            else:
                left, self._dagsync_wants = self._dagsync_wants, {}
                self._want_of_all({cid: peer for cid, peer in left.items() if cid not in self._bitswap})

    async def run_rotation(self) -> None:
        """Request missing blocks of the history that are not requested, and overdue ones over Bitswap: at once, and
        regularly.

        Bitswap may have lost a want, if a metadata file shared it or its block came just when its connection ended."""
        while True:
            self.arrived(self._shares.over(self._writer.replica.is_wanted, self._writer.replica.wanted))
            self.want(self._writer.replica.wants, "")
            self._want_overdue()
            self._network.want(list(self._bitswap))
            await trio.sleep(ROTATION)

    def _want_of_all(self, peers: Mapping[bytes, str]) -> None:
        """Request blocks from all peers. `peers` has who announced or linked to each; the announced ones are most urgent."""
        announced = [cid for cid in peers if not self._writer.replica.is_wanted(cid)]
        self._want_over_bitswap(announced, "")
        links: dict[str, list[bytes]] = {}
        for cid in peers.keys() - set(announced):
            links.setdefault(peers[cid], []).append(cid)
        for peer, cids in links.items():
            self._want_over_bitswap(self._shares.take(cids, peer), "")

    def _want_overdue(self) -> None:
        """Request blocks that have waited behind a dagsync since the last call, first those that others announced."""
        late = [cid for cid in self._dagsync_wants if self.source and cid in self._waited and cid not in self._bitswap]
        late.sort(key=lambda cid: self._dagsync_wants[cid] in ("", self.source))
        by_peer: dict[str, list[bytes]] = {}
        for cid in late[:MAX_OVERDUE]:
            by_peer.setdefault(self._dagsync_wants[cid], []).append(cid)
        for peer, cids in by_peer.items():
            self._want_over_bitswap(cids, peer)
        self._waited = frozenset(self._dagsync_wants)

    def _want_over_bitswap(self, cids: Iterable[bytes], peer: str) -> None:
        asked = list(cids)[:MAX_BITSWAP]
        if not asked:
            return
        over = len(self._bitswap) + len(asked) - MAX_BITSWAP
        if over > 0:
            self._forget(list(self._bitswap)[:over])
        self._bitswap.update(dict.fromkeys(asked))
        self._network.want(asked, ask=peer or None)

    def _speaks_dagsync(self, peer: str) -> bool:
        backed_off = self._backed_off.get(peer, 0.0) > trio.current_time()
        return not backed_off and bool(self._network.supports(peer, PROTOCOL))

    def _any_speaks_dagsync(self) -> bool:
        return any(self._speaks_dagsync(connection.peer_id) for connection in self._network.connections())

    def _peer_to_ask(self) -> str:
        """The first peer that announced a wanted block, else any that may have one, or "".

        Peers that truncated an answer come after the other announcers, the one that was asked longest ago first."""
        turns = {peer: turn for turn, peer in enumerate(self._truncated, 1)}
        announcers = sorted(
            filter(None, dict.fromkeys(self._dagsync_wants.values())), key=lambda peer: turns.get(peer, 0)
        )
        connected = (connection.peer_id for connection in self._network.connections())
        for peer in dict.fromkeys((*announcers, *connected)):
            missing = self._known_missing.get(peer, frozenset())
            if self._speaks_dagsync(peer) and any(cid not in missing for cid in self._dagsync_wants):
                return peer
        return ""

    async def _sync(self, peer: str) -> None:
        """Run one dagsync with a peer, for all wants that it may have."""
        missing = self._known_missing.get(peer, frozenset())
        wants = [cid for cid in self._dagsync_wants if cid not in missing]
        wants = sorted(wants, key=lambda cid: self._dagsync_wants[cid] != peer)[:MAX_WANTS]
        self.source = peer
        self._syncing = trio.CancelScope()
        try:
            with self._syncing:
                await self._fetch(peer, wants)
        except DecodeError as error:
            self._back_off(peer)
            self._network.penalize(peer, str(error))
        except NetworkError as error:
            self._back_off(peer)
            log.info("dagsync: %s", error)
        finally:
            self.source = ""
        if self._paused:
            return
        # Blocks found missing on the way are wanted now, from this peer first if it truncated its answer.
        first = peer if peer in self._truncated else ""
        for cid in self._writer.replica.wants.difference(self._bitswap, self._refused):
            self._dagsync_wants.setdefault(cid, first)

    def _is_wanted(self, cid: bytes) -> bool:
        return cid in self._dagsync_wants or self._writer.replica.is_wanted(cid)

    def _back_off(self, peer: str) -> None:
        """Try dagsync with this peer later; one whose connection has ended is tried when it is back."""
        if self._network.supports(peer, PROTOCOL):
            self._backed_off[peer] = trio.current_time() + BACKOFF

    async def _fetch(self, peer: str, wants: list[bytes]) -> None:
        """Merge the blocks that a peer has of these and below them. Raises NetworkError, DecodeError."""
        by_height = sorted(self._writer.replica.heads.items(), key=lambda head: -head[1])
        haves = await trio.to_thread.run_sync(locator, [cid for cid, _ in by_height], self._lookup, MAX_OWN_HAVES)
        began = trio.current_time()
        blocks = size = 0
        late: list[RawBlock] = []
        async with aclosing(self._client.fetch(peer, wants, haves)) as pieces:
            async for piece in pieces:
                blocks += len(piece.nodes) + len(piece.others)
                size += sum(len(node.data) for node in piece.nodes) + sum(len(other.data) for other in piece.others)
                small = [node for node in piece.nodes if len(node.data) < LARGE_BLOCK]
                late += [RawBlock(node.cid, node.data, peer) for node in piece.nodes if len(node.data) >= LARGE_BLOCK]
                self.brought(peer, frozenset(wants).intersection(node.cid for node in piece.nodes))
                others, trailer, cut = piece.others, piece.trailer, piece.cut
                del piece  # the links of its large blocks take more memory than the blocks
                if small:
                    self._merged(await self._writer.merge_nodes(small, peer), [node.cid for node in small], peer)
                if trailer is not None or sum(len(block.data) for block in late) >= MAX_LATE_BYTES:
                    await self._merge_late(late, peer)
                self.refuse([other.cid for other in others if self._is_wanted(other.cid)])
                waited = trio.current_time() - began
                if trailer is None:
                    if waited > SLOW_AFTER and size < MIN_RATE * waited:
                        raise NetworkError(
                            f"{peer} answers a dagsync with {plural(round(size / waited), 'byte')} a second"
                        )
                elif trailer.complete:
                    self._truncated.pop(peer, None)
                    missing = self._known_missing.get(peer, frozenset())  # without those it announced meanwhile
                    unasked = (self._dagsync_wants.keys() | self._bitswap.keys()) - missing.union(wants)
                    self._known_missing[peer] = (frozenset(self._dagsync_wants) | self._writer.replica.wants) - unasked
                elif not cut and blocks < MIN_BLOCKS and size < MIN_BYTES:
                    raise NetworkError(f"{peer} cut its dagsync answer short after {plural(blocks, 'block')}")
                else:
                    self._truncated.pop(peer, None)
                    self._truncated[peer] = None
                    # What did not come goes last: a request has room for some, and nobody may have these.
                    for cid in [each for each in wants if each in self._dagsync_wants]:
                        self._dagsync_wants[cid] = self._dagsync_wants.pop(cid)

    async def _merge_late(self, late: list[RawBlock], peer: str) -> None:
        """Merge the large blocks of an answer, after the small ones, which may be all that somebody waits for."""
        while late:
            block = late.pop(0)
            self._merged(await self._writer.merge([block]), [block.cid], peer)

    def _merged(self, outcome: MergeOutcome, cids: list[bytes], peer: str) -> None:
        """Blocks of an answer are merged."""
        self.arrived(cids)
        if outcome.not_deltas:
            self.pass_over(outcome.not_deltas)
            self.passed_over([(cid, peer, "") for cid in outcome.not_deltas])
