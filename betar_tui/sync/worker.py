"""A thread of its own for short blocking jobs, one at a time; a row of brief ones is done in the loop's thread.

trio's threads take any job: each costs a turn of the loop for a place among them, a context, and a name for the thread,
together a tenth of a put. What stays the same: whoever waits for a job cannot be cancelled, nor interrupted.

To another thread and back takes a third of what a put does: two processors are woken, and each has in its cache what the
other one needs. Brief jobs that come one straight after the other are therefore done where they are asked for, a turn of
the loop each, as long as they are brief, and not for long at a stretch: while one is done in the thread, all others in the
loop catch up.
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

Reserve = Callable[[], Callable[[], None] | None]
"""Gets hold of what a job needs without waiting: how to give it back, or None where another has it."""

LONG = 0.003
"""After a job that took so many seconds the next one goes to the thread: there is little to be won."""
STRETCH = 0.02
"""After so many seconds of jobs in the loop's thread one goes to the other: all else has had but a turn between two."""
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

    def outcome(self) -> T:
        """What it returns or raises, once: the frames of an error hold the job, which must not hold the error in turn, or
        all that it worked on would stay until the collector comes."""
        error, self.error = self.error, None
        if error is None:
            result = self.result
            del self.result
            return result
        try:
            raise error
        finally:
            del error

    def wake(self) -> None:
        """Let who waits for it go on."""
        with suppress(trio.RunFinishedError):  # the loop has crashed meanwhile
            self._token.run_sync_soon(trio.lowlevel.reschedule, self._task)


class _Row:
    """Brief jobs that follow one another. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ended = -math.inf
        self._took = self._stretch = 0.0

    def may_go_on(self) -> bool:
        """Whether a job that comes now may be done in the loop's thread."""
        return self._clock() - self._ended < ROW and self._took < LONG and self._stretch < STRETCH

    def timing(self, work: Callable[[], T], here: bool) -> Callable[[], T]:
        """A job that is meant to be brief, to be done `here` in the loop's thread or in the other."""

        def timed() -> T:
            began = self._clock()
            try:
                return work()
            finally:
                self._ended = self._clock()
                self._took = self._ended - began
                self._stretch = self._stretch + self._took if here else 0.0

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
    async def run(self, work: Callable[[], T], brief: Reserve | None = None) -> T:
        """What `work` returns or raises, called in the thread. Cancelling does not shorten it.

        A job that is meant to be brief may be called in the loop's thread instead, where it follows others, no job waits,
        and `brief` gets hold of what it needs. Raises ClosedResourceError once it is closed.
        """
        if self._closed:
            raise trio.ClosedResourceError(f"the thread {self._name!r} has ended")
        release = brief() if brief is not None and not self._waiting and self._row.may_go_on() else None
        job = _Job(work if brief is None else self._row.timing(work, here=release is not None))
        if release is not None:
            job.do()
            release()
            await trio.lowlevel.cancel_shielded_checkpoint()
        else:
            await self._done_in_thread(job)
        return job.outcome()

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
