"""Messages that are dealt with later: those whose author has sent too many, and those that the loop has no time for yet."""

from collections import Counter
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import trio
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from betar_tui.concurrency import FastLock
from betar_tui.p2p.adaptations.turns import Turns
from betar_tui.p2p.gossip_ledger import EXCESS, GossipLedger
from betar_tui.p2p.late_messages import LateMessages
from betar_tui.p2p.waiting_messages import WaitingMessages

LATE_PAUSE = 0.2
"""Minimum seconds that a message waits whose author has sent too many, and between two looks at those that wait so."""


class Postponed:
    """See the module. `push(neighbour, message)` deals with a message, and `start(function, *arguments)` runs a task: one
    for all late messages, and one for each neighbour whose messages wait for the loop."""

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
        self._late = LateMessages()
        self._delivers_late = False
        self._retried: rpc_pb2.Message | None = None
        self._waiting = WaitingMessages()
        self._working: set[bytes] = set()  # the neighbours whose messages a task works off

    def refuse(self, peer: ID, message: rpc_pb2.Message, refusal: str) -> None:
        """Drop a message that the ledger refuses, or keep it until its author may send again.

        One that has waited so is dropped: messages of its author that are newer have come through meanwhile."""
        neighbour, author = peer.to_bytes(), message.from_id
        if refusal != EXCESS or message is self._retried:
            self._ledger.refuse(neighbour, refusal)
            return
        now = trio.current_time()
        due = now + max(LATE_PAUSE, self._ledger.wait(neighbour, author, now))
        self._refuse_all(self._late.put(neighbour, author, message.SerializeToString(), due))
        if not self._delivers_late and len(self._late):
            self._delivers_late = True
            self._start(self._deliver_late)

    def _refuse_all(self, dropped: Counter[bytes]) -> None:
        for neighbour, count in dropped.items():
            self._ledger.refuse(neighbour, EXCESS, count)

    async def _deliver_late(self) -> None:
        """Deal with the late messages that are due, until there are none. Those of a neighbour that has used its part of the
        loop's time go on waiting."""
        try:
            while len(self._late):
                await trio.sleep(LATE_PAUSE)
                over = set[bytes]()
                for neighbour, author in self._late.due(trio.current_time()):
                    if neighbour in over:
                        continue
                    if self._ledger.time.wait(neighbour, trio.current_time()):
                        over.add(neighbour)
                    elif (message := self._late.take(neighbour, author)) is not None:
                        await self._retry(neighbour, message)
        finally:
            self._delivers_late = False

    async def _retry(self, neighbour: bytes, message: bytes) -> None:
        """Deal with a late message, and charge its neighbour."""
        began = perf_counter()
        self._retried = rpc_pb2.Message.FromString(message)
        await self._push(ID(neighbour), self._retried)
        self._ledger.time.spend(neighbour, perf_counter() - began, trio.current_time())
        await trio.lowlevel.checkpoint()

    @property
    def any(self) -> bool:
        """Whether any message was left for later."""
        return bool(self._waiting)

    def has(self, peer: ID, author: bytes) -> bool:
        """Whether a message of an author, which a neighbour brought, was left for later: the next must not overtake it."""
        return self._waiting.has(peer.to_bytes(), author)

    def leave(self, peer: ID, message: rpc_pb2.Message) -> None:
        """Leave a message until the loop has time for its neighbour."""
        neighbour = peer.to_bytes()
        self._refuse_all(self._waiting.put(neighbour, message.from_id, message.SerializeToString()))
        if neighbour not in self._working and self._waiting.of(neighbour):
            self._working.add(neighbour)
            self._start(self._work_off, peer)

    async def _work_off(self, peer: ID) -> None:
        neighbour = peer.to_bytes()
        turns = Turns(neighbour, self._ledger.time, self._gate)
        turns.begin(0)
        try:
            while self._waiting.of(neighbour):
                await turns.patiently()
                if (message := self._waiting.take(neighbour)) is not None:
                    await self._push(peer, rpc_pb2.Message.FromString(message))
        finally:
            self._working.discard(neighbour)
