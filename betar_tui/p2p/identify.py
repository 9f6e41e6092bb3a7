"""The identify protocol, both ways.

The peer of every new connection is asked once; its answer (agent, protocols, listen addresses) is kept as an
`IdentifyInfo`, and it may push a new one later. This peer's own message is built by the library, with the agent name
replaced.

py-libp2p 0.8.1: the peer's agent is dropped, a peer that was known before is not asked again after it came back
with other addresses, and its own agent is always the library's (docs/py-libp2p.md#the-rest)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio
from libp2p.abc import IHost, IMuxedConn, INetStream
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.identity.identify_push.identify_push import ID_PUSH as PUSH
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from betar_tui.errors import DecodeError
from betar_tui.p2p.adaptations.host import identify_message
from betar_tui.p2p.addresses import with_peer
from betar_tui.p2p.frames import FrameReader, frame

log = logging.getLogger(__name__)

MAX_MESSAGE = 64 * 1024  # bytes
MAX_PROTOCOLS, MAX_ADDRS = 256, 64
"""Maximum protocols and addresses of a peer; the rest is skipped."""
MAX_ADDRESS = 512
"""Maximum bytes of an address; one that can be dialled is shorter."""
MAX_TEXT = 256
"""Maximum characters of an agent or a protocol."""
PUSH_PAUSE = 3.0
"""Seconds between two pushes of one peer that are parsed."""
TRIES = 3
"""Maximum attempts to identify a peer."""


@dataclass(frozen=True, slots=True)
class IdentifyInfo:
    """A peer's identify message. `addrs` are dialable multiaddrs ending in /p2p/<peer id>; `observed` is the multiaddr
    under which the peer sees this one, "" if it does not say."""

    agent: str = ""
    protocols: tuple[str, ...] = ()
    addrs: tuple[str, ...] = ()
    observed: str = ""


class IdentifyService:
    """Asks and answers, and calls `learned(peer, info)` for every message."""

    def __init__(self, host: IHost, agent: str, learned: Callable[[str, IdentifyInfo], None]) -> None:
        self._host = host
        self._agent = agent
        self._learned = learned
        # By peer: its newest push by each connection, the newest last; a task waits to parse them.
        self._pushed: dict[str, dict[IMuxedConn, bytes]] = {}
        self._next_parse: dict[str, float] = {}
        self.handlers = {IDENTIFY: self._answer, PUSH: self._receive_push}

    async def ask(self, peer: ID, timeout: float) -> None:
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
        info = parse(message, str(peer))
        self._learned(str(peer), info)

    async def ask_patiently(self, peer: ID, timeout: float) -> bool:
        """Ask up to `TRIES` times; whether it answered."""
        for attempt in range(TRIES):
            try:
                await self.ask(peer, timeout)
                return True
            except Exception as error:
                log.debug("identify of %s, attempt %d: %r", peer, attempt + 1, error)
            await trio.sleep(0.1 * (attempt + 1))
        return False

    async def push(self, peer: ID, timeout: float) -> None:
        """Push this peer's changed message to a connected peer."""
        with trio.move_on_after(timeout):
            stream = await self._host.new_stream(peer, [PUSH])
            try:
                await stream.write(frame(self._message(stream)))
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(0.5):
                    await _close(stream)

    async def _answer(self, stream: INetStream) -> None:
        await stream.write(frame(self._message(stream)))

    async def _receive_push(self, stream: INetStream) -> None:
        with trio.fail_after(10):
            message = await FrameReader(stream, MAX_MESSAGE).next()
        await _close(stream)
        if message is not None:
            await self._learn_from_push(str(stream.muxed_conn.peer_id), message, stream.muxed_conn)

    async def _learn_from_push(self, peer: str, message: bytes, connection: IMuxedConn) -> None:
        """Learn from a push.

        Parsing one may take a tenth of a second, so at most one per `PUSH_PAUSE` is parsed: the newest whose connection
        is still open. A peer that comes back may run another version, and is asked again."""
        scheduled = peer in self._pushed
        pushed = self._pushed.setdefault(peer, {})
        pushed.pop(connection, None)
        pushed[connection] = message
        if scheduled:
            return
        try:
            await trio.sleep_until(self._next_parse.get(peer, 0))
        finally:
            pushed = self._pushed.pop(peer)
        now = trio.current_time()
        self._next_parse = {other: when for other, when in self._next_parse.items() if when > now}
        self._next_parse[peer] = now + PUSH_PAUSE
        for connection, message in reversed(pushed.items()):
            if not connection.is_closed:
                self._learned(peer, parse(message, peer))
                break

    def _message(self, stream: INetStream) -> bytes:
        message = identify_message(self._host, stream)
        message.agent_version = self._agent
        return bytes(message.SerializeToString())


def parse(message: bytes, peer: str) -> IdentifyInfo:
    """An identify message as an `IdentifyInfo`, without addresses that cannot be used. Raises DecodeError."""
    decoded: Any = Identify()
    try:
        decoded.ParseFromString(message)
    except Exception as error:
        raise DecodeError(f"not an identify message: {error}") from None
    addresses = [text for raw in decoded.listen_addrs[:MAX_ADDRS] if (text := _multiaddr(raw))]
    protocols = tuple(str(protocol)[:MAX_TEXT] for protocol in decoded.protocols[:MAX_PROTOCOLS])
    agent, observed = str(decoded.agent_version)[:MAX_TEXT], _multiaddr(decoded.observed_addr)
    return IdentifyInfo(agent, protocols, with_peer(addresses, peer), observed)


def _multiaddr(raw: bytes) -> str:
    """The text of a multiaddr, "" if it cannot be read."""
    if not 0 < len(raw) <= MAX_ADDRESS:
        return ""
    try:
        return str(Multiaddr(raw))
    except Exception:
        return ""


async def _close(stream: INetStream) -> None:
    try:
        await stream.close()
    except Exception:
        return
