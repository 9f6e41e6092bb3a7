"""The serving side of dagsync: reads requests off a stream and writes what is below their wants."""

import logging
from collections.abc import Callable, Iterator
from itertools import islice

import trio
from libp2p.abc import INetStream

from betar_tui.errors import DecodeError
from betar_tui.p2p.dagsync.messages import MAX_REQUEST, Request, Trailer, decode_request, encode_trailer
from betar_tui.p2p.dagsync.walk import Lookup, Walk
from betar_tui.p2p.frames import FrameReader
from betar_tui.replica.car import END, encode_header, encode_section

log = logging.getLogger(__name__)

IDLE = 30.0
STREAMS_PER_PEER = 2
FIRST_SLICE, SLICE = 32, 512
SLICE_BYTES = 1 << 20


class DagSyncServer:
    """Serves blocks that `lookup` finds, which runs in a worker thread. `charge(peer, what)` hears of misbehaviour."""

    def __init__(self, lookup: Lookup, charge: Callable[[str, str], None]) -> None:
        self._lookup = lookup
        self._charge = charge
        self._streams: dict[str, int] = {}

    async def handle(self, stream: INetStream) -> None:
        """Answer the requests of one stream until it ends or is idle for too long."""
        peer = str(stream.muxed_conn.peer_id)
        if self._streams.get(peer, 0) >= STREAMS_PER_PEER:
            await stream.reset()
            return
        self._streams[peer] = self._streams.get(peer, 0) + 1
        try:
            await self._serve(stream, peer)
        finally:
            self._streams[peer] -= 1
            if not self._streams[peer]:
                del self._streams[peer]

    async def _serve(self, stream: INetStream, peer: str) -> None:
        reader = FrameReader(stream, MAX_REQUEST)
        while True:
            try:
                raw = await reader.next()
                if raw is None:
                    await stream.close()
                    return
                request = decode_request(raw)
            except DecodeError as error:
                self._charge(peer, f"dagsync request: {error}")
                await stream.reset()
                return
            await self._answer(stream, request)

    async def _answer(self, stream: INetStream, request: Request) -> None:
        answer = _Answer(request, self._lookup)
        send, receive = trio.open_memory_channel[bytes](1)

        async def produce() -> None:
            # The next slice is looked up while the last one is on its way.
            async with send:
                while piece := await trio.to_thread.run_sync(answer.piece):
                    await send.send(piece)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(produce)
            async for piece in receive:
                with trio.fail_after(IDLE):
                    await stream.write(piece)


class _Answer:
    """One response, made piece by piece."""

    def __init__(self, request: Request, lookup: Lookup) -> None:
        self._request = request
        self._blocks = self._walk(lookup)
        self._head = encode_header(request.wants)
        self._size = FIRST_SLICE
        self._count = self._bytes = 0
        self._cut = self._done = False

    def piece(self) -> bytes:
        """The next bytes to write; nothing at the end. The first pieces are small, so that they arrive at once."""
        if self._done:
            return b""
        parts, self._head = [self._head], b""
        weight = 0
        for name, block in islice(self._blocks, self._size):
            parts.append(encode_section(name, block))
            weight += len(block)
            if weight >= SLICE_BYTES:
                break
        else:
            if len(parts) <= self._size:
                self._done = True
                parts += [END, encode_trailer(Trailer(self._count, self._bytes, not self._cut))]
        self._size = min(self._size * 2, SLICE)
        return b"".join(parts)

    def _walk(self, lookup: Lookup) -> Iterator[tuple[bytes, bytes]]:
        for name, block in Walk(self._request.wants, self._request.haves, lookup):
            if self._count >= self._request.max_blocks or self._bytes + len(block) > self._request.max_bytes:
                self._cut = True
                return
            self._count += 1
            self._bytes += len(block)
            yield name, block
