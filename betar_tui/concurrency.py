"""Small things that trio does not have: `FastLock`, `Wakeup`, `Crowd`, `Rounds`, `until_tick` and `shielded_nursery`."""

import math
from collections import deque
from types import TracebackType
from typing import Any

import trio

GATHER_TIME = 0.02
"""Seconds for a round while there is a crowd: unnoticed by people, and a few things at 200 a second."""
_CROWD_SIZE, _CROWD_TIME, _CROWD_AUTHORS = 16, 0.25, 4
"""What makes a crowd: so many things within so many seconds, of at least so many authors."""


class FastLock:
    """A `trio.Lock` that costs nothing while it is free.

    trio makes acquiring a lock a turn of the event loop even when nobody holds it, and py-libp2p 0.8.1 acquires thirty of
    them for each small message: half of the 45 turns that a block from a Go peer cost. Acquiring this one is a checkpoint
    only when it has to wait, so its users must reach a checkpoint elsewhere. Waiters are served in order; a cancelled one
    does not get the lock. A task that acquires it twice deadlocks, where `trio.Lock` would raise."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: deque[trio.Event] = deque()

    def locked(self) -> bool:
        """Whether a task holds it."""
        return self._held

    async def acquire(self) -> None:
        """Wait until this task holds it."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._held:
            self._held = True
            return
        turn = trio.Event()
        self._waiting.append(turn)
        try:
            await turn.wait()  # `release` hands it over: it stays held
        except BaseException:
            if turn.is_set():
                self.release()
            else:
                self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Hand it to the task that has waited longest, if any. Raises RuntimeError when it is not held."""
        if not self._held:
            raise RuntimeError("a lock that is not held was released")
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._held = False

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def until_tick(interval: float, least: float = 0.0) -> float:
    """Seconds to the next multiple of an interval on trio's clock that is more than `least` seconds away.

    Services that wait for the same times wake the process once for all of them: of what an idle peer costs, waking is the
    greater part."""
    now = trio.current_time()
    return (math.floor((now + least) / interval) + 1) * interval - now


class Crowd:
    """Tells a crowd from an author alone, who may be waiting for each thing before writing the next."""

    def __init__(self) -> None:
        self._came: deque[tuple[float, str]] = deque(maxlen=_CROWD_SIZE)

    def came(self, author: str, now: float | None = None) -> None:
        """Something of an author has come, now by trio's clock."""
        self._came.append((trio.current_time() if now is None else now, author))

    def is_there(self) -> bool:
        """Whether things of several authors follow one another closely."""
        if len(self._came) < _CROWD_SIZE or self._came[0][0] < trio.current_time() - _CROWD_TIME:
            return False
        return len({author for _, author in self._came}) >= _CROWD_AUTHORS


class Rounds:
    """Lets a service do together what a crowd sends one by one: each round has a cost of its own.

    While there is a crowd, a service begins one round in each `time` seconds of trio's clock; what comes first is never
    kept waiting. As the services of a peer wait for the same times, what one hands to the next waits only once."""

    def __init__(self, crowd: Crowd, time: float = GATHER_TIME) -> None:
        self._crowd = crowd
        self._time = time
        self._last = -1

    async def gather(self) -> None:
        """Wait until the next round may begin. No checkpoint if it may begin now."""
        if self._last == self._now() and self._crowd.is_there():
            await trio.sleep_until((self._last + 1) * self._time)

    def begin(self) -> None:
        """A round begins."""
        self._last = self._now()

    def _now(self) -> int:
        return math.floor(trio.current_time() / self._time + 1e-6)  # at its beginning, despite rounding


class Wakeup:
    """A flag that tells one service that there is work. It can be set any number of times before it is waited for.

    `wait` lowers the flag as it returns: work that arrives from then on is announced again, so none is missed as long as the
    service looks for all work that there is after each `wait`."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        """There is work."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether there is work that no `wait` has returned for yet."""
        return self._event.is_set()

    def clear(self) -> None:
        """The work is done already: the next `wait` waits for new work."""
        if self._event.is_set():
            self._event = trio.Event()

    async def wait(self) -> None:
        """Return as soon as there is work. Always a checkpoint."""
        await self._event.wait()
        self.clear()


async def shielded_nursery(*, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    """Start a nursery, with `Nursery.start`, that only its own scope can cancel."""
    # trio leaves a task with a caller that was cancelled meanwhile, which would wait for it for ever.
    await trio.lowlevel.checkpoint_if_cancelled()
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            task_status.started(nursery)
            await trio.sleep_forever()
