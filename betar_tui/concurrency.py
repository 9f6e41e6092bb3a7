"""Small things that trio does not have: `FastLock`, `Wakeup`, `until_tick` and `shielded_nursery`."""

import math
from collections import deque
from types import TracebackType
from typing import Any

import trio


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
