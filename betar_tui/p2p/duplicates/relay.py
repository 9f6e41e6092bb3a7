"""The relay: tells processes with the same peer id of each other, and passes their messages on.

It keeps nothing but the open streams. Reading waits after each message, so that a peer can make it pass on only a few
messages a second, and only to itself."""

from dataclasses import dataclass, field

import trio

from betar_tui.errors import DecodeError, NetworkError
from betar_tui.p2p.duplicates.messages import MAX_MESSAGE, Hello, Message, decode, encode
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.types import Stream

MAX_STREAMS = 8
"""Maximum streams of one peer id; the oldest is reset for another one."""
MESSAGE_PAUSE = 0.2
"""Seconds between two messages that are read from a stream."""
WRITE_TIMEOUT = 2.0
"""Seconds for a message to be written; a process that reads slower misses it."""
HELLO_TIMEOUT = 10.0
"""Seconds from the start of a stream to its first message."""


@dataclass(eq=False, slots=True)
class _Member:
    """The stream of one process."""

    stream: Stream
    instance: bytes
    writing: trio.Lock = field(default_factory=trio.Lock)

    async def send(self, message: Message) -> None:
        with trio.move_on_after(WRITE_TIMEOUT):
            async with self.writing:
                try:
                    await self.stream.write(frame(encode(message)))
                except NetworkError:
                    return  # its own handler ends with it


class InstanceRelay:
    """Serves the protocol."""

    def __init__(self) -> None:
        self._members: dict[str, list[_Member]] = {}

    async def handle(self, stream: Stream) -> None:
        """Serve a stream until it ends. Raises DecodeError, NetworkError."""
        reader = FrameReader(stream, MAX_MESSAGE)
        with trio.fail_after(HELLO_TIMEOUT):
            raw = await reader.next()
        if raw is None:
            return
        hello = decode(raw)
        if not isinstance(hello, Hello):
            raise DecodeError("the instances protocol starts with a hello")
        member = _Member(stream, hello.instance)
        members = self._members.setdefault(stream.peer, [])
        members.append(member)
        try:
            if len(members) > MAX_STREAMS:
                await members.pop(0).stream.reset()
            await self._introduce(member)
            while (raw := await reader.next()) is not None:
                message = decode(raw)
                if not isinstance(message, Hello):
                    for other in self._others(member):
                        await other.send(message)
                await trio.sleep(MESSAGE_PAUSE)
        finally:
            if member in members:
                members.remove(member)
            if not members:
                self._members.pop(stream.peer, None)

    def _others(self, member: _Member) -> list[_Member]:
        """The streams of the other processes."""
        members = self._members.get(member.stream.peer, ())
        return [each for each in members if each.instance != member.instance]

    async def _introduce(self, member: _Member) -> None:
        for other in self._others(member):
            await other.send(Hello(member.instance))
            await member.send(Hello(other.instance))
