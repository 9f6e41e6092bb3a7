"""Peers that somebody on the network told of: each is dialled, and remembered when it comes to the topic.

Whoever invents peers fills no table with them: a peer that cannot be reached, or that is another libp2p program, is
forgotten soon. It is tried again when it is heard of again."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import trio

from betar_tui.errors import NetworkError
from betar_tui.p2p.dialer import Dialer

log = logging.getLogger(__name__)

MAX_CANDIDATES = 64
"""Maximum candidates that are being dialled or wait for it; also the maximum that wait for a second dial."""
MAX_PARALLEL = 8
"""Maximum candidates that are dialled at the same time."""
MAX_MET = 256
"""Maximum connected candidates of which it is remembered how they were found."""
AGAIN = 2.0
"""Seconds after which one that has just come is dialled once more if the first dial failed: it may be busy starting, and
programs announce themselves once or twice."""
DEFERENCE = 0.3
"""Seconds by which one of two peers that find each other waits, so that they do not open two connections."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    addrs: tuple[str, ...]
    found: str
    fresh: bool


class Candidates:
    """Dials candidates, unless they are `banned`; `members` are the peers on the topic."""

    def __init__(
        self,
        own: str,
        dialer: Dialer,
        nursery: trio.Nursery,
        members: Callable[[], Collection[str]],
        banned: Callable[[str], bool],
    ) -> None:
        self._own = own
        self._banned = banned
        self._dialer = dialer
        self._nursery = nursery
        self._members = members
        self._dialling: dict[str, _Candidate] = {}  # as they were heard of last
        self._resting: dict[str, trio.Event] = {}  # those of them that wait for a second dial
        self._met: dict[str, _Candidate] = {}
        self._limit = trio.CapacityLimiter(MAX_PARALLEL)

    def add(self, found: str, peer: str, addrs: tuple[str, ...], fresh: bool = True) -> None:
        """Dial a peer, unless it is connected or the user does not want it; `found` says how it was found, see `PeerInfo`.

        `fresh` means that it may have moved or started again: a connection to it is probed then, and replaced if it is
        dead."""
        if (resting := self._resting.get(peer)) is not None:
            self._dialling[peer] = _Candidate(addrs, found, fresh)
            resting.set()
            return
        if (known := self._dialling.get(peer)) is not None:
            if fresh and (addrs != known.addrs or not known.fresh):
                self._dialling[peer] = _Candidate(addrs, found, fresh)
            return
        if len(self._dialling) - len(self._resting) >= MAX_CANDIDATES or self._banned(peer):
            return
        if self._dialer.address_book.is_dismissed(peer):
            return
        if not fresh and self._dialer.connected(peer):
            return
        self._dialling[peer] = _Candidate(addrs, found, fresh)
        self._nursery.start_soon(self._dial, peer)

    def found(self, peer: str) -> str:
        """How a candidate that is connected was found; "" for any other peer."""
        candidate = self._met.get(peer)
        return candidate.found if candidate else ""

    def joined(self, peer: str) -> None:
        """A peer is on the topic: if it is a candidate it is dialled again whenever it is lost."""
        candidate = self._met.get(peer)
        book = self._dialer.address_book
        if candidate is not None and not book.addrs(peer):
            book.add(peer, candidate.addrs, candidate.found)

    async def _dial(self, peer: str) -> None:
        try:
            if peer < self._own:
                await trio.sleep(DEFERENCE)
            while not await self._reached(peer, candidate := self._dialling[peer]):
                if self._dialling[peer] is not candidate:
                    continue  # it has moved meanwhile
                if not candidate.fresh or len(self._resting) >= MAX_CANDIDATES:
                    break
                await self._rest(peer)
                if self._banned(peer) or self._dialer.address_book.is_dismissed(peer):
                    break
                if self._dialling[peer] is candidate:
                    self._dialling[peer] = replace(candidate, fresh=False)
        finally:
            del self._dialling[peer]

    async def _rest(self, peer: str) -> None:
        """Wait before a second dial, until the peer is heard of again at most."""
        self._resting[peer] = trio.Event()
        try:
            with trio.move_on_after(AGAIN):
                await self._resting[peer].wait()
        finally:
            del self._resting[peer]

    async def _reached(self, peer: str, candidate: _Candidate) -> bool:
        try:
            async with self._limit:
                await self._dialer.dial(peer, candidate.addrs)
        except NetworkError as error:
            log.debug("a candidate: %s", error)
            return False
        except Exception as error:
            log.warning("dialling the candidate %s: %r", peer, error)
            return False
        self._met.pop(peer, None)
        self._met[peer] = candidate
        if len(self._met) > MAX_MET:
            del self._met[next(iter(self._met))]
        if peer in self._members():
            self.joined(peer)
        return True
