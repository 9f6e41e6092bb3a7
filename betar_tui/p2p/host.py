"""The libp2p host: identity, transports, and every adaptation of the swarm itself.

Built part by part instead of with the library's `new_host`. py-libp2p 0.8.1: `new_host` also offers the plaintext and
secio "security" protocols, so that anybody may claim any peer id; here it is noise over TCP, with yamux, and nothing
else. It also runs a connector that dials whatever the peerstore has heard of; here only `dialer.py` dials.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast
from weakref import WeakKeyDictionary

import trio
from google.protobuf.message import DecodeError as ProtobufError
from libp2p import generate_peer_id_from
from libp2p.abc import INetConn, INetStream, IRawConnection
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.net_stream import NetStream
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.exceptions import HandshakeFailure
from libp2p.security.noise.patterns import IPattern, PatternXX
from libp2p.security.noise.pb import noise_pb2
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from multiaddr import Multiaddr  # type: ignore[import-untyped]  # the package ships no types
from noise.connection import NoiseConnection  # type: ignore[import-untyped]

from betar_tui.concurrency import FastLock
from betar_tui.errors import NetworkError
from betar_tui.p2p.addresses import reachable
from betar_tui.p2p.guard import Penalize, guarded, quiet_reset
from betar_tui.p2p.keys import is_sane
from betar_tui.p2p.liveness import Upgrader, abandon
from betar_tui.p2p.negotiation import Negotiator
from betar_tui.p2p.transport import Transport
from betar_tui.p2p.types import NetworkConfig

log = logging.getLogger(__name__)

NEGOTIATE_TIMEOUT = 10.0
ADDRS_KEPT = 5.0
"""Seconds for which the own addresses are taken to be the same."""


class _NoConnector(AutoConnector):
    """Connects to nobody; see the module."""

    async def maybe_connect(self) -> None:
        return


class _CarefulXX(PatternXX):
    """The Noise handshake; whoever comes with a key that may not be parsed is refused before it is.

    py-libp2p 0.8.1: the key is parsed before the signature that proves it, for anybody who opens a TCP connection.
    """

    def create_noise_state(self, prologue: bytes | None = None) -> NoiseConnection:
        state = super().create_noise_state(prologue)
        read = state.read_message

        def read_message(data: bytes) -> bytes:
            payload = bytes(read(data))
            # Nonsense is left to the library, which reads it the same way and refuses it.
            with suppress(ProtobufError):
                key = noise_pb2.NoiseHandshakePayload.FromString(payload).identity_key
                if key and not is_sane(key):
                    raise HandshakeFailure(f"an identity key of {len(key)} bytes of no form that is taken here")
            return payload

        state.read_message = read_message
        return state


class _CarefulNoise(NoiseTransport):
    """Noise with that handshake."""

    def get_pattern(self) -> IPattern:
        return _CarefulXX(self.local_peer, self.libp2p_privkey, self.noise_privkey)


class PeerSwarm(Swarm):
    """The swarm with its inbound slots freed, its own dialling switched off and inbound streams held until it lists their
    connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._unlisted: WeakKeyDictionary[INetConn, trio.Event] = WeakKeyDictionary()

    async def dial_peer(self, peer_id: ID) -> list[INetConn]:
        """Never dials: only returns live connections. Raises SwarmException when there is none.

        py-libp2p 0.8.1: opening a stream to a peer that has just gone dials it, with a 250 ms head start, at most two
        of its addresses, loopback left out, and a 60 s ban after a failure.
        """
        alive = [connection for connection in self.get_connections(peer_id) if not connection.is_closed]
        if not alive:
            raise SwarmException(f"not connected to {peer_id}")
        return alive

    async def notify_opened_stream(self, stream: INetStream) -> None:
        """A stream is there, and nobody uses it yet: an inbound one is handled when this returns.

        py-libp2p 0.8.1: a connection takes streams before the swarm lists it, so that what a peer asks at once seems to come
        from nobody and is lost. And each listener is told in a task of its own, and of the end again, for every block that
        a Go peer sends; none does anything then.
        """
        if isinstance(stream, NetStream):
            stream._state_lock = cast(trio.Lock, FastLock())
            connection = stream.swarm_conn
            # One that is closed is not listed any more, and nobody would tell of it again.
            if connection is None or connection.is_closed:
                return
            if connection not in self.connections.get(connection.muxed_conn.peer_id, ()):
                await self._unlisted.setdefault(connection, trio.Event()).wait()

    async def notify_connected(self, conn: INetConn) -> None:
        self._tell(conn)
        await super().notify_connected(conn)

    def remove_conn(self, swarm_conn: SwarmConn) -> None:
        """The same; whoever waits for it to be listed waits in vain."""
        self._tell(swarm_conn)
        super().remove_conn(swarm_conn)

    def _tell(self, connection: INetConn) -> None:
        if (event := self._unlisted.pop(connection, None)) is not None:
            event.set()

    async def _notify(self, method: str, *args: Any) -> None:
        if method != "closed_stream":  # see `notify_opened_stream`
            await super()._notify(method, *args)

    async def upgrade_inbound_raw_conn(self, raw_conn: IRawConnection, maddr: Multiaddr) -> Any:
        """Upgrade, then stay until the connection ends.

        py-libp2p 0.8.1: the slot of an accepted connection is given back only when the whole host stops; after
        `max_connections` connections in its life a peer accepts no more. Raising when it ends gives the slot back.
        """
        muxed = await super().upgrade_inbound_raw_conn(raw_conn, maddr)
        if isinstance(muxed, Yamux):
            await muxed.event_closed.wait()
            raise SwarmException("the connection has ended")
        return muxed


class PeerHost(BasicHost):
    """The host with its stream handlers contained and its own identify switched off (`identify.py` does it)."""

    transport: Transport
    upgrader: Upgrader
    _addrs: list[Multiaddr]
    _addr_texts: tuple[str, ...]
    _addrs_until = 0.0

    def get_addrs(self) -> list[Multiaddr]:
        """Where this peer can be dialled, as it was a moment ago.

        py-libp2p 0.8.1: it asks for this with every message that is sent or passed on, to sign a record that we leave
        out; looking at the machine's interfaces each time would take longer than the message.
        """
        now = trio.current_time()
        if now >= self._addrs_until:
            self._addrs, self._addrs_until = super().get_addrs(), now + ADDRS_KEPT
            self._addr_texts = tuple(map(str, self._addrs))
        return self._addrs

    def addr_texts(self) -> tuple[str, ...]:
        """The same as text; making it takes a tenth of what a publish takes."""
        self.get_addrs()
        return self._addr_texts

    def forget_addrs(self) -> None:
        """They are others now."""
        self._addrs_until = 0.0

    def contain(self, penalize: Penalize, max_streams_per_peer: int) -> None:
        """Put the guard around every inbound stream, from protocol negotiation on."""
        self._streams: dict[ID, int] = {}
        self._max_streams = max_streams_per_peer
        self._penalize = penalize
        self.upgrader.penalize = penalize
        handler: Callable[[INetStream], Awaitable[None]] = guarded(self._swarm_stream_handler, penalize)

        async def counted(stream: INetStream) -> None:
            peer = stream.muxed_conn.peer_id
            if self._streams.get(peer, 0) >= self._max_streams:
                penalize(str(peer), "too many open streams")
                await quiet_reset(stream)
                return
            self._streams[peer] = self._streams.get(peer, 0) + 1
            try:
                await handler(stream)
            finally:
                self._streams[peer] -= 1
                if not self._streams[peer]:
                    del self._streams[peer]

        async def handled(stream: INetStream) -> None:
            try:
                await counted(stream)
            finally:
                abandon(stream)

        self.get_network().set_stream_handler(handled)

    def _schedule_identify(self, peer_id: ID, *, reason: str) -> None:
        return


def build_host(config: NetworkConfig) -> PeerHost:
    """A host that does not run yet. The same seed gives the same peer id."""
    key_pair = create_new_key_pair(config.seed)
    upgrader = Upgrader(
        {NOISE: _CarefulNoise(key_pair, noise_privkey=create_noise_key_pair().private_key)},
        {TProtocol(YAMUX): Yamux},
    )
    upgrader.timing = config.timing
    upgrader.penalize = lambda peer, what: None
    transport = Transport()
    peerstore = PeerStore()
    own_id = generate_peer_id_from(key_pair)
    peerstore.add_key_pair(own_id, key_pair)
    swarm = PeerSwarm(
        own_id,
        peerstore,
        upgrader,
        transports=[transport],
        retry_config=RetryConfig(max_retries=0),
        connection_config=ConnectionConfig(
            max_connections=config.max_connections,
            min_connections=0,
            low_watermark=0,
            high_watermark=config.max_connections,
            outbound_upgrade_timeout=config.timing.dial_timeout,
        ),
    )
    swarm.auto_connector = _NoConnector(swarm)
    host = PeerHost(swarm, addrs_factory=_advertised, disable_identify_address_discovery=True)
    host.transport = transport
    host.upgrader = upgrader
    host.multiselect = Negotiator(host.multiselect.handlers)
    return host


def _advertised(bound: list[Multiaddr]) -> list[Multiaddr]:
    return [Multiaddr(address) for address in reachable(bound)]


async def listen(host: PeerHost, addresses: tuple[str, ...], explicit: bool) -> str:
    """Listen on every address. Returns "" or a sentence about a port that was taken and replaced by a free one.

    Raises NetworkError when an address cannot be had, and no other port may be taken instead.
    """
    moved = ""
    for address in addresses:
        refusal = await _try_listen(host, address)
        if not refusal:
            continue
        if not explicit:
            parts = address.split("/")
            free = "/".join([*parts[:4], "0", *parts[5:]])
            if not await _try_listen(host, free):
                moved = f"{address} is in use ({refusal}); a free port was taken instead"
                log.warning("%s", moved)
                continue
        raise NetworkError(
            f"Cannot listen on {address}: {refusal}. Stop what uses it, or choose another address "
            "(port 0 takes any free port)."
        )
    host.forget_addrs()
    return moved


async def _try_listen(host: PeerHost, address: str) -> str:
    swarm: Any = host.get_network()
    transport: Transport = host.transport
    transport.refusal = ""
    try:
        parsed = Multiaddr(address)
        if await swarm.listen(parsed):
            return ""
    except Exception as error:
        return f"not an address to listen on ({error})"
    return transport.refusal or "only TCP addresses are supported"


async def open_stream(host: PeerHost, peer: ID, protocols: list[str], timeout: float = NEGOTIATE_TIMEOUT) -> INetStream:
    """A new stream to a connected peer that speaks the first possible of `protocols`.

    Raises TooSlowError, or the library's errors, of which `guard.ENDED` and StreamFailure say that it cannot be had.
    """
    with trio.fail_after(timeout):
        return await host.new_stream(peer, [TProtocol(protocol) for protocol in protocols])
