"""Gossip on the market's topic: its services, its members, and publishing. How it works: `adaptations/pubsub.py`."""

from collections.abc import Callable

import trio
from libp2p.abc import IHost
from libp2p.peer.id import ID

from betar_tui.concurrency import until_tick
from betar_tui.p2p.adaptations.pubsub import Accept, Deliver, Membership, TopicPubsub
from betar_tui.p2p.adaptations.router import TopicRouter
from betar_tui.p2p.adaptations.services import start_service
from betar_tui.p2p.guard import Penalize
from betar_tui.p2p.types import NetworkConfig


class Gossip:
    """The market's topic."""

    def __init__(
        self,
        host: IHost,
        config: NetworkConfig,
        deliver: Deliver,
        joined: Membership,
        penalize: Penalize,
        banned: Callable[[str], bool],
        accept: Accept | None,
    ) -> None:
        self._topic = config.topic
        self._hello_interval = config.timing.hello_interval
        self._router = TopicRouter(config.timing.heartbeat)
        self.pubsub = TopicPubsub(host, self._router, config.topic, deliver, joined)
        self.pubsub.penalize = penalize
        self.pubsub.banned = banned
        if accept is not None:
            self.pubsub.accept = accept

    async def start(self, nursery: trio.Nursery, report: Callable[[str, BaseException], None]) -> None:
        """Run the services in `nursery` and subscribe."""
        await start_service(nursery, self.pubsub, report)
        await start_service(nursery, self._router, report)
        await self.pubsub.wait_until_ready()
        await self.pubsub.subscribe(self._topic)

    async def keep_saying_hello(self) -> None:
        """A service: announces our subscription again and again."""
        while True:
            await trio.sleep(until_tick(self._hello_interval))
            self.pubsub.send_hellos()

    async def publish(self, payload: bytes) -> int:
        """Sign and send. Returns the number of peers that it goes to at first."""
        await self.pubsub.publish(self._topic, payload)
        return self.audience

    async def flush(self) -> None:
        """Wait until everything published has been handed to the connections."""
        await self.pubsub.flush()

    @property
    def audience(self) -> int:
        """Number of connected peers on the topic."""
        return len(self.pubsub.members())

    def members(self) -> tuple[str, ...]:
        """Peer ids of the neighbours on the topic."""
        return tuple(sorted(str(peer) for peer in self.pubsub.members()))

    def refused(self, peer: str) -> int:
        """Number of messages and control messages of a neighbour that were refused for its budgets since the start."""
        return sum(self.pubsub.ledger.refused(ID.from_base58(peer).to_bytes()).values())

    async def stop(self) -> None:
        """Stop the services."""
        await self.pubsub.manager.stop()
        await self._router.manager.stop()
