"""How blocks that are wanted get here: by dagsync from peers of ours, by Bitswap from everybody.

A want goes to the peer that spoke of the block. If that peer speaks dagsync, one request brings the block and all that
is missing below it; what a peer turned out not to have is asked of the next one, and in the end of everybody over
Bitswap. One dagsync runs at a time: two would bring the same history twice.
"""

import logging
from collections.abc import Collection, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING

import trio

from betar_tui.errors import DecodeError, NetworkError
from betar_tui.p2p.dagsync.client import DagSyncClient
from betar_tui.p2p.dagsync.messages import PROTOCOL
from betar_tui.p2p.writer import ReplicaWriter

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network

log = logging.getLogger(__name__)

MAX_BITSWAP = 8192
"""How many blocks are asked for over Bitswap at a time."""
SHUNNED = 60.0
"""A peer whose dagsync failed is asked over Bitswap for so many seconds."""


class Fetcher:
    """Fetches what is wanted. `wanted` names the blocks that somebody is being asked for."""

    def __init__(self, network: "Network", writer: ReplicaWriter) -> None:
        self._network = network
        self._writer = writer
        self._client = DagSyncClient(network.open_stream)
        self._bitswap: set[bytes] = set()
        self._pool: dict[bytes, str] = {}
        self._lacking: dict[str, frozenset[bytes]] = {}
        self._shunned: dict[str, float] = {}
        self._work = trio.Event()
        self.source = ""

    @property
    def wanted(self) -> set[bytes]:
        """Blocks that are asked for."""
        return self._bitswap | self._pool.keys()

    def want(self, names: Iterable[bytes], peer: str) -> None:
        """Fetch these, if nobody is asked for them yet, from `peer` first ("" for anybody)."""
        fresh = [name for name in names if name not in self._bitswap and name not in self._pool]
        if not fresh:
            return
        if self._speaks(peer) if peer else any(self._speaks(each.peer_id) for each in self._network.connections()):
            self._lacking[peer] = self._lacking.get(peer, frozenset()) - set(fresh)
            self._pool.update((name, peer) for name in fresh)
            self._work.set()
        else:
            self._ask_everybody(fresh, peer)

    def arrived(self, names: Collection[bytes]) -> None:
        """These are here, or not wanted any more."""
        gone = [name for name in names if name in self._bitswap]
        self._bitswap.difference_update(gone)
        for name in names:
            self._pool.pop(name, None)
        if gone:
            self._network.cancel(gone)

    def left(self, peer: str) -> None:
        """The peer is not connected any more."""
        self._client.forget(peer)
        self._lacking.pop(peer, None)

    def top_up(self, unwanted: Iterable[bytes]) -> None:
        """Ask for what merges left wanted and what nobody is asked for: at the start, or when there was no room."""
        if len(self._bitswap) < MAX_BITSWAP // 2:
            self.want(unwanted, "")

    async def run(self) -> None:
        """Work off the wants that dagsync may bring; what it cannot goes to everybody over Bitswap."""
        while True:
            await self._work.wait()
            self._work = trio.Event()
            while self._pool:
                peer = self._peer_to_ask()
                if peer:
                    await self._sync(peer)
                else:
                    left, self._pool = self._pool, {}
                    self._ask_everybody(left, "")

    def _ask_everybody(self, names: Iterable[bytes], peer: str) -> None:
        room = max(0, MAX_BITSWAP - len(self._bitswap))
        asked = list(names)[:room]
        if asked:
            self._bitswap.update(asked)
            self._network.want(asked, ask=peer or None)

    def _speaks(self, peer: str) -> bool:
        shunned = self._shunned.get(peer, 0.0) > trio.current_time()
        return not shunned and bool(self._network.supports(peer, PROTOCOL))

    def _peer_to_ask(self) -> str:
        """The peer that spoke of a wanted block, else any that may have one; "" when all of them lack them all."""
        named = [peer for peer in self._pool.values() if peer]
        for peer in dict.fromkeys((*named, *(each.peer_id for each in self._network.connections()))):
            lacking = self._lacking.get(peer, frozenset())
            if self._speaks(peer) and any(name not in lacking for name in self._pool):
                return peer
        return ""

    async def _sync(self, peer: str) -> None:
        """One dagsync with a peer, for everything in the pool that it may have."""
        lacking = self._lacking.get(peer, frozenset())
        wants = [name for name in self._pool if name not in lacking]
        self.source = peer
        try:
            await self._fetch(peer, wants)
        except DecodeError as error:
            self._shunned[peer] = trio.current_time() + SHUNNED
            self._network.charge(peer, str(error))
        except NetworkError as error:
            self._shunned[peer] = trio.current_time() + SHUNNED
            log.info("dagsync: %s", error)
        finally:
            self.source = ""
        # What was found missing on the way is wanted now, from this peer first if its answer was cut short.
        self._pool.update((name, peer) for name in self._writer.replica.wants if name not in self._bitswap)

    async def _fetch(self, peer: str, wants: list[bytes]) -> None:
        """Merge what a peer has. Raises NetworkError, DecodeError."""
        haves = list(self._writer.replica.heads)
        blocks = 0
        async with aclosing(self._client.fetch(peer, wants, haves)) as pieces:
            async for piece in pieces:
                if piece.nodes:
                    blocks += len(piece.nodes)
                    await self._writer.merge_nodes(piece.nodes, peer)
                    self.arrived([node.cid for node in piece.nodes])
                if piece.trailer is None:
                    continue
                if piece.trailer.complete:
                    self._lacking[peer] = frozenset(self._pool) | self._writer.replica.wants
                elif not blocks:
                    raise NetworkError(f"{peer} cut its dagsync answer short before the first block")
