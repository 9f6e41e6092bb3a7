"""Makes sure that the Bitswap of each peer on the topic knows of us, or it would never ask us for a block.

Two habits of boxo, Go's Bitswap, leave a peer deaf to us while everything looks fine (measured, see
docs/protocol.md#being-heard):

- It knows only the connections that opened after its own start. A Go betar dials its bootstrap peers before that. Only
  another connection ends this, so one is opened to an address that it listens on, once; it is kept like any other.
- When it could not send to us, as over a connection that died silently, it takes us for unresponsive and asks nothing
  until our next Bitswap message comes, whatever new connections there are. So every peer that joins the topic, and every
  one that gets a further connection, is sent a message at growing pauses.

`sync.observation` calls `unheard` for a peer that has not fetched what was announced to it."""

import logging
from collections.abc import Awaitable, Callable, Iterable

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.errors import NetworkError
from betar_tui.p2p.bitswap.engine import Bitswap
from betar_tui.p2p.bitswap.messages import PROTOCOLS
from betar_tui.p2p.connection_table import PeerRecord

log = logging.getLogger(__name__)

OWN_PROTOCOLS = "/betar-tui/"
"""How protocols of this project begin: the Bitswap of a peer that speaks one knows every connection."""
MIN_PAUSE = 0.5
"""Minimum seconds between two messages to a peer, however often it joins."""
RETRY_MIN, RETRY_MAX = 5.0, 300.0
"""Seconds after a second connection that could not be opened before the next attempt: at first, and at most."""
MAX_ADDRS = 4
"""Maximum addresses that are tried for it."""


class NudgeSchedule:
    """When to send the next message to which peer, after `pauses` in seconds. Pure: `now` is in seconds of any clock that
    does not go back."""

    def __init__(self, pauses: tuple[float, ...]) -> None:
        self._pauses = pauses
        self._due: dict[str, tuple[float, int]] = {}  # and the number of messages that were sent
        self._sent: dict[str, float] = {}

    def start(self, peer: str, now: float) -> None:
        """Begin again with this peer."""
        if self._pauses:
            self._due[peer] = (max(now + self._pauses[0], self._sent.get(peer, now - MIN_PAUSE) + MIN_PAUSE), 0)

    def forget(self, peer: str) -> None:
        """The peer is gone."""
        self._due.pop(peer, None)
        self._sent.pop(peer, None)

    def take(self, now: float) -> list[str]:
        """The peers that a message is due for; it counts as sent."""
        peers = [peer for peer, (due, _) in self._due.items() if due <= now]
        for peer in peers:
            self._sent[peer] = now
            count = self._due.pop(peer)[1] + 1
            if count < len(self._pauses):
                self._due[peer] = (now + self._pauses[count], count)
        return peers

    def next_due(self) -> float:
        """When the next message is due; infinity when none is."""
        return min((due for due, _ in self._due.values()), default=float("inf"))


class SecondConnections:
    """Which peers to open a second connection to: once each, and after a failure again after a growing pause. Pure."""

    def __init__(self) -> None:
        self._tried: dict[str, tuple[float, float]] = {}  # not before, and the next pause

    def may_try(self, peer: str, now: float) -> bool:
        """Whether to try now; that counts as an attempt."""
        not_before, pause = self._tried.get(peer, (now, RETRY_MIN))
        if now < not_before:
            return False
        self._tried[peer] = (now + pause, min(pause * 2, RETRY_MAX))
        return True

    def succeeded(self, peer: str) -> None:
        """The connection is open: no other is needed."""
        self._tried[peer] = (float("inf"), RETRY_MAX)

    def forget(self, peer: str) -> None:
        """The last connection to the peer ended."""
        self._tried.pop(peer, None)


class Hearing:
    """See the module. `dial(peer, addresses)` opens one more connection; `members` are the peers on the topic."""

    def __init__(
        self,
        bitswap: Bitswap,
        dial: Callable[[str, tuple[str, ...]], Awaitable[object]],
        record: Callable[[str], PeerRecord | None],
        members: Callable[[], Iterable[str]],
        nursery: trio.Nursery,
        nudges: tuple[float, ...],
    ) -> None:
        self._bitswap = bitswap
        self._dial = dial
        self._record = record
        self._members = members
        self._nursery = nursery
        self._nudges = NudgeSchedule(nudges)
        self._second = SecondConnections()
        self._without_bitswap: set[str] = set()  # connected peers that were identified before their Bitswap started
        self._wakeup = Wakeup()

    async def run(self) -> None:
        """A service: sends the messages that are due."""
        while True:
            for peer in self._nudges.take(trio.current_time()):
                self._bitswap.nudge(peer)
            with trio.move_on_at(self._nudges.next_due()):
                await self._wakeup.wait()

    # From the network

    def joined(self, peer: str) -> None:
        """A peer joined the topic, or one on it got a further connection."""
        self._nudges.start(peer, trio.current_time())
        self._wakeup.set()
        self._started_late(peer)

    def opened(self, peer: str) -> None:
        """A further connection to a connected peer opened."""
        if peer in self._members():
            self.joined(peer)

    def learned(self, peer: str, protocols: Iterable[str]) -> None:
        """A peer announced its protocols."""
        if not set(protocols) & set(PROTOCOLS):
            self._without_bitswap.add(peer)
        elif peer in self._members():
            self._started_late(peer)

    def ended(self, peer: str) -> None:
        """The last connection to a peer ended."""
        self._nudges.forget(peer)
        self._second.forget(peer)
        self._without_bitswap.discard(peer)

    # From the replication

    def ask(self, peer: str, cids: Iterable[bytes]) -> None:
        """Ask a peer whether it holds these blocks, which is such a message as well. See `on_answer`."""
        self._bitswap.ask(peer, cids)

    def on_answer(self, answered: Callable[[str, bytes, bool], None]) -> None:
        """Call `answered(peer, CID, whether it has the block)` for each answer."""
        self._bitswap.answered = answered

    def unheard(self, peer: str) -> None:
        """A peer on the topic has not fetched what was announced to it, and has not got it elsewhere."""
        record = self._record(peer)
        info = record.identify_info if record is not None else None
        if record is None or info is None or self._bitswap.wanted_by(peer):
            return
        if any(protocol.startswith(OWN_PROTOCOLS) for protocol in info.protocols):
            return
        addrs = record.worth_dialling()[:MAX_ADDRS]  # a peer may claim to listen anywhere
        if addrs and set(info.protocols) & set(PROTOCOLS) and self._second.may_try(peer, trio.current_time()):
            self._nursery.start_soon(self._connect_again, peer, addrs)

    def _started_late(self, peer: str) -> None:
        """Connect again if the peer's Bitswap has started since it was identified."""
        record = self._record(peer)
        info = record.identify_info if record is not None else None
        if info is not None and peer in self._without_bitswap and set(info.protocols) & set(PROTOCOLS):
            self._without_bitswap.discard(peer)
            self.unheard(peer)

    async def _connect_again(self, peer: str, addrs: tuple[str, ...]) -> None:
        try:
            await self._dial(peer, addrs)
        except NetworkError as error:
            log.info("%s asks us for nothing, and a second connection cannot be opened: %s", peer, error)
        else:
            log.info("a second connection to %s, whose Bitswap asked us for nothing", peer)
            if self._record(peer) is not None:  # it may have gone meanwhile, and is forgotten then
                self._second.succeeded(peer)
