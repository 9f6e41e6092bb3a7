"""The client of dagsync: one stream to each peer, kept open, and one request on it at a time.

Every block must be one that was requested or that a block received before links to, and must hash to its CID; otherwise
the stream ends and the peer is penalised. A verified block that is not a delta is passed to the caller without penalty:
the author of the link to it is to blame, not the peer that has it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import trio

from betar_tui.errors import DecodeError, NetworkError
from betar_tui.ipld import cid as cids
from betar_tui.ipld.car import CarReader, Section
from betar_tui.ipld.protobuf import read_varint
from betar_tui.p2p.types import Stream
from betar_tui.replica import DagNode, decode_verified
from betar_tui.replica.node import links_of
from betar_tui.sync.dagsync.messages import (
    MAX_BLOCKS,
    MAX_BYTES,
    MAX_TRAILER,
    MAX_WANTS,
    PROTOCOL,
    Request,
    Trailer,
    decode_trailer,
    encode_request,
)

READ_SIZE = 1 << 18
MAX_EXPECTED = 1 << 14
"""Maximum CIDs of blocks that may follow in an answer, as far as it is read: blocks of thousands of links would fill the
memory with them."""
STALL = 10.0
"""Maximum seconds without a complete block from a peer."""

OpenStream = Callable[[str, str], Awaitable[Stream]]


class DagSyncClient:
    """Requests DAGs from peers. `open_stream(peer, protocol)` raises NetworkError."""

    def __init__(self, open_stream: OpenStream) -> None:
        self._open_stream = open_stream
        self._streams: dict[str, Stream] = {}

    def forget(self, peer: str) -> None:
        """The peer has disconnected, and its stream is dead."""
        self._streams.pop(peer, None)

    async def fetch(self, peer: str, wants: Sequence[bytes], haves: Sequence[bytes]) -> AsyncGenerator["Piece", None]:
        """The blocks that the peer has at and below `wants`, in pieces as they arrive; the last piece has the trailer.

        An answer of too many links is read in part, as if the peer had truncated it there.

        Raises NetworkError when the peer cannot be asked or stalls, DecodeError when it breaks a rule. To leave the
        iteration early ends the stream."""
        request = Request(tuple(wants[:MAX_WANTS]), tuple(haves))
        stream = await self._begin(peer, encode_request(request))
        answer = _Answer(request)
        clean = False
        try:
            while answer.trailer is None:
                yield await self._next(peer, stream, answer)
            clean = not answer.cut
        finally:
            if clean:
                self._streams[peer] = stream
            else:
                await _reset(stream)

    async def _begin(self, peer: str, request: bytes) -> Stream:
        """Write the request on the stream kept open, or on a new one if that is dead; returns the stream."""
        kept = self._streams.pop(peer, None)
        if kept is not None:
            try:
                with _stalling(peer):
                    await kept.write(request)
                return kept
            except NetworkError:
                await _reset(kept)
        stream = await self._open_stream(peer, PROTOCOL)
        with _stalling(peer):
            await stream.write(request)
        return stream

    @staticmethod
    async def _next(peer: str, stream: Stream, answer: "_Answer") -> "Piece":
        """Read until at least one block or the trailer is complete."""
        with _stalling(peer):
            while True:
                data = await stream.read(READ_SIZE)
                if not data:
                    raise NetworkError(f"{peer} ended its dagsync stream early")
                # Hashing and decoding a quarter of a megabyte takes milliseconds: not in the loop's thread.
                piece = await trio.to_thread.run_sync(answer.feed, data)
                if piece.nodes or piece.others or piece.trailer is not None:
                    return piece


@dataclass(frozen=True, slots=True)
class Piece:
    """Verified nodes, each after one that links to it, and the trailer in the last piece; `others` are blocks that are not
    deltas. `cut` says that the peer would have sent more."""

    nodes: tuple[DagNode, ...]
    trailer: Trailer | None
    others: tuple[Section, ...] = ()
    cut: bool = False


class _Answer:
    """One response, decoded as it arrives."""

    def __init__(self, request: Request) -> None:
        self._car = CarReader()
        self._expected = set(request.wants)
        self._received: set[bytes] = set()
        self._blocks = self._bytes = 0
        self.trailer: Trailer | None = None
        self.cut = False  # the rest is not read

    def feed(self, data: bytes) -> Piece:
        """The blocks and the trailer that these bytes complete. Raises DecodeError."""
        nodes, others = [], []
        for section in self._car.feed(data):
            if section.cid not in self._expected:
                raise DecodeError("dagsync: a block that was not requested")
            self._blocks += 1
            self._bytes += len(section.data)
            if self._blocks > MAX_BLOCKS or self._bytes > MAX_BYTES:
                raise DecodeError("dagsync: the stream is longer than its limit")
            if cids.of(section.data) != section.cid:
                raise DecodeError(f"dagsync: a block does not hash to its CID {cids.to_str(section.cid)}")
            try:
                node = decode_verified(section.cid, section.data)
            except DecodeError:
                others.append(section)
                self._expect(section.cid, _links_of_any(section.data))
                continue
            self._expect(node.cid, node.links)
            nodes.append(node)
        if self._car.ended:
            self._end(self._car.rest)
        elif len(self._expected) > MAX_EXPECTED:
            self.cut = True
            self.trailer = Trailer(self._blocks, self._bytes, complete=False)
        return Piece(tuple(nodes), self.trailer, tuple(others), self.cut)

    def _expect(self, received: bytes, links: tuple[bytes, ...]) -> None:
        """A block has arrived: the blocks that it links to may follow."""
        self._expected.discard(received)
        self._received.add(received)
        self._expected.update(link for link in links if link not in self._received)

    def _end(self, rest: bytes) -> None:
        if len(rest) > MAX_TRAILER:
            raise DecodeError("dagsync: the trailer is too long")
        try:
            size, start = read_varint(rest, 0, len(rest))
        except DecodeError:
            return  # incomplete
        if len(rest) < start + size:
            return
        if len(rest) > start + size:
            raise DecodeError("dagsync: something follows the trailer")
        self.trailer = decode_trailer(rest[start:])


def _links_of_any(block: bytes) -> tuple[bytes, ...]:
    """The links of a block that is not a delta, which the server follows like any others."""
    try:
        return links_of(block)
    except DecodeError:
        return ()


async def _reset(stream: Stream) -> None:
    """Reset a stream, which may be dead already; errors must not hide the reason for the reset."""
    with trio.CancelScope(deadline=trio.current_time() + 1, shield=True), suppress(Exception):
        await stream.reset()


@contextmanager
def _stalling(peer: str) -> Iterator[None]:
    """Limits the time of a step to `STALL` seconds. Raises NetworkError."""
    with trio.move_on_after(STALL) as scope:
        yield
    if scope.cancelled_caught:
        raise NetworkError(f"{peer} stalled for {STALL:g} s on its dagsync stream")
