"""One peer's side of Bitswap: what is queued for it, and the stream on which it is sent. `engine` runs the tasks."""

from collections import deque
from collections.abc import Iterable

import trio
from libp2p.abc import INetStream

from betar_tui.concurrency import Wakeup
from betar_tui.p2p.bitswap.messages import Block, Message, Presence, WantlistEntry
from betar_tui.p2p.bitswap.questions import Questions

MAX_MESSAGE_BLOCKS = 1 << 20
"""Maximum bytes of blocks in one message; a single block may exceed it."""
MAX_QUEUED_BYTES = 4 << 20
"""Maximum bytes of blocks queued for a peer before its next look-up."""
MAX_QUEUED_PRESENCES, MAX_MESSAGE_PRESENCES = 8192, 2048
"""Maximum presences queued for a peer, and in one message."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
"""Seconds between two openings of the stream to a peer; the pause is short again after a stream that lasted."""
LASTED = 10.0
"""Seconds after which a stream counts as lasting."""


class Link:
    """The queues and the outgoing stream of one peer."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.scope = trio.CancelScope()
        self.write = Wakeup()
        self.lookup = Wakeup()
        self.written = Wakeup()
        self.blocks: deque[Block] = deque()
        self.presences: deque[Presence] = deque()
        self.questions = Questions()
        self.speaks_v12 = False
        self.wanted = False  # the peer has asked for a block
        self.bytes = 0
        self.stream: INetStream | None = None
        self.incoming = 0
        self.pause = FIRST_PAUSE
        self.may_open = float("-inf")

    @property
    def full(self) -> bool:
        """Whether too many answers are queued; the peer may not be reading at all."""
        return self.bytes > MAX_QUEUED_BYTES or len(self.presences) > MAX_QUEUED_PRESENCES

    async def until_it_may_open(self) -> None:
        """Pause after openings that failed and streams that broke as soon as they were open."""
        await trio.sleep_until(max(self.may_open, trio.current_time()))
        now = trio.current_time()
        self.pause = FIRST_PAUSE if now > self.may_open + LASTED else min(self.pause * 2, LONGEST_PAUSE)
        self.may_open = now + self.pause

    def push(self, blocks: Iterable[Block], presences: Iterable[Presence]) -> None:
        """Queue answers."""
        for block in blocks:
            self.blocks.append(block)
            self.bytes += len(block.data)
        self.presences.extend(presences)
        if self.blocks or self.presences:
            self.write.set()

    def fill(self, entries: list[WantlistEntry]) -> Message | None:
        """The next message: `entries` and as many queued answers as fit; None when there is nothing to send."""
        blocks: list[Block] = []
        size = 0
        while self.blocks and (not blocks or size + len(self.blocks[0].data) <= MAX_MESSAGE_BLOCKS):
            block = self.blocks.popleft()
            size += len(block.data)
            blocks.append(block)
        presences = [self.presences.popleft() for _ in range(min(len(self.presences), MAX_MESSAGE_PRESENCES))]
        if not (entries or blocks or presences):
            return None
        return Message(entries, False, blocks, presences)
