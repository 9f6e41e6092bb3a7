"""A listener's side of multistream-select: reading messages, and answering in few packets."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamClosed
from libp2p.protocol_muxer.exceptions import MultiselectError
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.utils import encode_delim

from betar_tui.p2p.adaptations.negotiation import Negotiator

HEADER, KNOWN, OTHER = (encode_delim(name) for name in (b"/multistream/1.0.0", b"/known/1.0.0", b"/other/1.0.0"))
NO = encode_delim(b"na")


async def handler(stream: object) -> None:
    raise AssertionError("only agreed on here")


class Stream:
    """A yamux stream as far as negotiating looks at it. `pieces` arrive one at a time, whenever the reader waits."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.buffer = bytearray()
        self.written: list[bytes] = []
        self.muxed_stream = SimpleNamespace(stream_id=1, conn=SimpleNamespace(stream_buffers={1: self.buffer}))

    async def read(self, n: int) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self.buffer and self._pieces:
            self.buffer += self._pieces.pop(0)
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.written.append(data)

    @property
    def left(self) -> bytes:
        """What is the protocol's, and was not to be touched."""
        return bytes(self.buffer) + b"".join(self._pieces)


async def agree(stream: Stream, timeout: int = 5) -> str | None:
    negotiator = Negotiator({TProtocol("/known/1.0.0"): handler})  # type: ignore[dict-item]
    protocol, found = await negotiator.negotiate(MultiselectCommunicator(stream), timeout)  # type: ignore[arg-type]
    assert found is handler
    return protocol


async def test_one_packet_is_answered_by_one() -> None:
    stream = Stream(HEADER + KNOWN + b"the first message")
    assert await agree(stream) == "/known/1.0.0"
    assert stream.written == [HEADER + KNOWN]
    assert stream.left == b"the first message"


async def test_a_dialler_that_waits_for_each_answer_gets_it() -> None:
    stream = Stream(HEADER, OTHER, KNOWN)
    assert await agree(stream) == "/known/1.0.0"
    assert stream.written == [HEADER, NO, KNOWN]


async def test_guesses_are_answered_together() -> None:
    stream = Stream(HEADER + OTHER + encode_delim(b"ls") + KNOWN)
    assert await agree(stream) == "/known/1.0.0"
    assert stream.written == [HEADER + NO + encode_delim(b"/known/1.0.0\n") + KNOWN]


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x13/multistream/2.0.0\n" + KNOWN, b"\xff" * 64, b""]
)
async def test_another_protocol_is_no_negotiation(start: bytes) -> None:
    stream = Stream(start)
    with pytest.raises(MultiselectError):
        await agree(stream)
    assert stream.written == []


@pytest.mark.parametrize("line", [b"\x0d/known/1.0.0x", b"\x05\xff\xfe\xfd\xfc\n"])
async def test_a_line_that_is_not_text_is_not_a_protocol(line: bytes) -> None:
    with pytest.raises(MultiselectError):
        await agree(Stream(HEADER + line))


async def test_questions_without_end_are_answered_as_they_come() -> None:
    """A peer that asks for the list again and again cannot make us keep the answers."""
    stream = Stream(HEADER + encode_delim(b"ls") * 1000 + KNOWN)
    assert await agree(stream) == "/known/1.0.0"
    assert max(map(len, stream.written)) < 1100


async def test_an_answer_that_cannot_be_sent_is_not_a_misbehaviour() -> None:
    """The guard penalizes errors that it does not know; a MultiselectError is a stream that ended."""

    class Broken(Stream):
        async def write(self, data: bytes) -> None:
            raise StreamClosed

    class Stuck(Stream):
        async def write(self, data: bytes) -> None:
            await trio.sleep_forever()

    for kind in (Broken, Stuck):
        with pytest.raises(MultiselectError):
            await agree(kind(HEADER + KNOWN), 1)


async def test_a_silent_peer_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    class Silent(Stream):
        async def read(self, n: int) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

    with pytest.raises(MultiselectError):
        await agree(Silent())
    assert trio.current_time() < 10


@given(st.lists(st.integers(1, 60), max_size=6), st.binary(max_size=20))
def test_it_does_not_matter_how_the_bytes_come(cuts: list[int], rest: bytes) -> None:
    whole, pieces = HEADER + OTHER + KNOWN + rest, []
    for size in cuts:
        pieces.append(whole[:size])
        whole = whole[size:]
    stream = Stream(*(piece for piece in (*pieces, whole) if piece))
    assert trio.run(agree, stream) == "/known/1.0.0"
    assert b"".join(stream.written) == HEADER + NO + KNOWN
    assert stream.left == rest
