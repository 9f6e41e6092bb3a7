"""Dialling: one address after the other, and again when a peer is lost.

Every connection is opened here, from the room's own address book; the library's dialling is switched off (see
`PeerSwarm.dial_peer`). The addresses of a peer are tried in order, each a short stagger after the one before, and the
first that works ends the others."""

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from libp2p.abc import INetConn
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.rcmgr import Direction
from multiaddr import Multiaddr

from betar_tui import multiaddrs
from betar_tui.concurrency import Wakeup
from betar_tui.errors import NetworkError
from betar_tui.p2p import addresses
from betar_tui.p2p.address_book import AddressBook
from betar_tui.p2p.guard import has_ended
from betar_tui.p2p.liveness import close_dead
from betar_tui.p2p.names import Resolver, has_name
from betar_tui.p2p.searches import dialling
from betar_tui.p2p.types import Timing
from betar_tui.values import Search

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_PARALLEL = 8
"""Maximum peers that are redialled at the same time, doubtful ones apart (see `AddressBook.is_doubtful`)."""
MAX_PARALLEL_DOUBTFUL = 6
"""Maximum doubtful peers that are dialled at the same time: they never keep the others waiting."""
CLOSE_SOCKET = 1.0
"""Seconds for a connection that is not needed to close."""


class Dialer:
    """Dials on demand, and keeps dialling every peer in the address book that is not connected."""

    def __init__(
        self,
        swarm: Swarm,
        own: str,
        address_book: AddressBook,
        timing: Timing,
        nursery: trio.Nursery,
        banned: Callable[[str], bool],
    ) -> None:
        self._swarm = swarm
        self._own = own
        self._timing = timing
        self._nursery = nursery
        self._banned = banned
        self._dials = Counter[str]()  # those on demand, by peer
        self._redials: dict[str, bool] = {}  # whether the peer is doubtful
        self._wakeup = Wakeup()
        self.resolver = Resolver()
        self.address_book = address_book

    def connected(self, peer: str) -> bool:
        """Whether a connection that is not closed is listed; it may still be dead."""
        return any(not each.is_closed for each in self._swarm.get_connections(addresses.peer_id(peer)))

    def searches(self) -> tuple[Search, ...]:
        """The peers that are not connected and are dialled, now or later. Blocked and banned ones are not."""
        return dialling(self.address_book.unconnected(self._left_out), trio.current_time(), time.time())

    def wake(self) -> None:
        """The address book or a connection changed."""
        self._wakeup.set()

    async def dial(self, peer: str, addrs: tuple[str, ...]) -> bool:
        """Have a live connection to `peer`, dialled if there is none. Returns whether it was connected before.

        Raises NetworkError with the reason. py-libp2p 0.8.1: its `connect` returns at once for any listed connection,
        dead or not; here the listed ones are probed first (docs/py-libp2p.md#connections)."""
        if peer == self._own:
            raise NetworkError("That is this peer's own address.")
        if await self._living(peer):
            return True
        self._dials[peer] += 1
        try:
            await self._race(peer, addrs)
        finally:
            self._dials[peer] -= 1
            if not self._dials[peer]:
                del self._dials[peer]
                self.wake()  # for its redial, which was put off
        return False

    async def connect(self, peer: str, address: str) -> bool:
        """Have a live connection to `peer`, and know that the address leads to it. Returns whether it was connected before.

        One that is connected already is dialled all the same, to see whether it answers there, unless its connection
        goes to that very address. Raises NetworkError with the reason."""
        if not await self.dial(peer, (address,)):
            return False
        errors = []
        for each in await self.resolver.resolve(address) if has_name(address) else (address,):
            if any(_goes_to(connection, each) for connection in await self._living(peer)):
                return True
            try:
                await self._dial_one(peer, each, self._prove)
                return True
            except NetworkError as error:
                errors.append(str(error))
        raise NetworkError(f"{peer} is already connected, but not at this address: {'; '.join(errors)}")

    async def dial_again(self, peer: str, addrs: tuple[str, ...]) -> INetConn:
        """One more connection to a connected peer, at these addresses. Raises NetworkError with the reason."""
        return await self._race(peer, addrs)

    async def shake_hands(self, address: str) -> None:
        """Dial this peer's own id at an address. The handshake shows who is there, see `adaptations.noise`, and ends it."""
        try:
            await self._dial_one(self._own, address, self._prove)
        except NetworkError as error:
            log.debug("dialling the own id: %s", error)

    async def run(self) -> None:
        """A service: dials the peers that are due. Those beyond the limits stay due, so that the best is always next."""
        while True:
            for peer in self.address_book.due(trio.current_time(), self._busy):
                if self._has_place(doubtful := self.address_book.is_doubtful(peer)):
                    self._redials[peer] = doubtful
                    self._nursery.start_soon(self._redial, peer)
            with trio.move_on_at(self.address_book.next_due(self._busy_or_waiting)):
                await self._wakeup.wait()

    def _left_out(self, peer: str) -> bool:
        return self.connected(peer) or self._banned(peer)

    def _busy(self, peer: str) -> bool:
        return peer in self._dials or peer in self._redials or self.connected(peer)

    def _busy_or_waiting(self, peer: str) -> bool:
        return not self._has_place(self.address_book.is_doubtful(peer)) or self._busy(peer)

    def _has_place(self, doubtful: bool) -> bool:
        limit = MAX_PARALLEL_DOUBTFUL if doubtful else MAX_PARALLEL
        return sum(each is doubtful for each in self._redials.values()) < limit

    async def _redial(self, peer: str) -> None:
        try:
            if self._banned(peer):
                raise NetworkError("it is banned for now, or blocked")
            await self._race(peer, self.address_book.addrs(peer))
        except Exception as error:
            if not isinstance(error, NetworkError):
                log.warning("dialling %s: %r", peer, error)
            log.debug("%s cannot be reached: %s", peer, error)
            # Without any connection the own network may be down, for which no peer is to be forgotten.
            self.address_book.failed(peer, trio.current_time(), count=self._swarm.get_total_connections() > 0)
        else:
            self.address_book.answered(peer, trio.current_time())
        finally:
            del self._redials[peer]
            self.wake()

    async def _living(self, peer: str) -> list[INetConn]:
        listed = self._swarm.get_connections(addresses.peer_id(peer))
        if listed and await close_dead(listed, self._timing.probe_timeout):
            listed = self._swarm.get_connections(addresses.peer_id(peer))
            return [each for each in listed if not each.is_closed and not each.muxed_conn.is_closed]
        return []

    async def _race(self, peer: str, addrs: tuple[str, ...]) -> INetConn:
        """Dial the addresses, each `dial_stagger` after the one before or when that one failed; the first wins."""
        if not addrs:
            raise NetworkError(f"No address of {peer} is known that this peer can dial.")
        errors: list[str] = []
        if (winner := await self._first(peer, addrs, errors)) is not None:
            return winner
        raise NetworkError(f"Cannot connect to {peer}: " + "; ".join(dict.fromkeys(errors)))

    async def _first(self, peer: str, addrs: tuple[str, ...], errors: list[str]) -> INetConn | None:
        """The first connection that comes about. Of an address with a name, what it stands for is dialled."""
        winner: list[INetConn] = []

        async def attempt(address: str, failed: trio.Event) -> None:
            try:
                if has_name(address):
                    connection = await self._first(peer, await self.resolver.resolve(address), errors)
                else:
                    connection = await self._dial_one(peer, address, self._swarm.dial_addr)
            except NetworkError as error:
                errors.append(str(error))
                connection = None
            if connection is None:
                failed.set()
            else:
                winner.append(connection)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for address in addrs:
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(self._timing.dial_stagger):
                    await failed.wait()
        return winner[0] if winner else None

    async def _dial_one(self, peer: str, address: str, dial: Callable[[Multiaddr, ID], Awaitable[T]]) -> T:
        host, _ = multiaddrs.split_peer(address)
        try:
            # A frozen peer still completes the TCP handshake: the limit covers the secure one as well.
            with trio.fail_after(self._timing.dial_timeout):
                return await dial(Multiaddr(address), addresses.peer_id(peer))
        except trio.TooSlowError:
            raise NetworkError(f"{host} did not answer within {self._timing.dial_timeout:g} s") from None
        except Exception as error:
            if not has_ended(error):
                log.debug("dialling %s: %r", address, error)
            raise NetworkError(f"{host}: {_reason(error)}") from None

    async def _prove(self, address: Multiaddr, peer: ID) -> None:
        """Dial, let the peer prove who it is, and hang up. Raises the library's errors."""
        transport = self._swarm.transport_manager.transport_for_dialing(address)
        if transport is None:
            raise NetworkError("no transport for this address")
        raw = await transport.dial(address)
        try:
            await self._swarm.upgrader.upgrade_security(raw, True, peer)
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_SOCKET):
                await raw.close()


def _goes_to(connection: INetConn, address: str) -> bool:
    """Whether a connection was dialled at an address."""
    outbound = getattr(connection, "direction", None) == Direction.OUTBOUND
    bare, _ = multiaddrs.split_peer(address)
    return outbound and any(
        multiaddrs.split_peer(str(each))[0] == bare for each in connection.get_transport_addresses()
    )


def _reason(error: BaseException) -> str:
    """The innermost cause, in words."""
    while True:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif error.__cause__ is not None:
            error = error.__cause__
        else:
            break
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there (connection refused)"
    text = str(error) or type(error).__name__
    if "Peer ID mismatch" in text or "peer id does not correspond" in text:
        return "another peer answers there"
    return text
