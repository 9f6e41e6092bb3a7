"""How blocks that are wanted get here: by dagsync from peers of ours, by Bitswap from everybody.

A want goes to the peer that spoke of the block. If that peer speaks dagsync, one request brings the block and all that
is missing below it; what a peer turned out not to have is asked of the next one, and in the end of everybody over
Bitswap. One dagsync runs at a time: two would bring the same history twice. Whoever cut an answer short comes after the
others that spoke of something, and what waits too long behind an answer is asked for over Bitswap meanwhile: a peer that
sends without end, and invents what it sends, must not keep the rest away.

Anybody can make us want blocks that nobody has. So Bitswap is asked for a limited number at a time, and when that is
used up the oldest gives way: what merged blocks link to gets its turn again, an invented head does not.
"""

import logging
from collections.abc import Collection, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING

import trio

from betar_tui.errors import DecodeError, NetworkError
from betar_tui.sync.dagsync.client import DagSyncClient
from betar_tui.sync.dagsync.messages import MAX_WANTS, PROTOCOL
from betar_tui.sync.dagsync.walk import Lookup, locator
from betar_tui.sync.writer import ReplicaWriter

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network

log = logging.getLogger(__name__)

MAX_BITSWAP = 8192
"""How many blocks are asked for over Bitswap at a time."""
MAX_HAVES = 256
BACKOFF = 60.0
"""A peer whose dagsync failed is asked over Bitswap for so many seconds."""
ROTATION = 20.0
"""How often, in seconds, what waits for its turn is asked for."""
MAX_OVERDUE = 512
"""So many blocks at a time that wait behind a dagsync are asked for over Bitswap: it may still bring them."""
MAX_REFUSED = 4096
"""So many blocks that turned out to be no deltas are remembered."""
MIN_BLOCKS, MIN_BYTES = 1000, 1 << 20
"""An answer is cut short for being too long: one of fewer blocks and bytes is none, and asking again costs more than it."""
PATIENCE, FLOOR = 15.0, 50_000
"""After so many seconds an answer must have come at so many bytes a second: others wait behind it."""


class Fetcher:
    """Fetches what is wanted. `lookup` finds held blocks, in a worker thread; `source` is the peer that sends now."""

    def __init__(self, network: "Network", writer: ReplicaWriter, lookup: Lookup) -> None:
        self._network = network
        self._writer = writer
        self._lookup = lookup
        self._client = DagSyncClient(network.open_stream)
        # Dictionaries keep the order in which blocks were asked for.
        self._bitswap: dict[bytes, None] = {}
        self._dagsync_wants: dict[bytes, str] = {}
        self._refused: dict[bytes, None] = {}
        self._known_missing: dict[str, frozenset[bytes]] = {}
        self._backed_off: dict[str, float] = {}
        self._truncated: dict[str, None] = {}
        self._waiting: frozenset[bytes] = frozenset()
        self._work = trio.Event()
        self._held = False
        self._syncing = trio.CancelScope()
        self.source = ""

    def asked(self, name: bytes) -> bool:
        """Whether somebody is being asked for a block."""
        return name in self._bitswap or name in self._dagsync_wants

    @property
    def pending(self) -> int:
        """How many blocks are asked for or wait for their turn."""
        replica = self._writer.replica
        asked = len(self._bitswap) + len(self._dagsync_wants) - len(self._bitswap.keys() & self._dagsync_wants.keys())
        return max(asked, replica.wanted - sum(map(replica.is_wanted, self._refused)))

    def is_refused(self, name: bytes) -> bool:
        """Whether it was found to be no delta."""
        return name in self._refused

    @property
    def held(self) -> bool:
        """Whether no history is asked for."""
        return self._held

    def hold(self, held: bool) -> None:
        """Ask for no history, until told to go on; announced heads are still fetched, each for itself."""
        self._held = held
        if held:
            self._dagsync_wants.clear()
            self.arrived(list(self._bitswap))
            self._syncing.cancel()
        else:
            self.want(self._writer.replica.wants, "")

    def want(self, names: Iterable[bytes], peer: str, *, announced: bool = False) -> None:
        """Fetch these, if nobody is asked for them yet, from `peer` first ("" for anybody). `announced` ones are heads
        that a peer just spoke of, no part of a history."""
        names = [name for name in names if name not in self._refused]
        for name in names if peer else ():
            if self._dagsync_wants.get(name) == "":
                self._dagsync_wants[name] = peer
        fresh = [name for name in names if not self.asked(name)]
        if not fresh or (self._held and not announced):
            return
        if self._held:
            self._ask_everybody(fresh, peer)
        elif self._speaks(peer) if peer else any(self._speaks(each.peer_id) for each in self._network.connections()):
            self._known_missing[peer] = self._known_missing.get(peer, frozenset()) - set(fresh)
            self._dagsync_wants.update((name, peer) for name in fresh)
            self._work.set()
        else:
            self._ask_everybody(fresh, peer)

    def arrived(self, names: Collection[bytes]) -> None:
        """These are here, or not wanted any more; each may be named more than once."""
        gone = self._bitswap.keys() & names
        for name in gone:
            del self._bitswap[name]
        for name in names:
            self._dagsync_wants.pop(name, None)
        if gone:
            self._network.cancel(gone)

    def refuse(self, names: Collection[bytes]) -> None:
        """These blocks are what their CIDs say, and no deltas: they are not asked for again, whatever links to them."""
        for name in names:
            self._refused.pop(name, None)
            self._refused[name] = None
        self.arrived(names)
        for name in list(self._refused)[: max(0, len(self._refused) - MAX_REFUSED)]:
            del self._refused[name]

    def left(self, peer: str) -> None:
        """The peer is not connected any more."""
        self._client.forget(peer)
        self._known_missing.pop(peer, None)
        self._backed_off.pop(peer, None)
        self._truncated.pop(peer, None)

    async def run(self) -> None:
        """Work off the wants that dagsync may bring; what it cannot goes to everybody over Bitswap."""
        while True:
            if not self._dagsync_wants:
                await self._work.wait()
            self._work = trio.Event()
            while self._dagsync_wants:
                peer = self._peer_to_ask()
                if peer:
                    await self._sync(peer)
                else:
                    left, self._dagsync_wants = self._dagsync_wants, {}
                    # There is not room for any number: what a peer spoke of comes first.
                    spoken_of = sorted(left, key=lambda name: not left[name])
                    self._ask_everybody([name for name in spoken_of if name not in self._bitswap], "")

    async def run_rotation(self) -> None:
        """Ask for what merged blocks link to and nobody is asked for, and over Bitswap for what waits behind an answer: at
        once, and again and again. Bitswap may have lost a want: one that a metadata file shared, or whose block came just
        when its connection went."""
        while True:
            self.want(self._writer.replica.wants, "")
            self._pass_by()
            self._network.want(list(self._bitswap))
            await trio.sleep(ROTATION)

    def _pass_by(self) -> None:
        """Ask over Bitswap for what has waited behind a dagsync since the last time, first for what others spoke of."""
        late = [
            name for name in self._dagsync_wants if self.source and name in self._waiting and name not in self._bitswap
        ]
        late.sort(key=lambda name: self._dagsync_wants[name] in ("", self.source))
        asked: dict[str, list[bytes]] = {}
        for name in late[:MAX_OVERDUE]:
            asked.setdefault(self._dagsync_wants[name], []).append(name)
        for peer, names in asked.items():
            self._ask_everybody(names, peer)
        self._waiting = frozenset(self._dagsync_wants)

    def _ask_everybody(self, names: Iterable[bytes], peer: str) -> None:
        asked = list(names)[:MAX_BITSWAP]
        over = len(self._bitswap) + len(asked) - MAX_BITSWAP
        if over > 0:
            self.arrived(list(self._bitswap)[:over])
        self._bitswap.update(dict.fromkeys(asked))
        self._network.want(asked, ask=peer or None)

    def _speaks(self, peer: str) -> bool:
        shunned = self._backed_off.get(peer, 0.0) > trio.current_time()
        return not shunned and bool(self._network.supports(peer, PROTOCOL))

    def _peer_to_ask(self) -> str:
        """The peer that spoke of a wanted block, else any that may have one; "" when all of them lack them all. Of those
        that spoke of one the first, but whoever cut an answer short has had its turn."""
        turns = {peer: turn for turn, peer in enumerate(self._truncated, 1)}
        named = sorted(filter(None, dict.fromkeys(self._dagsync_wants.values())), key=lambda peer: turns.get(peer, 0))
        for peer in dict.fromkeys((*named, *(each.peer_id for each in self._network.connections()))):
            lacking = self._known_missing.get(peer, frozenset())
            if self._speaks(peer) and any(name not in lacking for name in self._dagsync_wants):
                return peer
        return ""

    async def _sync(self, peer: str) -> None:
        """One dagsync with a peer, for everything in the pool that it may have."""
        lacking = self._known_missing.get(peer, frozenset())
        wants = [name for name in self._dagsync_wants if name not in lacking]
        wants = sorted(wants, key=lambda name: self._dagsync_wants[name] != peer)[:MAX_WANTS]
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
        if self._held:
            return
        # What was found missing on the way is wanted now, from this peer first if its answer was cut short.
        named = peer if peer in self._truncated else ""
        for name in self._writer.replica.wants.difference(self._bitswap, self._refused):
            self._dagsync_wants.setdefault(name, named)

    def _is_wanted(self, name: bytes) -> bool:
        return name in self._dagsync_wants or self._writer.replica.is_wanted(name)

    def _back_off(self, peer: str) -> None:
        """Try dagsync with this peer later; one whose connection was cut is tried again when it is back."""
        if self._network.supports(peer, PROTOCOL):
            self._backed_off[peer] = trio.current_time() + BACKOFF

    async def _fetch(self, peer: str, wants: list[bytes]) -> None:
        """Merge what a peer has of these. Raises NetworkError, DecodeError."""
        heads = sorted(self._writer.replica.heads.items(), key=lambda head: -head[1])
        names = [name for name, _ in heads]
        haves = await trio.to_thread.run_sync(locator, names, self._lookup, MAX_HAVES)
        began = trio.current_time()
        blocks = size = 0
        async with aclosing(self._client.fetch(peer, wants, haves)) as pieces:
            async for piece in pieces:
                blocks += len(piece.nodes) + len(piece.others)
                size += sum(len(node.data) for node in piece.nodes) + sum(len(other.data) for other in piece.others)
                if piece.nodes:
                    await self._writer.merge_nodes(piece.nodes, peer)
                    self.arrived([node.cid for node in piece.nodes])
                self.refuse([each.cid for each in piece.others if self._is_wanted(each.cid)])
                waited = trio.current_time() - began
                if piece.trailer is None:
                    if waited > PATIENCE and size < FLOOR * waited:
                        raise NetworkError(f"{peer} answers a dagsync with {size / waited:.0f} bytes a second")
                elif piece.trailer.complete:
                    self._truncated.pop(peer, None)
                    lacking = self._known_missing.get(peer, frozenset())  # less what it spoke of meanwhile
                    unasked = (self._dagsync_wants.keys() | self._bitswap.keys()) - lacking.union(wants)
                    self._known_missing[peer] = (frozenset(self._dagsync_wants) | self._writer.replica.wants) - unasked
                elif blocks < MIN_BLOCKS and size < MIN_BYTES:
                    raise NetworkError(f"{peer} cut its dagsync answer short after {blocks} blocks")
                else:
                    self._truncated.pop(peer, None)
                    self._truncated[peer] = None
