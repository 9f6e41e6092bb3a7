"""A thread of its own for short blocking jobs, one at a time.

trio's threads take any job: each costs a turn of the loop for a place among them, a context, and a name for the thread,
together a tenth of a put. What stays the same: whoever waits for a job cannot be cancelled, nor interrupted.
"""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

import trio

T = TypeVar("T")


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
        with suppress(trio.RunFinishedError):  # the loop has crashed meanwhile
            self._token.run_sync_soon(trio.lowlevel.reschedule, self._task)


class Worker:
    """Does jobs in the order in which they are given. The thread is started with the first one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    @trio.lowlevel.enable_ki_protection
    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, called in the thread. Cancelling does not shorten it.

        Raises ClosedResourceError once it is closed.
        """
        if self._closed:
            raise trio.ClosedResourceError(f"the thread {self._name!r} has ended")
        if self._thread is None:
            self._thread = threading.Thread(target=self._do_jobs, name=self._name, daemon=True)
            self._thread.start()
        job = _Job(work)
        self._jobs.put(job)
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
        try:
            if job.error is not None:
                raise job.error
            return job.result
        finally:
            del job  # or its error would hold this frame, and the frame the job with all its work

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
            del job  # its result is nobody's business here
