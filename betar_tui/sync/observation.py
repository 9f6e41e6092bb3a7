"""Observes what other peers hold: the deliveries of own deltas, and how far each peer on the topic is.

Only what was seen counts (see `levels` and `delivery`). A peer that does not fetch what was announced to it is asked
whether it has it; one that has not is told of it again (see `reannouncing`), and `p2p.hearing` is told of one that does
not ask us for anything either."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.p2p.types import NetworkEvent, PeerDisconnected, PeerJoined, PeerLeft
from betar_tui.replica import Applied
from betar_tui.sync.delivery import DeliveryTracker, OnDelivered
from betar_tui.sync.levels import ASK_AFTER, Levels
from betar_tui.sync.reannouncing import Reannouncing
from betar_tui.sync.writer import ReplicaWriter
from betar_tui.values import PeerInfo

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network

PASS_INTERVAL = 0.2
"""Seconds between two looks at all peers, however often something changes."""


class Observation:
    """What is seen of the other peers. `on_delivered` is that of `DeliveryTracker`; `announce` broadcasts heads soon."""

    def __init__(
        self,
        network: "Network",
        writer: ReplicaWriter,
        on_delivered: OnDelivered,
        announce: Callable[[Iterable[bytes]], None],
    ) -> None:
        self._network = network
        self._writer = writer
        self._delivery = DeliveryTracker(on_delivered)
        self._levels = Levels(writer.heads)
        self._announce = announce
        self._reannouncing = Reannouncing()
        self._changed = Wakeup()
        network.on_sent(self.sent)
        network.hearing.on_answer(self._answered)

    def describe(self, peers: Iterable[PeerInfo], at: float) -> tuple[PeerInfo, ...]:
        """These peers with `behind` and `waiting_since` filled in; `at` is now, in Unix seconds."""
        now = trio.current_time()
        result = []
        for peer in peers:
            since = self._levels.waiting_since(peer.peer_id, now)
            waiting_since = None if since is None else at - (now - since)
            result.append(replace(peer, behind=self._levels.behind(peer.peer_id), waiting_since=waiting_since))
        return tuple(result)

    def applied(self, applied: Applied) -> None:
        """The replica changed."""
        self._delivery.applied(applied.nodes, own=not applied.via)
        self._levels.applied(applied.nodes)
        self._levels.heads_are(self._writer.heads)
        self._changed.set()

    def announced(self, author: str, heads: list[bytes]) -> None:
        """A peer announced heads of its own."""
        self._delivery.announced(author, heads)
        self._holds(author, heads)
        self._reannouncing.announced(heads, trio.current_time())

    def sent(self, peer: str, cids: Iterable[bytes]) -> None:
        """A peer asked for these blocks and was sent them."""
        known = tuple(cids)
        self._delivery.sent(peer, known)
        self._holds(peer, known)

    def brought(self, peer: str, cids: Iterable[bytes]) -> None:
        """A peer was asked for these blocks and sent them."""
        self._holds(peer, cids)

    def handle(self, event: NetworkEvent) -> None:
        """React to one event of the network."""
        if isinstance(event, PeerJoined):
            self._levels.joined(event.peer)
            self._changed.set()
        elif isinstance(event, PeerLeft | PeerDisconnected):
            self._levels.left(event.peer)
            self._reannouncing.left(event.peer)

    async def run(self) -> None:
        """Ask the peers that were not seen to hold our heads, and announce again what they lack."""
        while True:
            for question in self._levels.questions(trio.current_time()):
                self._network.hearing.ask(question.peer, question.heads)
                if question.unanswered:
                    self._network.hearing.unheard(question.peer)
            if lacked := self._reannouncing.take(trio.current_time(), self._writer.heads):
                self._announce(lacked)
            await trio.sleep(PASS_INTERVAL)
            with trio.move_on_at(min(self._levels.next_question(), self._reannouncing.next_due())):
                await self._changed.wait()

    def _holds(self, peer: str, cids: Iterable[bytes]) -> None:
        cids = tuple(cids)
        self._reannouncing.holds(peer, cids)
        if self._levels.holds(peer, cids, trio.current_time()):
            self._changed.set()

    def _answered(self, peer: str, cid: bytes, have: bool) -> None:
        now = trio.current_time()
        if have:
            self._delivery.sent(peer, (cid,))
            self._holds(peer, (cid,))
        elif (seconds := self._levels.lacked_for(peer, cid, now)) >= ASK_AFTER:
            self._network.hearing.unheard(peer)
            self._reannouncing.lacks(peer, cid, now - seconds)
            self._changed.set()
