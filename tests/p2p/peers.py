"""Real networks over loopback for the tests of this folder, and conditions to wait for."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeVar

import trio
from libp2p.abc import INetStream

from betar_tui.errors import NetworkError
from betar_tui.p2p.addresses import peer_id
from betar_tui.p2p.host import open_stream
from betar_tui.p2p.network import Network
from betar_tui.p2p.opening import open_network
from betar_tui.p2p.types import NetworkConfig, NetworkEvent, ReceivedBlock, Timing

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)
SECONDS = 10.0  # longest wait for a condition; none of them takes more than one when things are right
QUICK = Timing(
    ping_interval=0.2,
    ping_timeout=0.5,
    probe_timeout=0.4,
    hello_interval=0.3,
    heartbeat=0.3,
    dial_timeout=2.0,
    redial_min=0.1,
    redial_max=0.5,
    stall=0.3,
    retry_min=0.3,
    retry_max=1.0,
)

PATIENT = replace(QUICK, ping_interval=30.0, ping_timeout=30.0, probe_timeout=30.0)
"""For what keeps the loop busy: on a machine under load a ping may take longer than those of `QUICK`, whose connections
would then be closed."""

T = TypeVar("T")


def cid_for(data: bytes, codec: int = 0x70) -> bytes:
    """The binary CIDv1 of `data`."""
    return bytes((1, codec, 0x12, 0x20)) + sha256(data).digest()


class Shelf:
    """A block source in memory."""

    def __init__(self) -> None:
        self.stored: dict[bytes, bytes] = {}
        self.asked: list[bytes] = []

    def put(self, data: bytes) -> bytes:
        """Store `data`. Returns its CID."""
        cid = cid_for(data)
        self.stored[cid] = data
        return cid

    async def blocks(self, cids: Sequence[bytes]) -> Mapping[bytes, bytes | None]:
        self.asked.extend(cids)
        return {cid: self.stored.get(cid) for cid in cids}


class Peer:
    """A network, its shelf, and everything it has reported so far."""

    def __init__(self, network: Network, shelf: Shelf) -> None:
        self.network = network
        self.shelf = shelf
        self.seen: list[NetworkEvent] = []

    @property
    def id(self) -> str:
        return self.network.peer_id

    async def follow(self) -> None:
        async for event in self.network.events:
            self.seen.append(event)

    def of(self, kind: type[T]) -> list[T]:
        """The events of one kind, in order."""
        return [event for event in self.seen if isinstance(event, kind)]

    async def fetch(self, cids: Sequence[bytes], ask: str | None = None) -> dict[bytes, bytes]:
        """Want blocks and wait for all of them."""
        self.network.want(cids, ask)
        got: dict[bytes, bytes] = {}

        async def take(blocks: AsyncIterable[ReceivedBlock]) -> None:
            async for block in blocks:
                got[block.cid] = block.data
                if len(got) == len(set(cids)):
                    taking.cancel_scope.cancel()

        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as taking:
                taking.start_soon(take, self.network.blocks)
                taking.start_soon(take, self.network.large_blocks)
        return got


def config(name: str, **changes: Any) -> NetworkConfig:
    """The configuration of the test peer `name`: the same name has the same key."""
    plain = NetworkConfig(seed=sha256(name.encode()).digest(), listen=LOOPBACK, timing=QUICK)
    return replace(plain, **changes)


@asynccontextmanager
async def peer(
    name: str, follow: bool = True, accept: Callable[[bytes], bool] | None = None, **changes: Any
) -> AsyncIterator[Peer]:
    """One running peer whose events are followed, unless they are not to be read."""
    shelf = Shelf()

    def decode(payload: bytes) -> tuple[object, int] | None:
        return (payload, len(payload)) if accept is None or accept(payload) else None

    async with open_network(config(name, **changes), shelf, decode) as network, trio.open_nursery() as nursery:
        one = Peer(network, shelf)
        if follow:
            nursery.start_soon(one.follow)
        yield one
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def pair(**changes: Any) -> AsyncIterator[tuple[Peer, Peer]]:
    """Two peers that are connected and see each other on the topic."""
    async with peer("alice", **changes) as alice, peer("bob", **changes) as bob:
        await meet(alice, bob)
        yield alice, bob


async def meet(one: Peer, other: Peer) -> None:
    """Connect two peers and wait until each sees the other on the topic."""
    await one.network.connect(other.network.addrs[0])
    await until(lambda: other.id in one.network.topic_peers() and one.id in other.network.topic_peers())


def resident() -> int:
    """Bytes of memory that this process uses; for tests that allow megabytes of difference."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def raw_stream(one: Peer, other: str, protocol: str) -> INetStream:
    """A stream of libp2p's own, whose errors are the library's. Raises NetworkError when it cannot be had."""
    try:
        return await open_stream(one.network._host, peer_id(other), [protocol])
    except Exception as error:
        raise NetworkError(f"no stream of {protocol} to {other}") from error


class Lived:
    """Seconds as this process lived them: on a machine under load fewer than a clock counts, and never more."""

    STEP = 0.005

    def __init__(self) -> None:
        self.seconds = 0.0

    async def count(self) -> None:
        """Count until cancelled."""
        while True:
            await trio.sleep(self.STEP)
            self.seconds += self.STEP


@asynccontextmanager
async def lived() -> AsyncIterator[Lived]:
    """Count the seconds of a block."""
    found = Lived()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(found.count)
        try:
            yield found
        finally:
            nursery.cancel_scope.cancel()


async def until(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until `condition` holds; fails after `seconds`."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  # conditions are about state without a signal
            await trio.sleep(0.01)
