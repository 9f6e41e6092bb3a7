"""Answering which protocol a new stream speaks, in one packet.

A Go peer opens a stream for every Bitswap answer and sends the multistream header, the protocol and the first message
at once. py-libp2p 0.8.1: it reads that byte by byte and answers in two packets, which is most of the work of a sync
with one delta to an answer (docs/py-libp2p.md#connections).

The dialler sends first (github.com/multiformats/multistream-select; the listeners of rust-libp2p and js-libp2p wait for
it as well), so nothing is sent before its header has arrived."""

from typing import Any

import trio
from libp2p.abc import IMultiselectCommunicator
from libp2p.custom_types import StreamHandlerFn, TProtocol
from libp2p.io.exceptions import IOException
from libp2p.io.utils import read_exactly
from libp2p.protocol_muxer.exceptions import MultiselectCommunicatorError, MultiselectError
from libp2p.protocol_muxer.multiselect import DEFAULT_NEGOTIATE_TIMEOUT, MULTISELECT_PROTOCOL_ID, Multiselect
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.utils import encode_delim

_HEADER = encode_delim(MULTISELECT_PROTOCOL_ID.encode())
_SHORT = 0x80
"""Smallest length that takes two bytes as a varint; protocol names are shorter."""
_MAX_UNSENT = 1024
"""Maximum bytes to buffer: a peer may ask for the list of protocols again and again."""


class BufferedCommunicator(MultiselectCommunicator):
    """Reads a message at a time. Sends what was written when a read has to wait, or by `flush`."""

    def __init__(self, read_writer: Any) -> None:
        super().__init__(read_writer)
        self._unsent = bytearray()
        self._greeted = False

    async def write(self, msg_str: str) -> None:
        """Buffer a message. Raises MultiselectCommunicatorError."""
        self._unsent += encode_delim(msg_str.encode())
        if len(self._unsent) > _MAX_UNSENT:
            await self.flush()

    async def flush(self) -> None:
        """Send the buffered messages. Raises MultiselectCommunicatorError."""
        if self._unsent:
            data, self._unsent = bytes(self._unsent), bytearray()
            try:
                await self.read_writer.write(data)
            except IOException as error:
                raise MultiselectCommunicatorError("the stream ended while its protocol was agreed on") from error

    async def read(self) -> str:
        """The next message. Raises MultiselectCommunicatorError."""
        size = self._size_here() if self._greeted else len(_HEADER)
        if not size:
            await self.flush()
            return await super().read()
        self._greeted = True
        try:
            message = await read_exactly(self.read_writer, size)
        except IOException as error:
            raise MultiselectCommunicatorError("the stream ended while its protocol was agreed on") from error
        if not message.isascii() or not message.endswith(b"\n"):
            raise MultiselectCommunicatorError("a protocol name is not a line of text")
        return message[1:-1].decode()

    def _size_here(self) -> int:
        """The size of the next message if all of it has arrived, else 0."""
        stream: Any = getattr(self.read_writer, "muxed_stream", None)
        buffer = stream.conn.stream_buffers.get(stream.stream_id) if stream is not None else None
        if not buffer or not 0 < buffer[0] < _SHORT or len(buffer) <= buffer[0]:
            return 0
        return 1 + int(buffer[0])


class Negotiator(Multiselect):
    """The listener's side of multistream-select over a `BufferedCommunicator`."""

    async def negotiate(
        self, communicator: IMultiselectCommunicator, negotiate_timeout: int = DEFAULT_NEGOTIATE_TIMEOUT
    ) -> tuple[TProtocol | None, StreamHandlerFn | None]:
        """The protocol agreed on, and its handler. Raises MultiselectError."""
        assert isinstance(communicator, MultiselectCommunicator), "the host passes no other"
        buffered = BufferedCommunicator(communicator.read_writer)
        agreed = await super().negotiate(buffered, negotiate_timeout)
        try:
            with trio.fail_after(negotiate_timeout):
                await buffered.flush()
        except (MultiselectCommunicatorError, trio.TooSlowError) as error:
            raise MultiselectError("the answer could not be sent") from error
        return agreed
