"""The thread for short jobs: in order, one at a time, and nobody who waits is left waiting."""

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import trio
import trio.testing

from betar_tui.p2p.worker import LONG, ROW, WARY, Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("jobs")
    yield worker
    worker.close()


@contextmanager
def _gate() -> Iterator[threading.Event]:
    """Open at the end in any case: who waits for it in a thread cannot be cancelled."""
    gate = threading.Event()
    try:
        yield gate
    finally:
        gate.set()


def _threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "jobs"]


async def test_jobs_are_done_in_one_thread_that_is_not_ours(worker: Worker) -> None:
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
async def test_what_a_job_raises_is_raised_where_it_was_asked_for(worker: Worker, error: BaseException) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await worker.run(work)
    assert caught.value is error
    assert await worker.run(lambda: 7) == 7


async def test_whoever_is_cancelled_waits_for_the_job_and_gets_its_result(worker: Worker) -> None:
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

    with pytest.raises(KeyboardInterrupt):
        trio.run(ask)
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
    """A clock that goes on only where a test says so, and jobs that take as long as it says."""

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


async def _here(worker: Worker, job: Callable[[], threading.Thread], brief: bool = True) -> bool:
    """Whether a job was done in the loop's thread."""
    return await worker.run(job, brief) is threading.current_thread()


async def test_brief_jobs_in_a_row_are_done_in_the_loops_thread(times: _Times, timed: Worker) -> None:
    brief = times.job(0.001)
    assert [await _here(timed, brief) for _ in range(4)] == [False, True, True, True]
    times.now += 2 * ROW
    assert [await _here(timed, brief) for _ in range(2)] == [False, True]


async def test_a_job_that_may_be_long_is_never_done_there(times: _Times, timed: Worker) -> None:
    brief = times.job(0.001)
    assert [await _here(timed, brief, how) for how in (True, False, True, False)] == [False, False, True, False]


@pytest.mark.parametrize("before", [0, 1, 5])
async def test_after_a_long_one_the_thread_does_them_for_a_while(times: _Times, timed: Worker, before: int) -> None:
    """Wherever the long one was done."""
    brief = times.job(0.001)
    for _ in range(before):
        await timed.run(brief, brief=True)
    await timed.run(times.job(LONG), brief=True)
    until = times.now + WARY
    seen = []
    while times.now < until:
        seen.append(await _here(timed, brief))
    assert len(seen) > 500
    assert not any(seen)
    assert await _here(timed, brief)


async def test_a_brief_one_does_not_overtake_what_waits(times: _Times, timed: Worker) -> None:
    order = list[str]()
    for _ in range(2):
        assert await timed.run(times.job(0.001), brief=True)
    with _gate() as gate:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timed.run, lambda: (gate.wait(), order.append("long")))
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(timed.run, lambda: order.append("brief"), True)
            await trio.testing.wait_all_tasks_blocked()
            before = list(order)
            gate.set()
    assert before == []
    assert order == ["long", "brief"]


async def test_a_row_lets_others_have_their_turns_and_is_not_cut_short(times: _Times, timed: Worker) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for _ in range(20):
            await timed.run(times.job(0.001), brief=True)
        assert turns >= 19
        nursery.cancel_scope.cancel()
        assert await _here(timed, times.job(0.001))


async def test_what_a_brief_job_raises_is_raised_there_too(times: _Times, timed: Worker) -> None:
    def work() -> None:
        times.now += LONG
        raise ValueError("no")

    await timed.run(times.job(0.001), brief=True)
    with pytest.raises(ValueError, match="no"):
        await timed.run(work, brief=True)
    assert not await _here(timed, times.job(0.001))
