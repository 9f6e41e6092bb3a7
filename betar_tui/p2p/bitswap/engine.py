"""Bitswap over streams: sends the messages that `wants` and `ledger` decide on, and verifies blocks.

Theory of operation. Each connected peer has a `Link`: one outgoing stream, kept open, written by one task as soon as
there is something to write (entries and answers that are queued meanwhile go into the next message), and one task that
looks up the blocks that the peer asked for. Peers may open any number of streams; each is read until it ends. Answers
are written to the link's own stream, because Go never reads the one it sent its wants on; answers that a peer writes on
that stream, as py-libp2p does, are read as well.

A block counts only if its recomputed CID is wanted. Sending a block that was not wanted lately is a misbehaviour."""

import logging
import os
from collections.abc import Awaitable, Callable, Iterable

import trio
from libp2p.abc import INetStream

from betar_tui.concurrency import Wakeup
from betar_tui.errors import DecodeError
from betar_tui.ipld.cid import aliases, is_supported, of_prefixed
from betar_tui.p2p import addresses
from betar_tui.p2p.adaptations.host import PeerHost
from betar_tui.p2p.adaptations.yamux import is_broken
from betar_tui.p2p.bitswap.ledger import Ledgers
from betar_tui.p2p.bitswap.link import Link
from betar_tui.p2p.bitswap.messages import (
    MAX_MESSAGE,
    PROTOCOLS,
    V12,
    Block,
    Message,
    Presence,
    WantlistEntry,
    decode,
    encode,
)
from betar_tui.p2p.bitswap.wants import Wants
from betar_tui.p2p.frames import FrameReader, frame
from betar_tui.p2p.guard import Penalize, Report, guarded, only, quiet_reset
from betar_tui.p2p.host import open_stream
from betar_tui.p2p.types import BlockSource, ReceivedBlock, Timing

log = logging.getLogger(__name__)

LOOKUP_BATCH, MAX_STREAMS_PER_PEER = 32, 32
"""Maximum blocks looked up at a time, and incoming streams of one peer."""
BYTES_PER_TURN = 64 << 10
"""Maximum bytes to read between two turns of the event loop."""
CID_PREFIX = b"\x01\x55\x12\x20"
"""The start of a CID of raw bytes; their sha2-256 follows."""


class Bitswap:
    """Fetches wanted blocks and serves those of `source`. `run_timers` must be running. A stream is read no further while
    `received` waits with a block of it."""

    def __init__(
        self,
        host: PeerHost,
        source: BlockSource,
        timing: Timing,
        nursery: trio.Nursery,
        received: Callable[[ReceivedBlock], Awaitable[None]],
        penalize: Penalize,
        report: Report,
    ) -> None:
        self._host = host
        self._source = source
        self._nursery = nursery
        self._received = received
        self._penalize = penalize
        self._report = report
        self.banned: Callable[[str], bool] = lambda peer: False
        self.sent: Callable[[str, Iterable[bytes]], None] = lambda peer, cids: None
        self.answered: Callable[[str, bytes, bool], None] = lambda peer, cid, have: None
        self._wants = Wants(timing.stall, timing.retry_min, timing.retry_max)
        self._ledgers = Ledgers()
        self._links: dict[str, Link] = {}
        self._retimed = Wakeup()
        self._asleep_until = float("inf")

    # For the network

    def want(self, cids: Iterable[bytes], ask: str | None) -> None:
        """Want blocks. Raises DecodeError for a CID whose block could not be verified."""
        wanted = tuple(cids)
        for cid in wanted:
            if not is_supported(cid):
                raise DecodeError(
                    f"blocks of the CID {cid[:40].hex()} cannot be fetched: not sha2-256 of dag-pb or raw"
                )
        self._wants.want(wanted, ask, trio.current_time())
        self._flush()

    def cancel(self, cids: Iterable[bytes]) -> None:
        """Want blocks no longer."""
        self._wants.cancel(cids)
        self._flush()

    def announce(self, cid: bytes) -> None:
        """A block is available now: it is sent to the peers that asked for it."""
        for peer in self._ledgers.arrived(cid):
            if (link := self._link(peer)) is not None:
                link.lookup.set()

    def ask(self, peer: str, cids: Iterable[bytes]) -> None:
        """Ask a peer whether it has these blocks; its answers go to `answered`. Nothing is asked of an old version."""
        link = self._links.get(peer)
        if link is not None and link.speaks_v12:
            link.questions.ask(cids)
            link.write.set()

    def nudge(self, peer: str) -> None:
        """Send a message that says nothing: that we do not have the block of a random CID."""
        link = self._links.get(peer)
        if link is not None and not link.presences:
            link.push((), (Presence(CID_PREFIX + os.urandom(32), have=False),))

    def wanted_by(self, peer: str) -> bool:
        """Whether a connected peer has asked us for a block, so that its Bitswap knows of us."""
        return peer in self._links and self._links[peer].wanted

    def peer_up(self, peer: str, protocols: Iterable[str]) -> None:
        """A connected peer announced its protocols."""
        common = set(protocols) & set(PROTOCOLS)
        link = self._link(peer) if common else None
        if link is not None:
            link.speaks_v12 = V12 in common
            self._wants.peer_up(peer, link.speaks_v12, trio.current_time())
            self._flush()

    def peer_down(self, peer: str) -> None:
        """The last connection to a peer ended."""
        link = self._links.pop(peer, None)
        if link is not None:
            link.scope.cancel()
        self._ledgers.forget(peer)
        self._wants.peer_down(peer, trio.current_time())
        self._flush()

    async def run_timers(self) -> None:
        """A service: asks other peers when one stalls, and all again after a pause."""
        while True:
            self._asleep_until = self._wants.next_deadline()
            with trio.move_on_at(self._asleep_until):
                await self._retimed.wait()
            self._wants.tick(trio.current_time())
            self._flush()

    async def handle(self, stream: INetStream) -> None:
        """Read one stream that a peer opened, until it ends. Raises DecodeError, for the guard to penalize the peer."""
        peer = str(stream.muxed_conn.peer_id)
        link = self._link(peer)
        if link is None:
            return
        if link.incoming >= MAX_STREAMS_PER_PEER:
            raise DecodeError("too many Bitswap streams")
        link.incoming += 1
        try:
            await self._read(peer, stream)
        finally:
            link.incoming -= 1

    # Receiving

    async def _read(self, peer: str, stream: INetStream) -> None:
        frames = FrameReader(stream, MAX_MESSAGE)
        taken = 0
        while (raw := await frames.next()) is not None and not self.banned(peer):
            taken += len(raw)
            process = self._process(peer, decode(raw))
            del raw  # the blocks, which may have to wait, have their own bytes
            await process
            if taken >= BYTES_PER_TURN:  # a single read may bring several times as many
                taken = 0
                await trio.lowlevel.checkpoint()

    async def _process(self, peer: str, message: Message) -> None:
        now = trio.current_time()
        link = self._link(peer)
        if link is None:  # the peer has just gone: its wants are void, its blocks are as good as ever
            message = Message(blocks=message.blocks)
        elif message.entries or message.full:
            link.wanted = True
            if self._ledgers.receive(peer, message.entries, message.full):
                link.lookup.set()
        for presence in message.presences:
            self._note_answer(link, presence.cid, presence.have)
            (self._wants.have if presence.have else self._wants.dont_have)(peer, presence.cid, now)
        verified = self._verify(peer, message.blocks)
        for block in verified:
            self._wants.received(peer, block.cid, now)
        self._flush()
        del message
        verified.sort(key=lambda block: len(block.data))  # large ones may have to wait
        while verified:
            await self._received(verified.pop(0))

    def _note_answer(self, link: Link | None, cid: bytes, have: bool) -> bool:
        """Note an answer to a question. Returns whether the block was asked about lately."""
        if link is None or cid not in link.questions:
            return False
        if link.questions.answered(cid, have):
            self.answered(link.peer, cid, have)
        return True

    def _verify(self, peer: str, blocks: Iterable[Block]) -> list[ReceivedBlock]:
        verified: dict[bytes, ReceivedBlock] = {}
        misbehaviour = ""
        for block in blocks:
            try:
                cids = aliases(of_prefixed(block.prefix, block.data))
            except DecodeError as error:
                misbehaviour = str(error)
                continue
            wanted = [cid for cid in cids if cid in self._wants]
            for cid in wanted:
                verified[cid] = ReceivedBlock(cid, block.data, peer)
            asked = [cid for cid in cids if self._note_answer(self._links.get(peer), cid, have=True)]
            if not wanted and not asked and not any(self._wants.was_wanted(cid) for cid in cids):
                misbehaviour = (
                    f"a block that was not asked for, or whose bytes are not those of its CID: {cids[0].hex()}"
                )
        if misbehaviour:
            self._penalize(peer, f"bitswap: {misbehaviour}")
        return list(verified.values())

    # Sending

    def _flush(self) -> None:
        for peer in self._wants.dirty():
            link = self._links.get(peer)
            if link is not None:
                link.write.set()
        if self._wants.next_deadline() < self._asleep_until:
            self._retimed.set()

    def _connected(self, peer: str) -> bool:
        connections = self._host.get_network().get_connections(addresses.peer_id(peer))
        return any(not each.is_closed for each in connections)

    def _link(self, peer: str) -> Link | None:
        """The link to a peer, made if necessary; None for a peer that is not connected."""
        link = self._links.get(peer)
        if link is None and self._connected(peer):
            link = self._links[peer] = Link(peer)
            self._nursery.start_soon(self._serve, link, name=f"bitswap with {peer}")
        return link

    async def _serve(self, link: Link) -> None:
        """Run a link until its peer is gone; an error ends this link only."""
        try:
            with link.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._look_up, link)
                    await self._write(link, nursery)
        except* Exception as group:  # beside it there may be the cancellation of the other task, when this peer stops
            self._report("bitswap", only(group))
        finally:
            if self._links.get(link.peer) is link:
                self.peer_down(link.peer)

    async def _write(self, link: Link, nursery: trio.Nursery) -> None:
        while True:
            await link.write.wait()
            while (message := link.fill(self._entries(link))) is not None:
                await self._send(link, message, nursery)
                link.bytes -= sum(len(block.data) for block in message.blocks)
                link.written.set()
                self.sent(link.peer, (of_prefixed(block.prefix, block.data) for block in message.blocks))

    async def _send(self, link: Link, message: Message, nursery: trio.Nursery) -> None:
        """Write one message, over a new stream if the old one is gone. Ends the link of a peer that is gone."""
        while True:
            stream = link.stream
            if not self._connected(link.peer):
                link.scope.cancel()
                await trio.lowlevel.checkpoint()
            try:
                if stream is None:
                    await link.until_it_may_open()
                    peer = addresses.peer_id(link.peer)
                    stream = link.stream = await open_stream(self._host, peer, list(PROTOCOLS))
                    nursery.start_soon(self._read_answers, link, stream)
                await stream.write(frame(encode(message, str(stream.get_protocol()))))
                return
            except Exception as error:
                log.debug("bitswap to %s: %r", link.peer, error)
                if stream is not None and link.stream is stream:
                    await self._lost(link, stream)
                else:
                    self._resend(link)
            if message.entries:  # they counted as sent, and have been queued again
                message = Message(self._entries(link), False, message.blocks, message.presences)

    async def _read_answers(self, link: Link, stream: INetStream) -> None:
        """Read the answers on the link's own stream; notice when it breaks.

        The end of the peer's side is not a break: Helia ends it at once on every stream that we open, and goes on reading
        ours."""
        await guarded(lambda stream: self._read(link.peer, stream), self._penalize, self._report)(stream)
        if link.stream is stream and is_broken(stream):
            await self._lost(link, stream)

    async def _lost(self, link: Link, stream: INetStream) -> None:
        link.stream = None
        self._resend(link)
        await quiet_reset(stream)

    def _resend(self, link: Link) -> None:
        self._wants.resend(link.peer)
        link.questions.resend()
        self._flush()

    def _entries(self, link: Link) -> list[WantlistEntry]:
        return self._wants.take(link.peer) + link.questions.take()

    async def _look_up(self, link: Link) -> None:
        while True:
            await link.lookup.wait()
            while asked := self._ledgers.take_lookups(link.peer, LOOKUP_BATCH):
                while asked:
                    while link.full:
                        await link.written.wait()
                    try:
                        found = await self._source.blocks(tuple(asked))
                        assert found, "a look-up leaves out some, never all: it would be repeated for ever"
                    except Exception as error:
                        self._report("blocks for peers", error)
                        found = dict.fromkeys(asked)
                    link.push(*self._ledgers.answer(link.peer, {cid: asked[cid] for cid in found}, found))
                    asked = {cid: send_dont_have for cid, send_dont_have in asked.items() if cid not in found}
                    await trio.lowlevel.checkpoint()
