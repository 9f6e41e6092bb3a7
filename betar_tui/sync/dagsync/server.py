"""The server of dagsync: reads requests from a stream and writes the blocks at and below their wants."""

from collections.abc import Callable, Iterable

import trio

from betar_tui.ipld.car import END, encode_header, encode_section
from betar_tui.p2p.frames import FrameReader
from betar_tui.p2p.types import Stream
from betar_tui.sync.dagsync.messages import MAX_REQUEST, Request, Trailer, decode_request, encode_trailer
from betar_tui.sync.dagsync.walk import Lookup, Walk

IDLE = 30.0
"""Maximum seconds for a stream to bring the next request, or to take a slice of an answer."""
STREAMS_PER_PEER = 2  # at most
FIRST_SLICE, SLICE = 32, 512
"""Maximum number of visited blocks in the first slice of an answer, and in any."""
SLICE_BYTES = 1 << 20
"""Maximum bytes of a slice."""


class DagSyncServer:
    """Serves the blocks that `lookup` finds, which is called in a worker thread. `sent(peer, CIDs)` is called with the
    wants of a request that was answered."""

    def __init__(self, lookup: Lookup, sent: Callable[[str, Iterable[bytes]], None] = lambda peer, cids: None) -> None:
        self._lookup = lookup
        self._sent = sent
        self._streams: dict[str, int] = {}

    async def handle(self, stream: Stream) -> None:
        """Answer the requests of one stream until it ends or is idle for too long. A bad request raises DecodeError,
        for which the caller resets the stream and penalises the peer."""
        peer = stream.peer
        if self._streams.get(peer, 0) >= STREAMS_PER_PEER:
            await stream.reset()
            return
        self._streams[peer] = self._streams.get(peer, 0) + 1
        try:
            await self._serve(stream)
        finally:
            self._streams[peer] -= 1
            if not self._streams[peer]:
                del self._streams[peer]

    async def _serve(self, stream: Stream) -> None:
        reader = FrameReader(stream, MAX_REQUEST)
        while True:
            raw = None
            with trio.move_on_after(IDLE):
                raw = await reader.next()
            if raw is None:
                await stream.close()
                return
            await self._answer(stream, decode_request(raw))

    async def _answer(self, stream: Stream, request: Request) -> None:
        answer = _Answer(request, self._lookup)
        send, receive = trio.open_memory_channel[bytes](1)

        async def produce() -> None:
            # The next slice is looked up while the last one is being written.
            async with send:
                while not answer.done:
                    piece = await trio.to_thread.run_sync(answer.piece)
                    if piece:
                        await send.send(piece)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(produce)
            async for piece in receive:
                with trio.fail_after(IDLE):
                    await stream.write(piece)
        self._sent(stream.peer, request.wants)


class _Answer:
    """One response, made slice by slice."""

    def __init__(self, request: Request, lookup: Lookup) -> None:
        self._request = request
        self._walk = iter(Walk(request.wants, request.haves, lookup, large_last=True))
        self._head = encode_header(request.wants)
        self._size = FIRST_SLICE
        self._count = self._bytes = 0
        self.done = False

    def piece(self) -> bytes:
        """The next bytes to write, perhaps none.

        The first slices are small, so that they arrive at once. The number of visits is limited, so that a request
        whose few blocks are far below its wants does not occupy a thread for long."""
        parts, self._head = [self._head], b""
        weight = visits = 0
        while visits < self._size and weight < SLICE_BYTES and not self.done:
            visits += 1
            try:
                found = next(self._walk)
            except StopIteration:
                self._end(parts, complete=True)
                break
            if found is None:
                continue
            cid, block = found
            if self._count >= self._request.max_blocks or self._bytes + len(block) > self._request.max_bytes:
                self._end(parts, complete=False)
                break
            parts.append(encode_section(cid, block))
            weight += len(block)
            self._count += 1
            self._bytes += len(block)
        self._size = min(self._size * 2, SLICE)
        return b"".join(parts)

    def _end(self, parts: list[bytes], complete: bool) -> None:
        self.done = True
        parts += [END, encode_trailer(Trailer(self._count, self._bytes, complete))]
