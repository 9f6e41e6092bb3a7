"""The event loop's time that reading the neighbours' gossip takes: measured, charged to them, and cut into turns."""

import math
from collections.abc import Callable
from time import perf_counter

import trio
from libp2p.abc import INetStream

from betar_tui.concurrency import Crowd, FastLock, Rounds
from betar_tui.p2p.budgets import BYTE_TIME, Shares

MESSAGES_PER_TURN = 8
"""Maximum messages, each with a signature to check, between two turns of the event loop."""
TURN = 0.005
"""Seconds after which the loop has its next turn, whatever the number of messages."""
BEHIND = 0.1
"""Seconds for which a neighbour's stream has always had more to read from which on it brings more than is read."""
_LENIENCY = 1.5
"""How much of its part a neighbour may use before its stream waits, and not only messages that can."""
PAUSE = 0.001
"""Seconds between two RPCs, or of a read, from which on the reader has certainly waited, and the loop had a turn."""


class Turns:
    """The turns of one stream's reader. Of all readers with the same `gate` that have more to read, one goes on in each turn
    of the loop, so that twenty busy streams hold up nothing else longer than one does."""

    def __init__(self, neighbour: bytes, shares: Shares[bytes], gate: FastLock) -> None:
        self._neighbour = neighbour
        self._shares = shares
        self._gate = gate
        self._began, self._ended = 0.0, 0.0  # the turn, and the last RPC
        self._charged = 0.0
        self._messages = 0
        # Until a read shows that all was read, or a neighbour would begin afresh with each stream that it opens.
        self._caught_up = -math.inf
        self._over = shares.wait(neighbour, trio.current_time()) > 0

    def begin(self, size: int) -> None:
        """An RPC of `size` bytes has been read."""
        now = perf_counter()
        if now - self._ended > PAUSE:
            self._began, self._messages = now, 0
        self._charged = now - size * BYTE_TIME

    @property
    def crowded(self) -> bool:
        """Whether what can wait is to be left for later: the neighbour has used its part of the loop's time, or brings more
        than is read."""
        return self._over or self._charged - self._caught_up > BEHIND

    def caught_up(self) -> None:
        """All that the neighbour sent has been read."""
        self._caught_up = perf_counter()

    async def between(self) -> None:
        """Before each message that is dealt with: a turn for the loop if one is due."""
        self._messages += 1
        if self._messages >= MESSAGES_PER_TURN or perf_counter() - self._began > TURN:
            self._charge()
            await self._turn(_LENIENCY)

    async def after_brief(self) -> None:
        """After each message that is left for later."""
        if perf_counter() - self._began > TURN:
            self._charge()
            await self._turn(_LENIENCY)

    async def end(self) -> None:
        """The RPC has been dealt with. The next one is read when the neighbour may use more of the loop's time."""
        self._charge()
        self._ended = self._charged
        if self._ended - self._began > TURN or (self._over and self._wait(_LENIENCY)):
            await self._turn(_LENIENCY)
            self._ended = self._began

    async def patiently(self) -> None:
        """Wait until the neighbour may use more of the loop's time for what can wait."""
        self._charge()
        self._messages += 1
        if self._over or self._messages >= MESSAGES_PER_TURN or self._charged - self._began > TURN:
            await self._turn(1.0)

    def _charge(self) -> None:
        """Charge the time since the last charge."""
        before, self._charged = self._charged, perf_counter()
        now = trio.current_time()
        self._shares.spend(self._neighbour, self._charged - before, now)
        self._over = self._shares.wait(self._neighbour, now) > 0

    def _wait(self, leniency: float) -> float:
        return self._shares.wait(self._neighbour, trio.current_time(), leniency)

    async def _turn(self, leniency: float) -> None:
        wait = self._wait(leniency) if self._over else 0.0
        while wait:
            await trio.sleep(wait)
            wait = self._wait(leniency)
        async with self._gate:
            await trio.lowlevel.checkpoint()
        self._began = self._charged = perf_counter()
        self._messages = 0


class PacedReads:
    """A stream of which the messages of a crowd are read several at a time."""

    def __init__(self, stream: INetStream, crowd: Crowd, caught_up: Callable[[], None]) -> None:
        self._stream = stream
        self._rounds = Rounds(crowd)
        self._caught_up = caught_up

    async def read(self, n: int) -> bytes:
        await self._rounds.gather()
        before = perf_counter()
        data = await self._stream.read(n)
        if perf_counter() - before > PAUSE or len(data) < n // 4:
            self._caught_up()
        self._rounds.begin()
        return data
