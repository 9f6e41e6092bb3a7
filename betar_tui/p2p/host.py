"""The libp2p host, put together part by part instead of with the library's `new_host`.

py-libp2p 0.8.1: `new_host` also offers the plaintext and secio "security" protocols, so that anybody may claim any peer
id; here it is noise over TCP, with yamux, and nothing else. It also runs a connector that dials every peer that the
peerstore has heard of; here only `dialer.py` dials (docs/py-libp2p.md#connections)."""

import errno
import logging
import os
from typing import Any

import trio
from libp2p import generate_peer_id_from
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from multiaddr import Multiaddr

from betar_tui.errors import ListenError
from betar_tui.p2p.adaptations.host import PeerHost
from betar_tui.p2p.adaptations.negotiation import Negotiator
from betar_tui.p2p.adaptations.noise import CheckedNoise
from betar_tui.p2p.adaptations.swarm import PeerSwarm
from betar_tui.p2p.adaptations.transport import Transport
from betar_tui.p2p.adaptations.yamux import Upgrader
from betar_tui.p2p.addresses import reachable
from betar_tui.p2p.types import NetworkConfig

log = logging.getLogger(__name__)

NEGOTIATE_TIMEOUT = 10.0
"""Seconds for a peer to agree on the protocol of a stream."""


def build_host(config: NetworkConfig) -> PeerHost:
    """A host that is not started yet. The same seed gives the same peer id."""
    key_pair = create_new_key_pair(config.seed)
    # The Noise key is new at each start: a process that has another one with this peer's id is a duplicate.
    noise = CheckedNoise(key_pair, noise_privkey=create_noise_key_pair().private_key)
    upgrader = Upgrader({NOISE: noise}, {TProtocol(YAMUX): Yamux})
    upgrader.timing = config.timing
    upgrader.penalize = lambda peer, reason: None
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
            inbound_upgrade_timeout=config.timing.handshake_timeout,
            outbound_upgrade_timeout=config.timing.dial_timeout,
        ),
    )
    host = PeerHost(swarm, addrs_factory=_advertised, disable_identify_address_discovery=True)
    host.transport = transport
    host.upgrader = upgrader
    host.noise = noise
    noise.turn = swarm.door.turn
    host.multiselect = Negotiator(host.multiselect.handlers)
    return host


def _advertised(bound: list[Multiaddr]) -> list[Multiaddr]:
    return [Multiaddr(address) for address in reachable(bound)]


async def listen(host: PeerHost, addresses: tuple[str, ...], explicit: bool) -> str:
    """Listen on every address. Returns "" or a sentence about a port in use that was replaced by a free one.

    Raises ListenError when an address cannot be used and must not be replaced."""
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
        raise ListenError(f"Cannot listen on {address}: {refusal}. {_advice(refusal)}", address, refusal)
    host.forget_addrs()
    return moved


def _advice(refusal: str) -> str:
    """What mends the refusal of an address."""
    if os.strerror(errno.EADDRNOTAVAIL) in refusal:
        return "This machine does not have it: choose another, such as /ip4/0.0.0.0/tcp/4001."
    if os.strerror(errno.EACCES) in refusal:
        return "Choose a port above 1023."
    return "Stop what uses it, or choose another address (port 0 takes any free port)."


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

    Raises TooSlowError or the library's errors; `guard.ENDED` and StreamFailure mean that the peer does not offer it.
    """
    with trio.fail_after(timeout):
        return await host.new_stream(peer, [TProtocol(protocol) for protocol in protocols])
