"""libp2p streams for rooms that do not know libp2p."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from libp2p.abc import INetStream
from libp2p.network.stream.exceptions import StreamEOF, StreamError

from betar_tui.errors import StreamEndedError


class PeerStream:
    """A `types.Stream` over a libp2p stream."""

    def __init__(self, stream: INetStream) -> None:
        self._stream = stream
        self.peer = str(stream.muxed_conn.peer_id)

    async def read(self, n: int) -> bytes:
        """At most `n` bytes; b"" at the end. Raises NetworkError."""
        try:
            with self._translated():
                return await self._stream.read(n)
        except EOFError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send all of `data`. Raises NetworkError."""
        with self._translated():
            await self._stream.write(data)

    async def close(self) -> None:
        """End this side; the other side may still send. Raises NetworkError."""
        with self._translated():
            await self._stream.close()

    async def reset(self) -> None:
        """End both sides at once. Raises NetworkError."""
        with self._translated():
            await self._stream.reset()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StreamEOF:
            raise
        except StreamError as error:
            raise StreamEndedError(f"{self.peer} ended a stream: {error}") from error


async def handle_stream(handler: Callable[[PeerStream], Awaitable[None]], stream: INetStream) -> None:
    """Serve a libp2p stream with a handler that does not know libp2p."""
    await handler(PeerStream(stream))
