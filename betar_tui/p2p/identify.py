"""Who is at the other end: the identify protocol, both ways.

We ask every new connection's peer once and keep what it says (agent, protocols, listen addresses) as an
`IdentifyInfo`; a peer may push a new one later. What we say about ourselves is built by the library, with our own
agent name in it.

py-libp2p 0.8.1: the peer's agent is thrown away, a peer that was known before is not asked again after it came back
with other addresses, and our agent is always the library's. Hence our own asking and answering.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio
from libp2p.abc import IHost, IMuxedConn, INetStream
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.identity.identify_push.identify_push import ID_PUSH as PUSH
from libp2p.network.stream.exceptions import StreamError
from libp2p.peer.id import ID
from multiaddr import Multiaddr  # type: ignore[import-untyped]  # the package ships no types

from betar_tui.errors import DecodeError
from betar_tui.p2p.adaptations.host import identify_message
from betar_tui.p2p.addresses import with_peer
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.guard import quiet_reset

MAX_MESSAGE = 64 * 1024
MAX_PROTOCOLS = 256
MAX_ADDRS = 64
MAX_ADDRESS = 512
"""Bytes; one that can be dialled is shorter."""
MAX_TEXT = 256
PUSH_PAUSE = 3.0
"""Seconds between two pushes of one peer that are looked at."""
PATIENCE = 5.0
"""Seconds for a peer to end its side of a stream."""


@dataclass(frozen=True, slots=True)
class IdentifyInfo:
    """What a peer says about itself. `addrs` are dialable multiaddrs ending in /p2p/<peer id>."""

    agent: str = ""
    protocols: tuple[str, ...] = ()
    addrs: tuple[str, ...] = ()


class IdentifyService:
    """Asks, answers, and hands every identify_info to `learned(peer, identify_info)`."""

    def __init__(self, host: IHost, agent: str, learned: Callable[[str, IdentifyInfo], None]) -> None:
        self._host = host
        self._agent = agent
        self._learned = learned
        # By peer: its newest push by each connection, the newest last; somebody waits to look at them.
        self._pushed: dict[str, dict[IMuxedConn, bytes]] = {}
        self._next_look: dict[str, float] = {}
        self.handlers = {IDENTIFY: self._answer, PUSH: self._receive_push}

    async def ask(self, peer: ID, timeout: float) -> IdentifyInfo:
        """Ask a connected peer. Raises DecodeError, TooSlowError or the stream's errors."""
        with trio.fail_after(timeout):
            stream = await self._host.new_stream(peer, [IDENTIFY])
            try:
                message = await FrameReader(stream, MAX_MESSAGE).next()
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                    await _close(stream)
        if message is None:
            raise DecodeError("the peer ended identify without a message")
        identify_info = parse(message, str(peer))
        self._learned(str(peer), identify_info)
        return identify_info

    async def push(self, peer: ID, timeout: float) -> None:
        """Tell a connected peer that something about us changed."""
        with trio.move_on_after(timeout):
            stream = await self._host.new_stream(peer, [PUSH])
            try:
                await stream.write(frame(self._message(stream)))
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                    await _close(stream)

    async def _answer(self, stream: INetStream) -> None:
        try:
            await stream.write(frame(self._message(stream)))
        finally:
            await _close(stream)
        await _see_off(stream)

    async def _receive_push(self, stream: INetStream) -> None:
        with trio.fail_after(10):
            message = await FrameReader(stream, MAX_MESSAGE).next()
        await _close(stream)
        if message is not None:
            await self._look_at(str(stream.muxed_conn.peer_id), message, stream.muxed_conn)
        await _see_off(stream)

    async def _look_at(self, peer: str, message: bytes, connection: IMuxedConn) -> None:
        """Learn from a push. Parsing one may take a tenth of a second, so a peer that pushes often is looked at now and
        then: of those that come meanwhile, only the newest counts whose connection is there. One that comes back is asked
        anew, and may be another version."""
        waited_for = peer in self._pushed
        pushed = self._pushed.setdefault(peer, {})
        pushed.pop(connection, None)
        pushed[connection] = message
        if waited_for:
            return
        try:
            await trio.sleep_until(self._next_look.get(peer, 0))
        finally:
            pushed = self._pushed.pop(peer)
        now = trio.current_time()
        self._next_look = {each: when for each, when in self._next_look.items() if when > now}
        self._next_look[peer] = now + PUSH_PAUSE
        for connection, message in reversed(pushed.items()):
            if not connection.is_closed:
                self._learned(peer, parse(message, peer))
                break

    def _message(self, stream: INetStream) -> bytes:
        message = identify_message(self._host, stream)
        message.agent_version = self._agent
        return bytes(message.SerializeToString())


def parse(message: bytes, peer: str) -> IdentifyInfo:
    """An identify message as an `IdentifyInfo`; parts that make no sense are left out. Raises DecodeError."""
    decoded: Any = Identify()
    try:
        decoded.ParseFromString(message)
    except Exception as error:
        raise DecodeError(f"not an identify message: {error}") from None
    addresses = []
    for raw in decoded.listen_addrs[:MAX_ADDRS]:
        if len(raw) > MAX_ADDRESS:
            continue
        try:
            addresses.append(str(Multiaddr(raw)))
        except Exception:
            continue
    protocols = tuple(str(protocol)[:MAX_TEXT] for protocol in decoded.protocols[:MAX_PROTOCOLS])
    return IdentifyInfo(str(decoded.agent_version)[:MAX_TEXT], protocols, with_peer(addresses, peer))


async def _see_off(stream: INetStream) -> None:
    """Wait for the peer's end of a stream from which nothing more is expected; reset it when that does not come.

    Else it could have as many open as it likes: the count of its streams is of those that are handled.
    """
    try:
        with trio.move_on_after(PATIENCE):
            await stream.read(1)
    except StreamError:
        return
    await quiet_reset(stream)


async def _close(stream: INetStream) -> None:
    try:
        await stream.close()
    except Exception:
        return
