"""Messages that are dealt with later: those whose author has sent too many, and those that the loop has no time for yet."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from betar_tui.concurrency import FastLock
from betar_tui.p2p.adaptations.turns import Turns
from betar_tui.p2p.backlog import Backlog
from betar_tui.p2p.gossip_ledger import EXCESS, GossipLedger, LateMessages

LATE_PAUSE = 0.2
"""Minimum seconds that a message waits whose author has sent too many."""


class Postponed:
    """See the module. `push(neighbour, message)` deals with a message, and `start(function, *arguments)` runs a task."""

    def __init__(
        self,
        ledger: GossipLedger,
        push: Callable[[ID, rpc_pb2.Message], Awaitable[None]],
        start: Callable[..., Any],
    ) -> None:
        self._ledger = ledger
        self._gate = FastLock()  # apart from that of the readers, which must not wait for what is left for later
        self._push = push
        self._start = start
        self._late: LateMessages[rpc_pb2.Message] = LateMessages()
        self._backlog: Backlog[rpc_pb2.Message] = Backlog()

    def refuse(self, peer: ID, message: rpc_pb2.Message, refusal: str) -> None:
        """Drop a message that the ledger refuses, or keep it until its author may send again.

        It may be the last of many, which announces the others."""
        neighbour, dropped = peer.to_bytes(), 1
        if refusal == EXCESS:
            first, dropped = self._late.put(neighbour, message.from_id, message, len(message.data))
            if first:
                self._start(self._deliver_late, peer, message.from_id)
        if dropped:
            self._ledger.refuse(neighbour, refusal, dropped)

    async def _deliver_late(self, peer: ID, author: bytes) -> None:
        neighbour = peer.to_bytes()
        await trio.sleep(max(LATE_PAUSE, self._ledger.wait(neighbour, author, trio.current_time())))
        if (message := self._late.take(neighbour, author)) is not None:
            await self._push(peer, message)

    @property
    def any(self) -> bool:
        """Whether any message was left for later."""
        return bool(self._backlog)

    def has(self, peer: ID, author: bytes) -> bool:
        """Whether a message of an author, which a neighbour brought, was left for later: the next must not overtake it."""
        return self._backlog.has(peer.to_bytes(), author)

    def leave(self, peer: ID, message: rpc_pb2.Message) -> None:
        """Leave a message until the loop has time for its neighbour."""
        neighbour = peer.to_bytes()
        begins = not self._backlog.of(neighbour)
        if dropped := self._backlog.put(neighbour, message.from_id, message, len(message.data)):
            self._ledger.refuse(neighbour, EXCESS, dropped)
        if begins and self._backlog.of(neighbour):
            self._start(self._work_off, peer)

    async def _work_off(self, peer: ID) -> None:
        neighbour = peer.to_bytes()
        turns = Turns(neighbour, self._ledger.time, self._gate)
        turns.begin(0)
        while self._backlog.of(neighbour):
            await turns.patiently()
            if (message := self._backlog.take(neighbour)) is not None:
                await self._push(peer, message)
