"""Configuration, events and protocols that the users of this room need.

Nothing here imports libp2p: callers may use it without going online."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from betar_tui import __version__
from betar_tui.p2p.misbehaviour import Ban

MARKET_TOPIC = "betar/marketplace/crdt"


@dataclass(frozen=True, slots=True)
class Timing:
    """Every interval of the room, in seconds; tests shorten them.

    A connection over which nothing has come back for `silence`, whatever was sent, is probed; `probe_timeout` bounds that,
    as it does the check of an older connection when a new one to the same peer appears. If a probe fails, the connection
    is closed, on a slow line after twice `ping_timeout` at most. Who connects has `handshake_timeout` to say who it is.
    After `stall` without an answer to a wanted block other peers are asked. `nudges` are the pauses before the Bitswap
    messages to a peer that joined the topic or got a further connection (see `hearing`)."""

    ping_interval: float = 5.0
    silence: float = 4.0
    ping_timeout: float = 12.0
    probe_timeout: float = 2.0
    hello_interval: float = 5.0
    heartbeat: float = 1.0
    dial_timeout: float = 5.0
    dial_stagger: float = 0.25
    handshake_timeout: float = 10.0
    redial_min: float = 1.0
    redial_max: float = 60.0
    identify_timeout: float = 5.0
    stall: float = 1.0
    retry_min: float = 2.0
    retry_max: float = 30.0
    close_timeout: float = 1.5
    ban_time: float = 60.0
    nudges: tuple[float, ...] = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """How to open the network.

    `seed` is the 32-byte Ed25519 seed of the peer key. `listen` are multiaddrs to listen on. When one of them is taken,
    `listen_explicit` decides: True refuses to start, False takes a free port instead. `bootstrap` are multiaddrs that
    end in /p2p/<peer id>; `known_peers` pairs a peer id with its multiaddrs. Both are dialled at start and redialled
    when lost. `mdns`, `dht` and `upnp` look for peers and for a way through the router; `dht_server` says whether this
    peer answers in the DHT, None that it does while others can reach it. `dht_seeds` are DHT servers that are asked
    while no other is known, and are not kept connected. More than `misbehaviour_budget` misbehaviours within
    `misbehaviour_window` seconds ban a peer for `timing.ban_time` seconds, longer if it recurs; `bans` are those of earlier
    runs. With the peers in `blocked` this one has nothing to do."""

    seed: bytes
    listen: tuple[str, ...] = ("/ip4/0.0.0.0/tcp/4001",)
    listen_explicit: bool = False
    bootstrap: tuple[str, ...] = ()
    known_peers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    mdns: bool = False
    dht: bool = False
    dht_server: bool | None = None
    dht_seeds: tuple[str, ...] = ()
    upnp: bool = False
    topic: str = MARKET_TOPIC
    agent_version: str = f"betar-tui/{__version__}"
    timing: Timing = field(default_factory=Timing)
    misbehaviour_budget: int = 20
    misbehaviour_window: float = 60.0
    bans: tuple[Ban, ...] = ()
    blocked: tuple[str, ...] = ()
    max_connections: int = 256
    max_streams_per_peer: int = 128


class Stream(Protocol):
    """A stream of bytes to one peer. Every method raises NetworkError once the peer or its connection has ended it."""

    peer: str

    async def read(self, n: int) -> bytes:
        """At most `n` bytes; b"" at the end."""

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""

    async def close(self) -> None:
        """End this side; the other side may still send."""

    async def reset(self) -> None:
        """End both sides at once."""


class BlockSource(Protocol):
    """The store of the blocks that Bitswap serves."""

    async def blocks(self, cids: Sequence[bytes]) -> Mapping[bytes, bytes | None]:
        """Blocks by binary CID, None for one that is not available. Some may be left out, but not all, to be asked for
        again: together they would be large."""


LARGE_BLOCK = 64 << 10
"""Number of bytes from which on a block is a large one: those wait apart from others, since merging one takes up to
a second."""


@dataclass(frozen=True, slots=True)
class ReceivedBlock:
    """A wanted block, verified against its binary CID; `peer` sent it."""

    cid: bytes
    data: bytes
    peer: str


@dataclass(frozen=True, slots=True)
class ReceivedBroadcast:
    """A signed message on the topic. `peer` is the neighbour it came from, `author` the peer that signed it, `payload` the
    value that `accept` decoded it to, without one the bytes themselves."""

    peer: str
    author: str
    payload: Any


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """A connected peer subscribed to the topic."""

    peer: str


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """A peer has left the topic: it unsubscribed or its connection ended."""

    peer: str


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A peer is connected and identified.

    `addrs` are its listen multiaddrs, each ending in /p2p/<peer id>, the one that was dialled first; empty when none of
    them can be dialled."""

    peer: str
    addrs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """The last connection to a peer ended."""

    peer: str


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """A peer broke a rule; `reason` names it, for the log."""

    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """Another running peer uses this peer's key, or, when `over`, does so no longer; `text` says it to a person."""

    text: str
    over: bool


NetworkEvent = ReceivedBroadcast | PeerJoined | PeerLeft | PeerConnected | PeerDisconnected | Misbehaviour | KeyInUse
