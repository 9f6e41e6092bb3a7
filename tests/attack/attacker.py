"""The hostile peer: a process that joins the market with the product's own network and then does as it likes.

`python -m tests.attack.attacker NAME SECONDS CONNECTIONS KNOWN ADDRESS` prints `ready` when it is connected, attacks for so
many seconds, and prints one JSON line about itself. KNOWN is a file with what the lab has published, see `Known`."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio
from libp2p.pubsub.pb import rpc_pb2
from nacl.signing import SigningKey

from betar_tui.errors import NetworkError
from betar_tui.ipld import cid
from betar_tui.p2p.frames import frame
from betar_tui.p2p.keys import ED25519
from betar_tui.p2p.network import Network
from betar_tui.p2p.opening import open_network
from betar_tui.p2p.types import MARKET_TOPIC, NetworkConfig, ReceivedBroadcast, Stream
from betar_tui.replica import Head, encode_broadcast

GOSSIP = "/meshsub/1.1.0"
JOIN_TIME = 1.5
"""Seconds for a connected attacker to become a member of the topic."""


@dataclass(frozen=True, slots=True)
class Known:
    """A listing of the attacked seller: its id, its stored JSON, the CID of its block and its height."""

    id: str
    raw: str
    cid: str
    height: int


@dataclass(slots=True)
class Shelf:
    """The blocks that an attacker serves; `asked` counts the CIDs that it was asked for."""

    held: dict[bytes, bytes] = field(default_factory=dict)
    asked: int = 0

    def put(self, block: bytes) -> bytes:
        """Hold a block; its CID."""
        target = cid.of(block)
        self.held[target] = block
        return target

    async def blocks(self, cids: Sequence[bytes]) -> Mapping[bytes, bytes | None]:
        self.asked += len(cids)
        return {each: self.held.get(each) for each in cids}


@dataclass(slots=True)
class Attacker:
    """One hostile process with its networks. `sent` counts the bytes of what it sent, `parts` of how many things."""

    target: str
    seconds: float
    known: tuple[Known, ...]
    shelf: Shelf = field(default_factory=Shelf)
    networks: list[Network] = field(default_factory=list)
    seeds: list[bytes] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    began: float = 0.0
    sent: int = 0
    parts: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def victim(self) -> str:
        """The attacked peer's id."""
        return self.target.rpartition("/p2p/")[2]

    @property
    def left(self) -> float:
        """Seconds left to attack."""
        return self.began + self.seconds - time.monotonic()

    def count(self, size: int, parts: int = 1) -> None:
        """Note that so many bytes were sent."""
        self.sent += size
        self.parts += parts

    async def gossip(self, network: Network) -> Stream:
        """A gossip stream of one's own to the attacked peer. Raises NetworkError."""
        return await network.open_stream(self.victim, GOSSIP)

    async def announce(self, *blocks: bytes, inline: bool) -> None:
        """Serve blocks and broadcast them as heads, `inline` ones within the broadcast."""
        for block in blocks:
            self.shelf.put(block)
        payload = encode_broadcast([Head(cid.of(block), block if inline else None) for block in blocks])
        self.count(sum(map(len, blocks)), len(blocks))
        await self.networks[0].broadcast(payload)

    async def rest(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the attack."""
        await trio.sleep(max(0.0, min(seconds, self.left)))


Attack = Callable[[Attacker], Awaitable[None]]


def message(seed: bytes, payload: bytes) -> rpc_pb2.Message:
    """A broadcast that the owner of a seed has signed."""
    key = SigningKey(seed)
    made = rpc_pb2.Message(
        from_id=b"\x00\x24" + ED25519 + bytes(key.verify_key),
        data=payload,
        seqno=os.urandom(8),
        topicIDs=[MARKET_TOPIC],
    )
    made.signature = key.sign(b"libp2p-pubsub:" + made.SerializeToString()).signature
    return made


def rpc(
    subscriptions: Iterable[rpc_pb2.RPC.SubOpts] = (),
    publish: Iterable[rpc_pb2.Message] = (),
    control: rpc_pb2.ControlMessage | None = None,
) -> bytes:
    """A framed gossip RPC of these parts."""
    return frame(rpc_pb2.RPC(subscriptions=subscriptions, publish=publish, control=control).SerializeToString())


@contextlib.asynccontextmanager
async def joined(attacker: Attacker) -> AsyncIterator[None]:
    """One more network of the attacker, connected to the attacked peer."""
    seed = os.urandom(32)
    settings = NetworkConfig(seed=seed, listen=("/ip4/127.0.0.1/tcp/0",), misbehaviour_budget=10**9)
    async with open_network(settings, attacker.shelf) as network, trio.open_nursery() as nursery:

        async def follow() -> None:
            async for event in network.events:
                if isinstance(event, ReceivedBroadcast) and event.author == attacker.victim:
                    attacker.heard.append(event.payload)

        async def drain() -> None:
            async for _ in network.blocks:
                pass

        nursery.start_soon(follow)
        nursery.start_soon(drain)
        await network.connect(attacker.target)
        attacker.networks.append(network)
        attacker.seeds.append(seed)
        yield
        nursery.cancel_scope.cancel()


async def attack(name: str, attacker: Attacker, connections: int) -> None:
    """Connect, attack, and say how it went."""
    module, _, function = name.partition(".")
    act: Attack = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(connections):
            await stack.enter_async_context(joined(attacker))
        await trio.sleep(JOIN_TIME if connections else 0)
        print("ready", flush=True)
        attacker.began = time.monotonic()
        try:
            with trio.move_on_after(attacker.seconds + 3):
                await act(attacker)
        except NetworkError as error:
            attacker.remarks.append(f"cut off after {time.monotonic() - attacker.began:.1f} s: {str(error)[:60]}")
        await attacker.rest(attacker.seconds)
        still = sum(len(network.connections()) for network in attacker.networks)
        said = {
            "bytes": attacker.sent,
            "parts": attacker.parts,
            "connected": still,
            "asked": attacker.shelf.asked,
            "remarks": attacker.remarks,
        }
        print(json.dumps(said), flush=True)


def main() -> None:
    name, seconds, connections, known, address = sys.argv[1:]
    listings = tuple(Known(**each) for each in json.loads(Path(known).read_text()))
    trio.run(attack, name, Attacker(address, float(seconds), listings), int(connections))


if __name__ == "__main__":
    main()
