"""What a peer does when something happens on its network."""

import logging
from collections.abc import Callable, Iterable

from betar_tui.market.fields import BETAR_PROTOCOL
from betar_tui.market.marketplace import Connectivity, Event, Notice, StatusChanged
from betar_tui.market.seller import Seller
from betar_tui.p2p.network import Network
from betar_tui.p2p.types import (
    KeyInUse,
    Misbehaviour,
    NetworkEvent,
    PeerConnected,
    PeerDisconnected,
    PeerJoined,
    PeerLeft,
)
from betar_tui.peer.peer_memory import PeerMemory
from betar_tui.sync.replication import Replication

log = logging.getLogger(__name__)


class Reactions:
    """Reacts to the events of one network. `rewrite` is called when own listings must be written anew, `set_state` when
    there may be another state to show; `clock` is in Unix seconds."""

    def __init__(
        self,
        network: Network,
        memory: PeerMemory,
        seller: Seller,
        *,
        emit: Callable[[Iterable[Event]], None],
        rewrite: Callable[[], None],
        set_state: Callable[[Connectivity], None],
        clock: Callable[[], float],
    ) -> None:
        self._network = network
        self._memory = memory
        self._seller = seller
        self._emit = emit
        self._rewrite = rewrite
        self._set_state = set_state
        self._clock = clock

    async def run(self, replication: Replication) -> None:
        """A service: hands each event to the replication, then reacts to it."""
        async for event in self._network.events:
            await replication.handle(event)
            await self._react(event)

    async def _react(self, event: NetworkEvent) -> None:
        """Remember peers, report faults, adapt to Go betars and keep the state up to date."""
        if isinstance(event, PeerConnected | PeerJoined) and event.peer in self._network.topic_peers():
            await self._memory.note(self._network, event.peer)
        if isinstance(event, Misbehaviour):
            self._emit([Notice("warning", f"{event.peer}: {event.reason}", self._clock())])
        if isinstance(event, KeyInUse):
            self._emit([Notice("info" if event.over else "warning", event.text, self._clock()), StatusChanged()])
        if isinstance(event, PeerConnected | PeerDisconnected):
            log.info("%s %s", event.peer, "connected" if isinstance(event, PeerConnected) else "is gone")
        if isinstance(event, PeerConnected | PeerJoined):
            await self.look_for_betar(event.peer)
        if isinstance(event, PeerConnected | PeerDisconnected | PeerJoined | PeerLeft):
            self._set_state(Connectivity.ONLINE if self._network.topic_peers() else Connectivity.ALONE)

    async def look_for_betar(self, peer: str) -> None:
        """Write own listings so that Go betar can read them, if `peer` is a Go betar on the topic."""
        if peer not in self._network.topic_peers() or not self._network.supports(peer, BETAR_PROTOCOL):
            return
        if await self._seller.speak_betar_go():
            text = f"a Go betar ({peer}) is on the topic: own listings are now written so that it can read them"
            log.info("%s", text)
            self._emit([Notice("info", text, self._clock())])
            self._rewrite()
