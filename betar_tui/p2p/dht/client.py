"""Asking the servers of the DHT: one lookup that finds providers and the peers nearest to a key, and providing.

What servers answer may be invented. An address is used only if the peer that named it could know it: a peer that we
reach over the internet cannot send us to machines of our own network, nor one of the network to our loopback."""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import trio

from betar_tui.errors import DecodeError, NetworkError
from betar_tui.multiaddrs import ip_of
from betar_tui.p2p.dht.lookup import Lookup
from betar_tui.p2p.dht.messages import (
    MAX_ANSWER,
    PROTOCOL,
    DhtMessage,
    DhtPeer,
    Kind,
    decode,
    encode,
    tcp_address,
)
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.guard import ENDED
from betar_tui.p2p.types import Stream

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER_TIMEOUT = 5.0
"""Seconds for a server to answer, the opening of the stream included."""
LOOKUP_TIMEOUT = 60.0
"""Seconds for a whole lookup."""
MAX_DIALLED_ADDRS = 4
"""Maximum addresses of a peer that a lookup tries."""
MAX_FOUND = 256
"""Maximum providers that one lookup returns."""

LOOPBACK, LOCAL, PUBLIC = range(3)


def scope(address: str) -> int:
    """How far an IP multiaddr reaches: LOOPBACK, LOCAL or PUBLIC. A name counts as PUBLIC."""
    ip = ip_of(address)
    if ip is None:
        return PUBLIC
    if ip.is_loopback or ip.is_unspecified:
        return LOOPBACK
    return PUBLIC if ip.is_global else LOCAL


def usable(peer: DhtPeer, least: int) -> tuple[str, ...]:
    """The addresses of a peer that can be dialled and whose scope is at least `least`."""
    texts = (tcp_address(raw) for raw in peer.addrs)
    return tuple(text for text in texts if text is not None and scope(text) >= least)


class Connections(Protocol):
    """What the client needs of the network."""

    async def reach(self, peer: str, addrs: Collection[str]) -> None:
        """Be connected to a peer. Raises NetworkError."""

    async def open_stream(self, peer: str, protocol: str) -> Stream:
        """A stream to a connected peer. Raises NetworkError."""

    def remote(self, peer: str) -> tuple[str, ...]:
        """The addresses at the other end of the connections to a peer."""

    def penalize(self, peer: str, reason: str) -> None:
        """Count a misbehaviour."""


@dataclass(slots=True)
class Found:
    """What a lookup found: providers with their addresses, and the nearest servers, nearest first."""

    providers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    closest: tuple[str, ...] = ()
    asked: int = 0


class DhtClient:
    """Asks servers. `answered(peer)` or `failed(peer, reason)` is called for each that was asked."""

    def __init__(
        self,
        own: str,
        connections: Connections,
        answered: Callable[[str], None],
        failed: Callable[[str, str], None],
    ) -> None:
        self._own = own
        self._connections = connections
        self._answered = answered
        self._failed = failed

    async def search(self, kind: Kind, key: bytes, seeds: Iterable[tuple[str, tuple[str, ...]]]) -> Found:
        """Look a key up, starting from `seeds`. Never raises for what a peer does."""
        lookup = Lookup(key, self._own, seeds)
        found = Found()
        progress = trio.Event()

        async def ask(peer: str, addrs: tuple[str, ...]) -> None:
            nonlocal progress
            try:
                await self._connections.reach(peer, addrs[:MAX_DIALLED_ADDRS])
                answer = await self.ask(peer, DhtMessage(kind, key))
            except (NetworkError, *ENDED) as error:
                log.debug("%s gave no answer: %s", peer, error)
                lookup.failed(peer)
                self._failed(peer, str(error))
            else:
                least = self._scope(peer)
                lookup.answered(peer, ((each.peer, usable(each, least)) for each in answer.closer))
                self._take(answer.providers, least, found)
                self._answered(peer)
            progress.set()

        with trio.move_on_after(LOOKUP_TIMEOUT):
            async with trio.open_nursery() as nursery:
                while not lookup.done:
                    while (following := lookup.next()) is not None:
                        nursery.start_soon(ask, *following)
                    await progress.wait()
                    progress = trio.Event()
        found.closest, found.asked = lookup.closest(), lookup.asked
        return found

    async def ask_connected(self, kind: Kind, key: bytes, peers: Iterable[str]) -> Found:
        """Ask these connected peers and nobody else."""
        found = Found()
        closest: list[str] = []

        async def ask(peer: str) -> None:
            try:
                answer = await self.ask(peer, DhtMessage(kind, key))
            except (NetworkError, *ENDED) as error:
                log.debug("%s gave no answer: %s", peer, error)
                self._failed(peer, str(error))
            else:
                closest.append(peer)
                self._answered(peer)
                self._take(answer.providers, self._scope(peer), found)

        async with trio.open_nursery() as nursery:
            for peer in peers:
                found.asked += 1
                nursery.start_soon(ask, peer)
        found.closest = tuple(closest)
        return found

    async def ask(self, peer: str, request: DhtMessage) -> DhtMessage:
        """The answer of a connected peer. Raises NetworkError; a peer that sends nonsense is penalised."""

        async def exchange(stream: Stream) -> DhtMessage:
            await stream.write(frame(encode(request)))
            raw = await FrameReader(stream, MAX_ANSWER).next()
            if raw is None:
                raise NetworkError(f"{peer} ended the stream without an answer")
            return decode(raw)

        return await self._on_stream(peer, exchange)

    async def provide(self, peer: str, key: bytes, addrs: tuple[bytes, ...]) -> None:
        """Give a connected server the record that this peer provides `key`. Raises NetworkError.

        It has no answer; the end of the server's side says that the record was read."""

        async def exchange(stream: Stream) -> None:
            request = DhtMessage(Kind.ADD_PROVIDER, key, providers=(DhtPeer(self._own, addrs),))
            await stream.write(frame(encode(request)))
            await stream.close()
            await stream.read(1)

        await self._on_stream(peer, exchange)

    async def _on_stream(self, peer: str, exchange: Callable[[Stream], Awaitable[T]]) -> T:
        with trio.move_on_after(ANSWER_TIMEOUT):
            stream = await self._connections.open_stream(peer, PROTOCOL)
            done = False
            try:
                result = await exchange(stream)
                done = True
                return result
            except DecodeError as error:
                self._connections.penalize(peer, f"DHT: {error}")
                raise NetworkError(f"{peer} sent nonsense: {error}") from error
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                    await _end(stream, polite=done)
        raise NetworkError(f"{peer} did not answer within {ANSWER_TIMEOUT:g} s")

    def _scope(self, peer: str) -> int:
        return min(map(scope, self._connections.remote(peer)), default=PUBLIC)

    def _take(self, providers: Iterable[DhtPeer], least: int, found: Found) -> None:
        for provider in providers:
            addrs = usable(provider, least)
            if not addrs or provider.peer == self._own:
                continue
            if provider.peer in found.providers or len(found.providers) < MAX_FOUND:
                known = found.providers.get(provider.peer, ())
                found.providers[provider.peer] = tuple(dict.fromkeys(known + addrs))


async def _end(stream: Stream, polite: bool) -> None:
    try:
        await (stream.close() if polite else stream.reset())
    except NetworkError as error:
        log.debug("ending a stream: %s", error)
