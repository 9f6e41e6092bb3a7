"""Answering other peers of the DHT: who is close to a key, who provides it, and keeping such records for them.

Values (`PUT_VALUE`, `GET_VALUE`) are not kept: nothing of the market needs them, and a server may refuse."""

import logging
from collections.abc import Callable

import trio

from betar_tui.errors import DecodeError
from betar_tui.p2p.dht.allowances import Allowances
from betar_tui.p2p.dht.lookup import peer_position, position
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


class DhtServer:
    """Serves the streams of other peers while `serving`."""

    def __init__(
        self, table: RoutingTable, records: ProviderRecords, own: Callable[[], DhtPeer], clock: Callable[[], float]
    ) -> None:
        self._table = table
        self._records = records
        self._own = own
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
        if request.kind == Kind.ADD_PROVIDER:
            for provider in request.providers:
                if provider.peer == peer:  # nobody speaks for others
                    self._records.add(request.key, provider, now)
            return None
        closer = self._table.closest(position(request.key), without=peer)
        if request.kind == Kind.GET_PROVIDERS:
            return DhtMessage(Kind.GET_PROVIDERS, request.key, closer, self._records.get(request.key, now))
        own = self._own()
        if request.kind == Kind.FIND_NODE and own.addrs and position(request.key) == peer_position(own.peer):
            closer = [own, *closer]
        return DhtMessage(request.kind, request.key, closer)
