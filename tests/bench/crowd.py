"""A crowd of honest sellers behind one neighbour: each listing is a delta of its own, announced with its block inside a
broadcast that its seller has signed. Go, which does not read the blocks in broadcasts, gets them over Bitswap."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX
from nacl.signing import SigningKey

from betar_tui.ipld import cid
from betar_tui.market.provenance import peer_id_of
from betar_tui.p2p.frames import frame
from betar_tui.p2p.keys import ED25519, peer_of
from betar_tui.p2p.network import Network
from betar_tui.p2p.opening import open_network
from betar_tui.p2p.types import MARKET_TOPIC, NetworkConfig
from betar_tui.replica import Head, delta, encode_broadcast, keys
from betar_tui.replica.node import encode_node
from tests.peers.harness import eventually

SELLERS = 300
DESCRIPTION = "x" * 200


class Seller:
    """A seller's key. It signs broadcasts only: a signature in the listing is another matter."""

    def __init__(self) -> None:
        self._key = SigningKey(os.urandom(32))
        public = bytes(self._key.verify_key)
        self.peer_id = peer_id_of(public)
        self._id = peer_of(ED25519 + public)

    def broadcast(self, payload: bytes) -> bytes:
        """A gossip RPC, with its length before it, that publishes `payload` as this seller."""
        message = rpc_pb2.Message(from_id=self._id, data=payload, seqno=os.urandom(8), topicIDs=[MARKET_TOPIC])
        message.signature = self._key.sign(PUBSUB_SIGNING_PREFIX.encode() + message.SerializeToString()).signature
        return frame(rpc_pb2.RPC(publish=[message]).SerializeToString())


@dataclass(frozen=True, slots=True)
class Offer:
    """One listing: `mark` is a text that only its name contains, `rpc` announces it."""

    mark: str
    key: str
    block: bytes
    rpc: bytes


def offers(word: str) -> Iterator[Offer]:
    """Offers without end, each built on the one before, of the sellers in turn. They are marked with `word` and a number."""
    sellers = [Seller() for _ in range(SELLERS)]
    links: tuple[bytes, ...] = ()
    number = 0
    while True:
        seller, mark = sellers[number % SELLERS], f"{word}-{number}-"
        number += 1
        block = encode_node(links, delta.encode([_listing(seller.peer_id, mark)], [], number))
        links = (cid.of(block),)
        rpc = seller.broadcast(encode_broadcast([Head(links[0], block)]))
        yield Offer(mark, keys.of_agent(f"{seller.peer_id}/{mark}"), block, rpc)


def _listing(seller: str, mark: str) -> tuple[str, bytes]:
    listing = {
        "id": f"{seller}/{mark}",
        "name": mark,
        "price": 0.5,
        "metadata": {"description": DESCRIPTION},
        "seller_id": seller,
        "addrs": [],
        "protocols": [],
        "timestamp": int(time.time()),
    }
    return keys.of_agent(f"{seller}/{mark}"), json.dumps(listing).encode()


class _Shelf:
    """The blocks that the crowd serves over Bitswap."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}

    async def blocks(self, cids: Sequence[bytes]) -> Mapping[bytes, bytes | None]:
        return {each: self.held.get(each) for each in cids}


class Crowd:
    """The neighbour that all of the sellers are behind. It has one gossip stream: Go resets a second one."""

    def __init__(self, network: Network, peer: str, shelf: _Shelf) -> None:
        self._pubsub = network._gossip.pubsub
        self._stream = self._pubsub.peers[ID.from_base58(peer)]
        self._shelf = shelf

    def keep(self, some: Sequence[Offer]) -> None:
        """Serve the blocks of these over Bitswap."""
        self._shelf.held.update((cid.of(offer.block), offer.block) for offer in some)

    async def say_all(self, some: Sequence[Offer], rate: float) -> dict[str, float]:
        """Announce these at a steady rate a second. Returns when each was due, by its mark, in Unix seconds."""
        began, start = trio.current_time(), time.time()
        for number, offer in enumerate(some):
            await trio.sleep_until(began + number / rate)
            await self._pubsub._write(self._stream, offer.rpc)
        return {offer.mark: start + number / rate for number, offer in enumerate(some)}


@asynccontextmanager
async def open_crowd(address: str) -> AsyncIterator[Crowd]:
    """A crowd that is a neighbour of the peer at `address` on the topic."""
    shelf = _Shelf()
    config = NetworkConfig(seed=os.urandom(32), listen=("/ip4/127.0.0.1/tcp/0",))
    async with open_network(config, shelf) as network, trio.open_nursery() as nursery:
        nursery.start_soon(_drain, network.events)
        nursery.start_soon(_drain, network.blocks)
        await network.connect(address)
        peer = address.rsplit("/p2p/", 1)[1]
        await eventually(lambda: peer in network.topic_peers(), what="the peer on the topic")
        yield Crowd(network, peer, shelf)
        nursery.cancel_scope.cancel()


async def _drain(channel: trio.MemoryReceiveChannel[object]) -> None:
    async for _ in channel:
        pass
