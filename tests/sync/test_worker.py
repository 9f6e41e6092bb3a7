"""The thread for short jobs: in order, one at a time, and every waiting task is resumed."""

import gc
import queue
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import trio
import trio.testing

from betar_tui.sync.worker import MAX_BRIEF, MAX_STREAK, STREAK_GAP, Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("jobs")
    yield worker
    worker.close()


@contextmanager
def _gate() -> Iterator[threading.Event]:
    """A gate that is open at the end in any case: a thread that waits for it cannot be cancelled."""
    gate = threading.Event()
    try:
        yield gate
    finally:
        gate.set()


def _threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "jobs"]


async def test_jobs_run_in_one_thread_that_is_not_the_callers(worker: Worker) -> None:
    assert not _threads()
    first = await worker.run(threading.current_thread)
    assert first is await worker.run(threading.current_thread)
    assert first is not threading.current_thread()
    assert _threads() == [first]


async def test_in_the_order_of_asking_and_one_at_a_time(worker: Worker) -> None:
    order, inside = list[int](), 0

    def work(n: int) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        order.append(n)
        inside -= 1

    async def ask(n: int) -> None:
        await worker.run(lambda: work(n))

    with _gate() as gate:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.run, gate.wait)
            for n in range(9):
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(ask, n)
            await trio.testing.wait_all_tasks_blocked()
            before = list(order)
            gate.set()
    assert before == []
    assert order == list(range(9))


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
async def test_the_error_of_a_job_is_raised_in_its_caller(worker: Worker, error: BaseException) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await worker.run(work)
    assert caught.value is error
    assert await worker.run(lambda: 7) == 7


async def test_a_cancelled_caller_waits_for_the_job_and_gets_its_result(worker: Worker) -> None:
    got, early = [], []

    async def ask(gate: threading.Event) -> None:
        await worker.run(gate.wait)
        got.append("done")

    with _gate() as gate:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, gate)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.testing.wait_all_tasks_blocked()
            early += got
            gate.set()
    assert early == []
    assert got == ["done"]


def test_an_interrupt_waits_for_the_job() -> None:
    """Or the job would wake a task that waits for something else by then."""
    worker, got = Worker("jobs"), list[int]()

    class Interrupted(queue.SimpleQueue):  # type: ignore[type-arg]
        def put(self, *job: object) -> None:
            super().put(*job)
            if job[0] is not None:
                signal.raise_signal(signal.SIGINT)

    async def ask() -> None:
        worker._jobs = Interrupted()
        try:
            got.append(await worker.run(lambda: 7))
        finally:
            with trio.CancelScope(shield=True):
                await trio.testing.wait_all_tasks_blocked()
        await trio.sleep_forever()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs of a shell
    try:
        with pytest.raises(KeyboardInterrupt):
            trio.run(ask)
    finally:
        signal.signal(signal.SIGINT, before)
    worker.close()
    assert got == [7]


async def test_closing_ends_the_thread(worker: Worker) -> None:
    await worker.run(lambda: None)
    worker.close()
    worker.close()
    assert not _threads()
    with pytest.raises(trio.ClosedResourceError):
        await worker.run(lambda: None)
    assert not _threads()


async def test_a_loop_that_has_ended_meanwhile_does_not_end_the_thread(worker: Worker) -> None:
    """Only a crash of trio itself leaves a job behind; the thread must be there to be closed."""

    class Gone:
        def run_sync_soon(self, *_: object) -> None:
            raise trio.RunFinishedError("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio.lowlevel, "current_trio_token", Gone)
        async with trio.open_nursery() as nursery:
            task = trio.lowlevel.current_task
            waiting = list[trio.lowlevel.Task]()

            async def ask() -> None:
                waiting.append(task())
                await worker.run(lambda: None)

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            patch.undo()
            assert await worker.run(lambda: 7) == 7
            trio.lowlevel.reschedule(waiting[0])


class _Times:
    """A clock that a test sets, and jobs that take as long as it says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def job(self, takes: float) -> Callable[[], threading.Thread]:
        def work() -> threading.Thread:
            self.now += takes
            return threading.current_thread()

        return work


@pytest.fixture
def times() -> _Times:
    return _Times()


@pytest.fixture
def timed(times: _Times) -> Iterator[Worker]:
    worker = Worker("jobs", times)
    yield worker
    worker.close()


async def _here(worker: Worker, job: Callable[[], threading.Thread], free: bool = True) -> bool:
    """Whether a brief job ran in the loop's thread."""
    return await worker.run(job, _free if free else lambda: None) is threading.current_thread()


def _free() -> Callable[[], None]:
    """The resources of a job are always free."""
    return lambda: None


async def test_a_streak_of_brief_jobs_runs_in_the_loops_thread(times: _Times, timed: Worker) -> None:
    brief = times.job(0.001)
    assert [await _here(timed, brief) for _ in range(4)] == [False, True, True, True]
    times.now += 2 * STREAK_GAP
    assert [await _here(timed, brief) for _ in range(2)] == [False, True]


async def test_a_job_that_may_be_long_or_has_to_wait_does_not(times: _Times, timed: Worker) -> None:
    brief = times.job(0.001)
    assert not await _here(timed, brief)
    assert await timed.run(brief) is not threading.current_thread()
    assert await _here(timed, brief)
    assert not await _here(timed, brief, free=False)
    assert await _here(timed, brief)


async def test_after_a_long_job_the_next_goes_to_the_thread(times: _Times, timed: Worker) -> None:
    """Wherever the long one ran: if all are long, all go to the thread."""
    took = [0.001, 0.001, MAX_BRIEF, 0.001, 0.001, MAX_BRIEF, MAX_BRIEF, MAX_BRIEF, 0.001, 0.001]
    assert [await _here(timed, times.job(each)) for each in took] == [
        False, True, True, False, True, True, False, False, False, True,
    ]  # fmt: skip


async def test_a_streak_in_the_loops_thread_has_a_limit(times: _Times, timed: Worker) -> None:
    takes = MAX_STREAK / 8 + 0.0001
    assert takes < MAX_BRIEF
    stretch = [False, *[True] * 8]
    assert [await _here(timed, times.job(takes)) for _ in range(19)] == [*stretch, *stretch, False]


async def test_a_brief_job_does_not_overtake_waiting_ones(times: _Times, timed: Worker) -> None:
    order = list[str]()
    for _ in range(2):
        await timed.run(times.job(0.001), _free)
    with _gate() as gate:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timed.run, lambda: (gate.wait(), order.append("long")))
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(timed.run, lambda: order.append("brief"), _free)
            await trio.testing.wait_all_tasks_blocked()
            before = list(order)
            gate.set()
    assert before == []
    assert order == ["long", "brief"]


async def test_jobs_in_the_loops_thread_let_others_have_a_turn_each_and_are_not_cut_short(
    times: _Times, timed: Worker
) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    brief = times.job(0.0001)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await timed.run(brief, _free)
        turns = 0
        assert all([await _here(timed, brief) for _ in range(20)])
        assert 19 <= turns <= 21
        nursery.cancel_scope.cancel()
        assert await _here(timed, brief)


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
async def test_the_error_of_a_job_in_the_loops_thread_is_raised_too(
    times: _Times, timed: Worker, error: BaseException
) -> None:
    def work() -> None:
        times.now += MAX_BRIEF
        raise error

    await timed.run(times.job(0.001), _free)
    with pytest.raises(type(error)) as caught:
        await timed.run(work, _free)
    assert caught.value is error
    assert not await _here(timed, times.job(0.001))


async def test_the_resources_of_a_job_in_the_loops_thread_are_released_after_it(times: _Times, timed: Worker) -> None:
    """Also if the job fails; and they are not acquired for a job that goes to the thread."""
    order = list[str]()

    def reserve() -> Callable[[], None]:
        order.append("take")
        return lambda: order.append("give back")

    def work() -> None:
        times.now += 0.001
        order.append("work")

    def fail() -> None:
        work()
        raise ValueError("no")

    await timed.run(work, reserve)
    assert order == ["work"]
    await timed.run(work, reserve)
    with pytest.raises(ValueError, match="no"):
        await timed.run(fail, reserve)
    assert order[1:] == 2 * ["take", "work", "give back"]


@pytest.mark.parametrize("here", [False, True])
async def test_a_failed_job_is_freed_at_once(times: _Times, timed: Worker, here: bool) -> None:
    """It may refer to a whole batch; the collector may be minutes away."""

    class Batch:
        pass

    async def fail() -> weakref.ref[Batch]:
        batch = Batch()

        def work() -> None:
            times.now += 0.001
            raise ValueError(f"not {batch}"[:3])

        with pytest.raises(ValueError, match="not"):
            await timed.run(work, _free if here else None)
        return weakref.ref(batch)

    await timed.run(times.job(0.001), _free)
    gc.disable()
    try:
        gone = await fail()
        await trio.testing.wait_all_tasks_blocked()  # the thread lets go of it too
        await timed.run(lambda: None)
        assert gone() is None
    finally:
        gc.enable()
