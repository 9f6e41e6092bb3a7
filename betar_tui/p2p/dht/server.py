"""Answering other peers of the DHT: who is close to a key, who provides it, and keeping such records for them.

An address is told only to those that may reach it, and believed only of those that may have it: those of this machine
and of its networks are nothing for the internet, nor is what the internet says of them anything for the networks.

Values (`PUT_VALUE`, `GET_VALUE`) are not kept: nothing of the market needs them, and a server may refuse."""

import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice

import trio

from betar_tui.errors import DecodeError
from betar_tui.p2p.dht.allowances import Allowances
from betar_tui.p2p.dht.client import LOCAL, PUBLIC, scope
from betar_tui.p2p.dht.lookup import K, peer_position, position
from betar_tui.p2p.dht.messages import MAX_REQUEST, DhtMessage, DhtPeer, Kind, decode, encode
from betar_tui.p2p.dht.providers import ProviderRecords
from betar_tui.p2p.dht.routing_table import RoutingTable
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.types import Stream

log = logging.getLogger(__name__)

STREAMS_PER_PEER = 16
"""Maximum streams of a peer; Go keeps one, others open one for each request."""
IDLE = 60.0
"""Seconds without a request after which a stream is reset, as in Go."""
ANSWERED = frozenset(Kind) - {Kind.PUT_VALUE}


@lru_cache(4096)
def binary_scope(raw: bytes) -> int:
    """The scope of a binary multiaddr, see `scope`, of whatever transport."""
    if raw[:1] == b"\x2a":  # a zone, which an IPv6 address follows that has a meaning there only
        return LOCAL
    for code, kind, family, size in ((b"\x04", "ip4", socket.AF_INET, 4), (b"\x29", "ip6", socket.AF_INET6, 16)):
        if raw[:1] == code and len(raw) > size:
            return scope(f"/{kind}/{socket.inet_ntop(family, raw[1 : 1 + size])}")
    return PUBLIC


def within(peers: Iterable[DhtPeer], least: int) -> Iterator[DhtPeer]:
    """The peers with those of their addresses whose scope is at least `least`, without peers that have none."""
    for each in peers:
        addrs = tuple(raw for raw in each.addrs if binary_scope(raw) >= least)
        if addrs:
            yield DhtPeer(each.peer, addrs)


class DhtServer:
    """Serves the streams of other peers while `serving`. `own()` is this peer; `remote(peer)` are the addresses at the
    other end of the connections to a peer."""

    def __init__(
        self,
        table: RoutingTable,
        records: ProviderRecords,
        own: Callable[[], DhtPeer],
        remote: Callable[[str], Iterable[str]],
        clock: Callable[[], float],
    ) -> None:
        self._table = table
        self._records = records
        self._own = own
        self._remote = remote
        self._clock = clock
        self._streams: dict[str, int] = {}
        self._allowances = Allowances()
        self.serving = False

    async def handle(self, stream: Stream) -> None:
        """Serve one stream. Raises DecodeError for nonsense, and the stream's errors."""
        peer = stream.peer
        if not self.serving:
            await stream.reset()
            return
        if self._streams.get(peer, 0) >= STREAMS_PER_PEER:
            await stream.reset()
            raise DecodeError("too many DHT streams")
        self._streams[peer] = self._streams.get(peer, 0) + 1
        try:
            await self._serve(stream)
        finally:
            self._streams[peer] -= 1
            if not self._streams[peer]:
                del self._streams[peer]

    async def _serve(self, stream: Stream) -> None:
        frames = FrameReader(stream, MAX_REQUEST)
        while self.serving:
            with trio.move_on_after(IDLE):
                raw = await frames.next()
                if raw is None:
                    await stream.close()
                    return
                wait = self._allowances.take(stream.peer, self._clock())
                if wait is None:
                    break
                if wait:
                    await trio.sleep(wait)
                request = decode(raw)
                if request.kind not in ANSWERED:
                    break
                answer = self.answer(stream.peer, request)
                if answer is not None:
                    await stream.write(frame(encode(answer)))
                continue
            break
        await stream.reset()

    def answer(self, peer: str, request: DhtMessage) -> DhtMessage | None:
        """The answer to a request of `peer`; None where there is none. Raises DecodeError."""
        now = self._clock()
        if request.kind == Kind.PING:
            return DhtMessage(Kind.PING)
        if not request.key:
            raise DecodeError("a DHT request without a key")
        least = min(map(scope, self._remote(peer)), default=PUBLIC)
        if request.kind == Kind.ADD_PROVIDER:
            named = (each for each in request.providers if each.peer == peer)  # nobody speaks for others
            for provider in within(named, least):
                self._records.add(request.key, provider, now)
            return None
        nearest = self._table.closest(position(request.key), len(self._table), without=peer)
        closer = list(islice(within(nearest, least), K))
        if request.kind == Kind.GET_PROVIDERS:
            providers = list(within(self._records.get(request.key, now), least))
            return DhtMessage(Kind.GET_PROVIDERS, request.key, closer, providers)
        if request.kind == Kind.FIND_NODE and position(request.key) == peer_position(self._own().peer):
            closer = [*within([self._own()], least), *closer]
        return DhtMessage(request.kind, request.key, closer)
