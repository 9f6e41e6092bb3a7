"""A thread of its own for short blocking jobs, one at a time; a row of brief ones is done in the loop's thread.

trio's threads take any job: each costs a turn of the loop for a place among them, a context, and a name for the thread,
together a tenth of a put. What stays the same: whoever waits for a job cannot be cancelled, nor interrupted.

To another thread and back takes half as long as a put itself: two processors are woken, and each has in its cache what the
other one needs. Jobs that are meant to be brief and come one straight after the other are therefore done where they are
asked for, a turn of the loop each, until one of them takes long.
"""

import math
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

import trio

T = TypeVar("T")

LONG = 0.015
"""A job that takes so many seconds is not brief: no frame comes late for less."""
WARY = 1.0
"""So many seconds after a long one, brief jobs go to the thread: the disk is slow, or somebody else is at it."""
ROW = 0.005
"""A job that comes so many seconds after the last brief one belongs to the same row."""


class _Job(Generic[T]):
    """What to do, who waits for it, and what came of it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._task = trio.lowlevel.current_task()
        self._token = trio.lowlevel.current_trio_token()
        self.result: T
        self.error: BaseException | None = None

    def do(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error

    def wake(self) -> None:
        """Let who waits for it go on."""
        with suppress(trio.RunFinishedError):  # the loop has crashed meanwhile
            self._token.run_sync_soon(trio.lowlevel.reschedule, self._task)


class _Row:
    """Brief jobs that follow one another. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = -math.inf
        self._wary_until = -math.inf

    def goes_on(self) -> bool:
        """Whether a job that comes now is one of a row of brief ones."""
        now = self._clock()
        return now - self._last < ROW and now >= self._wary_until

    def timing(self, work: Callable[[], T]) -> Callable[[], T]:
        """A job that is meant to be brief, to be done in any thread."""

        def timed() -> T:
            began = self._clock()
            try:
                return work()
            finally:
                self._last = self._clock()
                if self._last - began >= LONG:
                    self._wary_until = self._last + WARY

        return timed


class Worker:
    """Does jobs in the order in which they are given. The thread is started with the first one; `clock` is in seconds."""

    def __init__(self, name: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._row = _Row(clock)
        self._thread: threading.Thread | None = None
        self._closed = False

    @trio.lowlevel.enable_ki_protection
    async def run(self, work: Callable[[], T], brief: bool = False) -> T:
        """What `work` returns or raises, called in the thread. Cancelling does not shorten it.

        A `brief` one is called in the loop's thread where it follows others and no job waits. Raises ClosedResourceError
        once it is closed.
        """
        if self._closed:
            raise trio.ClosedResourceError(f"the thread {self._name!r} has ended")
        job = _Job(self._row.timing(work) if brief else work)
        if brief and not self._waiting and self._row.goes_on():
            job.do()
            await trio.lowlevel.cancel_shielded_checkpoint()
        else:
            await self._done_in_thread(job)
        try:
            if job.error is not None:
                raise job.error
            return job.result
        finally:
            del job  # or its error would hold this frame, and the frame the job with all its work

    async def _done_in_thread(self, job: _Job[Any]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._do_jobs, name=self._name, daemon=True)
            self._thread.start()
        self._waiting += 1
        self._jobs.put(job)
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
        self._waiting -= 1

    def close(self) -> None:
        """End the thread once it has done what it was given; it takes nothing more."""
        self._closed = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _do_jobs(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.do()
            job.wake()
            del job  # its result is nobody's business here
