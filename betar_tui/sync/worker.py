"""A dedicated thread for short blocking jobs, one at a time; streaks of brief jobs run in the event loop's thread.

`trio.to_thread` costs each job a turn of the loop for the limiter, a context, and a thread name, together a tenth of a
put. As there, the caller of a job can be neither cancelled nor interrupted while it runs.

The way to another thread and back takes a third of the time of a put: it wakes two processors, each of which has in its
cache the data that the other one needs. Brief jobs that follow one another directly therefore run in the caller's
thread, one per turn of the loop. A job that was not brief, or a streak that has lasted long enough, sends the next job
to the worker thread, while the other tasks in the loop catch up."""

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
"""Acquires the resources of a job without waiting: returns their release, or None if another thread has them."""

MAX_BRIEF = 0.003
"""Maximum seconds of a job after which the next one may run in the loop's thread: longer jobs gain little."""
MAX_STREAK = 0.02
"""Maximum seconds of a streak in the loop's thread: other tasks run only one turn between two jobs."""
STREAK_GAP = 0.005
"""Maximum seconds between the end of a brief job and the next one of the same streak."""


class _Job(Generic[T]):
    """A job, the task that waits for it, and its result."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._task = trio.lowlevel.current_task()
        self._token = trio.lowlevel.current_trio_token()
        self.result: T
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error

    def outcome(self) -> T:
        """Return its result or raise its error, once.

        The frames of an error refer to the job. If the job referred to the error, the cycle would keep all that it
        worked on alive until the garbage collector runs."""
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
        """Resume the task that waits for it."""
        with suppress(trio.RunFinishedError):  # the loop has crashed meanwhile
            self._token.run_sync_soon(trio.lowlevel.reschedule, self._task)


class _Streak:
    """Brief jobs that follow one another. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ended = -math.inf
        self._took = self._length = 0.0

    def may_go_on(self) -> bool:
        """Whether a job that comes now may run in the loop's thread."""
        return self._clock() - self._ended < STREAK_GAP and self._took < MAX_BRIEF and self._length < MAX_STREAK

    def timing(self, work: Callable[[], T], here: bool) -> Callable[[], T]:
        """The job, timed; `here` says that it runs in the loop's thread."""

        def timed() -> T:
            began = self._clock()
            try:
                return work()
            finally:
                self._ended = self._clock()
                self._took = self._ended - began
                self._length = self._length + self._took if here else 0.0

        return timed


class Worker:
    """Runs jobs in the order in which they come. The first one starts the thread; `clock` is in seconds."""

    def __init__(self, name: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._streak = _Streak(clock)
        self._thread: threading.Thread | None = None
        self._closed = False

    @trio.lowlevel.enable_ki_protection
    async def run(self, work: Callable[[], T], brief: Reserve | None = None) -> T:
        """Run `work` in the thread, and return its result or raise its error. Cancellation does not shorten it.

        With `brief`, which says that it is meant to be brief, it may run in the loop's thread: if it continues a
        streak, no other job waits, and `brief` acquires its resources. Raises ClosedResourceError after `close`."""
        if self._closed:
            raise trio.ClosedResourceError(f"the thread {self._name!r} has ended")
        release = brief() if brief is not None and not self._waiting and self._streak.may_go_on() else None
        job = _Job(work if brief is None else self._streak.timing(work, here=release is not None))
        if release is not None:
            job.run()
            release()
            await trio.lowlevel.cancel_shielded_checkpoint()
        else:
            await self._run_in_thread(job)
        return job.outcome()

    async def _run_in_thread(self, job: _Job[Any]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run_jobs, name=self._name, daemon=True)
            self._thread.start()
        self._waiting += 1
        self._jobs.put(job)
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
        self._waiting -= 1

    def close(self) -> None:
        """End the thread after the jobs it has; it accepts no more."""
        self._closed = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _run_jobs(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            job.wake()
            del job  # this frame must not keep its result alive
