"""The door: who gets a handshake, when, and a place. The rules are in `places`; here connections are closed and wait."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import trio
from libp2p.abc import INetConn

from betar_tui.concurrency import FastLock
from betar_tui.p2p.budgets import HANDSHAKES, Shares
from betar_tui.p2p.liveness import close_connection
from betar_tui.p2p.places import HalfOpen, Refusal, Seat, giving_way, origin_of

log = logging.getLogger(__name__)

CLOSE = 0.2
"""Seconds for a connection that gives way to close politely."""


class Ticket:
    """A connection whose handshake is under way. Cancelling its scope ends it."""

    def __init__(self, ip: str) -> None:
        self.ip = ip
        self.scope = trio.CancelScope()


class Door:
    """See the module. `places` returns the connections, each with itself as the key; `known` tells whether a peer is to have
    a place that is kept for such; `barred` whether an address is banned."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._half_open = HalfOpen()
        self._handshakes: Shares[str] = Shares(HANDSHAKES)
        self._queues: dict[str, FastLock] = {}
        self._leaving: set[INetConn] = set()
        self._arriving: dict[Ticket, Seat] = {}
        self.places: Callable[[], Sequence[Seat]] = tuple
        self.known: Callable[[str], bool] = lambda peer: False
        self.barred: Callable[[str], bool] = lambda ip: False
        self.refused = 0

    @property
    def half_open(self) -> int:
        """Number of handshakes under way."""
        return len(self._half_open)

    def enter(self, ip: str) -> Ticket:
        """A connection has come. Raises Refusal."""
        ticket = Ticket(ip)
        if self.barred(ip):
            self.refused += 1
            raise Refusal
        try:
            gives_way = self._half_open.enter(ticket, origin_of(ip), trio.current_time())
        except Refusal:
            self.refused += 1
            raise
        if isinstance(gives_way, Ticket):
            gives_way.scope.cancel()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Its handshake is over, one way or the other."""
        self._half_open.leave(ticket)

    async def turn(self, ip: str) -> None:
        """Wait for the turn of a handshake: those of one origin come one after the other, as many a second as may be."""
        origin = origin_of(ip)
        queue = self._queues.setdefault(origin, FastLock())
        try:
            async with queue:
                wait = self._handshakes.wait(origin, trio.current_time())
                while wait:
                    await trio.sleep(wait)
                    wait = self._handshakes.wait(origin, trio.current_time())
                self._handshakes.spend(origin, 1, trio.current_time())
        finally:
            if not queue.locked() and self._queues.get(origin) is queue:
                del self._queues[origin]

    @asynccontextmanager
    async def place(self, ticket: Ticket, peer: str) -> AsyncIterator[None]:
        """Have a place for a new connection of `peer`, which is among `places` when the block ends. Raises Refusal."""
        places = [place for place in self.places() if place.key not in self._leaving]
        places += self._arriving.values()
        now, known = trio.current_time(), self.known(peer)
        try:
            place = giving_way(places, ticket.ip, known, self._maximum, now)
        except Refusal:
            self.refused += 1
            raise
        self._arriving[ticket] = Seat(ticket, ticket.ip, now, kept=True, arriving=True)
        try:
            if place is not None:
                await self._close(place, ticket.ip)
            yield
        finally:
            del self._arriving[ticket]

    async def _close(self, place: Seat, ip: str) -> None:
        connection: INetConn = place.key  # type: ignore[assignment]
        log.info("%s gives its place to a new connection from %s", connection.muxed_conn.peer_id, ip)
        self._leaving.add(connection)
        try:
            with trio.CancelScope(shield=True):
                await close_connection(connection, CLOSE)
        finally:
            self._leaving.discard(connection)
