"""Protocols that are a conversation, over one connection: what a stranger says, in any order, breaks nothing.

Each is given messages that fit together (blocks that were asked for, ids that were seen) and mutations of them. Nothing may
be logged as a defect, no service may fail, and after all of it an honest peer is still served."""

from __future__ import annotations

import json
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from betar_tui.control.server import serve_control
from betar_tui.control.wire import line, message
from betar_tui.errors import BetarError, DecodeError, NetworkError, StreamEndedError
from betar_tui.ipld import car, cid
from betar_tui.ipld.protobuf import write_bytes
from betar_tui.market.marketplace import ListingDraft
from betar_tui.p2p.adaptations.pubsub import _parse
from betar_tui.p2p.bitswap import messages as bitswap
from betar_tui.p2p.frames import frame
from betar_tui.peer import open_peer
from betar_tui.replica import delta
from betar_tui.replica.node import encode_node
from betar_tui.sync.dagsync.client import DagSyncClient
from betar_tui.sync.dagsync.messages import Request, Trailer, encode_request, encode_trailer
from betar_tui.sync.dagsync.server import DagSyncServer
from tests.fuzz import corpus
from tests.fuzz.mutation import Form, Mutator
from tests.p2p.peers import Peer, meet, peer
from tests.peers.harness import config

BATCH = 50
"""Messages that are written at once."""
SECONDS = 30.0
"""Longest wait for an honest peer afterwards."""


@dataclass(slots=True)
class Said:
    """What came of a conversation."""

    name: str
    messages: int = 0
    streams: int = 0
    seconds: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        return not self.failures

    def text(self) -> str:
        """One line, and one for each kind of failure."""
        speed = self.messages / self.seconds if self.seconds else 0
        lines = [
            f"{self.name:<14} {self.messages:>9,} messages {speed:>7,.0f}/s on {self.streams:,} streams"
            f"   {sum(self.failures.values())} defects"
        ]
        return "\n".join([*lines, *(f"    {count} times {what}" for what, count in self.failures.items())])


class _Defects(logging.Handler):
    """Counts what the program logs as its own fault."""

    def __init__(self, failures: Counter[str]) -> None:
        super().__init__(logging.ERROR)
        self._failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        error = f" {record.exc_info[1]!r}" if record.exc_info else ""
        self._failures[f"{record.getMessage()[:150]}{error[:150]}"] += 1


@contextmanager
def _watched(said: Said) -> Iterator[None]:
    handler, logger, began = _Defects(said.failures), logging.getLogger("betar_tui"), time.perf_counter()
    logger.addHandler(handler)
    try:
        yield
    except Exception as error:
        said.failures[f"raised {error!r:.300}"] += 1
    finally:
        logger.removeHandler(handler)
        said.seconds = time.perf_counter() - began


def _mostly_read(mutator: Mutator, decode: Callable[[bytes], object]) -> bytes:
    """A mutation that can be decoded, but for one in 200: a stream ends with the first that cannot, and with it those
    behind."""
    data = mutator.small()
    for _ in range(0 if mutator.random.random() < 0.005 else 30):
        try:
            decode(data)
            break
        except BetarError:
            data = mutator.small()
    return data


# Bitswap and gossip, over a real connection


async def bitswap_stream(count: int, seed: int) -> Said:
    """Messages on one Bitswap stream after the other, about blocks that the other side wants, has, or never heard of."""
    said, mutator = Said("bitswap"), Mutator(random.Random(seed), Form.PROTOBUF, corpus.exchanges())

    def make(honest: Peer) -> bytes:
        if mutator.random.random() < 0.5:
            return _mostly_read(mutator, bitswap.decode)
        data = [b"held %d" % mutator.random.randrange(20) for _ in range(3)]
        cids = [honest.shelf.put(data[0]), cid.of_raw(data[1]), cid.of(data[2])]
        honest.network.want(cids[1:])
        flag = mutator.random.random
        entries = [bitswap.WantlistEntry(each, 1, flag() < 0.3, flag() < 0.5, flag() < 0.5) for each in cids]
        blocks = [bitswap.block_for(cids[n], data[n if flag() < 0.8 else 0]) for n in (1, 2) if flag() < 0.5]
        presences = [bitswap.Presence(each, flag() < 0.5) for each in cids[1:]]
        return bitswap.encode(bitswap.Message(entries, flag() < 0.1, blocks, presences))

    await _over_a_connection(said, count, bitswap.V12, make)
    return said


async def gossip_stream(count: int, seed: int) -> Said:
    """RPCs on one gossip stream after the other, with messages that are new, known, forged or about unknown ones."""
    said, mutator = Said("gossip"), Mutator(random.Random(seed), Form.PROTOBUF, corpus.rpcs())

    def make(honest: Peer) -> bytes:
        if mutator.random.random() < 0.8:
            return _mostly_read(mutator, _parse)
        told = corpus.broadcast_message(mutator.random.choice(corpus.broadcasts()), mutator.random.randbytes(8))
        return mutator.random.choice(corpus.rpcs()) + write_bytes(2, told.SerializeToString())

    await _over_a_connection(said, count, "/meshsub/1.1.0", make)
    return said


async def _over_a_connection(said: Said, count: int, protocol: str, make: Callable[[Peer], bytes]) -> None:
    """Messages to a real peer that forgives everything; at its end it still serves."""
    with _watched(said):
        async with (
            peer("honest", misbehaviour_budget=10**9) as honest,
            peer("stranger", misbehaviour_budget=10**9) as stranger,
            trio.open_nursery() as nursery,
        ):
            await meet(stranger, honest)
            nursery.start_soon(_drained, honest)
            while said.messages < count:
                said.streams += 1
                try:
                    await _one_stream(said, count, stranger, honest, protocol, make)
                except (NetworkError, trio.TooSlowError):
                    await _connected(stranger, honest)
            await _still_served(honest)
            for trouble in honest.network.troubles():
                said.failures[f"trouble: {trouble[:200]}"] += 1
            nursery.cancel_scope.cancel()


async def _one_stream(
    said: Said, count: int, stranger: Peer, honest: Peer, protocol: str, make: Callable[[Peer], bytes]
) -> None:
    stream = await stranger.network.open_stream(honest.id, protocol)
    try:
        while said.messages < count:
            batch = [frame(make(honest)) for _ in range(min(BATCH, count - said.messages))]
            said.messages += len(batch)
            with trio.fail_after(SECONDS):
                await stream.write(b"".join(batch))
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(1), suppress(NetworkError):
            await stream.reset()


async def _connected(stranger: Peer, honest: Peer) -> None:
    """Connect them again: on a machine that is busy with other things they may take each other for gone."""
    with trio.fail_after(SECONDS):
        while all(each.peer_id != honest.id for each in stranger.network.connections()):
            with suppress(NetworkError):
                await stranger.network.connect(honest.network.addrs[0])
            await trio.sleep(0.05)


async def _drained(honest: Peer) -> None:
    """Read the blocks that come, and forget the events, of which there are many."""
    async for _ in honest.network.blocks:
        honest.seen.clear()


async def _still_served(honest: Peer) -> None:
    target = honest.shelf.put(b"served to the last")
    async with peer("newcomer") as newcomer:
        await meet(newcomer, honest)
        with trio.fail_after(SECONDS):
            assert (await newcomer.fetch([target], honest.id))[target] == b"served to the last"


# Dagsync, both sides, over a stream in memory


class MemoryStream:
    """A `Stream` that brings what a stranger says, in pieces of any size, and forgets what it is told."""

    peer = "stranger"

    def __init__(self, data: bytes, chance: random.Random) -> None:
        self._data, self._at, self._random = data, 0, chance
        self.ended = False

    async def read(self, n: int) -> bytes:
        await trio.lowlevel.checkpoint()
        end = self._at + min(n, self._random.choice((1, 7, 100, n)))
        data, self._at = self._data[self._at : end], end
        return data

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self.ended:
            raise StreamEndedError("the stream has ended")

    async def close(self) -> None:
        self.ended = True

    async def reset(self) -> None:
        self.ended = True


class AnsweringStream(MemoryStream):
    """One that brings the next answer after each request."""

    def __init__(self, answers: list[bytes], chance: random.Random) -> None:
        super().__init__(b"", chance)
        self._answers = answers

    async def write(self, data: bytes) -> None:
        await super().write(data)
        self._data += self._answers.pop() if self._answers else b""


def history() -> dict[bytes, bytes]:
    """A small DAG by CID, the newest last."""
    blocks: dict[bytes, bytes] = {}
    links: list[bytes] = []
    for height in range(1, 12):
        block = encode_node(links, delta.encode([(f"/x/{height}", b"v")], [], height))
        blocks[cid.of(block)] = block
        links = [*links[-2:], cid.of(block)]
    return blocks


async def dagsync_server(count: int, seed: int) -> Said:
    """Requests to a server, up to twenty on a stream."""
    blocks = history()
    known = [*blocks, cid.of(b"unknown")]
    chance = random.Random(seed)
    mutator = Mutator(chance, Form.CBOR, corpus.requests())
    server = DagSyncServer(lambda cids: {each: blocks.get(each) for each in cids})
    said = Said("dagsync-server")

    def request() -> bytes:
        if chance.random() < 0.3:
            return frame(mutator.small())
        wants, haves = (tuple(chance.choices(known, k=chance.randrange(4))) for _ in range(2))
        limits = chance.choice((0, 1, 3, 1 << 40)), chance.choice((0, 1, 3, 1 << 40))
        return encode_request(Request(wants, haves, *limits))

    with _watched(said):
        while said.messages < count:
            some = [request() for _ in range(chance.randint(1, 20))]
            said.messages, said.streams = said.messages + len(some), said.streams + 1
            try:
                await server.handle(MemoryStream(b"".join(some), chance))
            except* (DecodeError, NetworkError):
                pass
        assert not server._streams, "a stream is still counted"
    return said


async def dagsync_client(count: int, seed: int) -> Said:
    """Answers to a client, whole, cut, mutated, and several on the stream that it keeps."""
    blocks, chance, said = history(), random.Random(seed), Said("dagsync-client")
    newest = list(blocks)[-1]
    whole = car.encode_header([newest]) + b"".join(car.encode_section(*each) for each in reversed(blocks.items()))
    whole += car.END + encode_trailer(Trailer(len(blocks), 1000, True))
    mutator = Mutator(chance, Form.BYTES, (whole, *corpus.archives()))

    async def open_stream(peer_id: str, protocol: str) -> MemoryStream:
        said.streams += 1
        answers = [whole if chance.random() < 0.5 else mutator.small() for _ in range(chance.randint(1, 8))]
        return AnsweringStream(answers, chance)

    client = DagSyncClient(open_stream)
    with _watched(said):
        while said.messages < count:
            said.messages += 1
            try:
                async for piece in client.fetch("stranger", [newest], []):
                    for node in piece.nodes:
                        assert blocks[node.cid] == node.data
            except (DecodeError, NetworkError):
                pass
    return said


# The control socket


async def control_socket(count: int, seed: int) -> Said:
    """Calls on one connection after the other, with ids that exist, at a peer that is offline.

    Whoever can open the socket owns the peer, and may be another version: no call may be a defect of the peer's."""
    chance, said = random.Random(seed), Said("control")
    with _watched(said), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "socket"
        async with open_peer(config(Path(folder) / "data"), network=False) as node, trio.open_nursery() as nursery:
            await nursery.start(serve_control, node, path)
            receipts = await node.publish([ListingDraft(f"n{number}", number) for number in range(5)])
            mutator = Mutator(chance, Form.JSON, _calls([each.id for each in receipts]))
            while said.messages < count:
                said.streams += 1
                async with await trio.open_unix_socket(str(path)) as stream:
                    await _calls_on(stream, said, count, mutator)
            assert (await node.status()).listings >= 0
            nursery.cancel_scope.cancel()
    return said


async def _calls_on(stream: trio.SocketStream, said: Said, count: int, mutator: Mutator) -> None:
    """Calls until the peer hangs up. Those that end it or wait for the network are left out."""
    answers = _lines(stream)
    try:
        while said.messages < count:
            data = _mostly_read(mutator, message).replace(b"\n", b" ")
            if not _answered(data):
                continue
            said.messages += 1
            await stream.send_all(data + b"\n")
            with trio.fail_after(SECONDS):
                answer = b'"part"'
                while b'"part"' in answer[:60]:
                    answer = await anext(answers)
            if b"the running peer failed" in answer:
                said.failures[f"{data[:100]!r}: {answer[:200]!r}"] += 1
    except (trio.BrokenResourceError, StopAsyncIteration):
        return


def _answered(data: bytes) -> bool:
    try:
        method = json.loads(data).get("method")
    except (ValueError, AttributeError, RecursionError):
        return True
    return method not in ("events", "export_car", "import_car", "save_settings", "go_online", "connect")


async def _lines(stream: trio.SocketStream) -> AsyncIterator[bytes]:
    buffer = b""
    while data := await stream.receive_some(1 << 16):
        *whole, buffer = (buffer + data).split(b"\n")
        for each in whole:
            yield each


def _calls(ids: list[str]) -> list[bytes]:
    """A call of each kind with arguments that fit."""
    draft = {"name": "a", "price": 1.5, "description": "d", "metadata": {"a": [1]}, "addrs": [corpus.ADDRESSES[0]]}
    given: list[tuple[str, dict[str, object]]] = [
        ("status", {}),
        ("peers", {}),
        ("heads", {}),
        ("publish", {"drafts": [draft]}),
        ("update", {"listing_id": ids[0], "patch": {"price": 2, "metadata": {"b": None}}}),
        ("delist", {"listing_id": ids[1]}),
        ("show", {"listing_id": ids[2]}),
        ("listings", {"filter": "price<1"}),
        ("listings", {}),
    ]
    return [
        line({"jsonrpc": "2.0", "id": n, "method": name, "params": each})[:-1] for n, (name, each) in enumerate(given)
    ]


Conversation = Callable[[int, int], Awaitable[Said]]
CONVERSATIONS: dict[str, Conversation] = {
    "bitswap-stream": bitswap_stream,
    "gossip-stream": gossip_stream,
    "dagsync-server": dagsync_server,
    "dagsync-client": dagsync_client,
    "control-socket": control_socket,
}
