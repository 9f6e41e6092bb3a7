"""The lock that the adapted library uses: it excludes, it is fair, and it is free while nobody else wants it."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from betar_tui.concurrency import FastLock, Wakeup, shielded_nursery, until_tick


class _Turns(trio.abc.Instrument):
    """Counts turns of the loop."""

    def __init__(self) -> None:
        self.count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


async def test_taking_a_free_lock_is_no_turn_of_the_loop() -> None:
    turns = _Turns()
    lock = FastLock()
    trio.lowlevel.add_instrument(turns)
    try:
        for _ in range(50):
            async with lock:
                assert lock.locked()
        assert turns.count == 0
        async with trio.Lock():
            pass
        assert turns.count == 1
    finally:
        trio.lowlevel.remove_instrument(turns)
    assert not lock.locked()


async def test_one_at_a_time_in_the_order_of_asking() -> None:
    lock, order, inside = FastLock(), list[int](), 0

    async def work(n: int) -> None:
        nonlocal inside
        async with lock:
            inside += 1
            assert inside == 1
            await trio.lowlevel.checkpoint()
            order.append(n)
            inside -= 1

    async with trio.open_nursery() as nursery:
        await lock.acquire()
        for n in range(9):
            nursery.start_soon(work, n)
            await trio.testing.wait_all_tasks_blocked()
        lock.release()
    assert order == list(range(9))
    assert not lock.locked()


async def test_whoever_holds_it_cannot_overtake_those_that_wait() -> None:
    lock, order = FastLock(), list[str]()

    async def waiting() -> None:
        async with lock:
            order.append("waiting")

    async with trio.open_nursery() as nursery:
        await lock.acquire()
        nursery.start_soon(waiting)
        await trio.testing.wait_all_tasks_blocked()
        lock.release()
        async with lock:
            order.append("again")
    assert order == ["waiting", "again"]


@pytest.mark.parametrize("order", ["cancel", "cancel, release", "release, cancel"])
async def test_a_cancelled_wait_leaves_the_lock_to_others(order: str) -> None:
    """Whatever comes first in one turn of the loop."""
    lock, got = FastLock(), list[str]()
    scope = trio.CancelScope()

    async def leaving() -> None:
        with scope:
            async with lock:
                got.append("leaving")

    async def staying() -> None:
        async with lock:
            got.append("staying")

    async with trio.open_nursery() as nursery:
        await lock.acquire()
        nursery.start_soon(leaving)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(staying)
        await trio.testing.wait_all_tasks_blocked()
        if order == "release, cancel":
            lock.release()
            scope.cancel()
        else:
            scope.cancel()
            if order == "cancel":
                await trio.testing.wait_all_tasks_blocked()
            lock.release()
    assert got == (["leaving", "staying"] if order == "release, cancel" else ["staying"])
    assert not lock.locked()


async def test_a_cancelled_task_does_not_get_it() -> None:
    lock = FastLock()
    with trio.CancelScope() as scope:
        scope.cancel()
        async with lock:
            raise AssertionError("taken")
    assert scope.cancelled_caught
    assert not lock.locked()


async def test_nobody_gives_back_what_is_not_taken() -> None:
    with pytest.raises(RuntimeError):
        FastLock().release()


async def test_a_wakeup_that_was_set_before_is_taken_once() -> None:
    wakeup = Wakeup()
    wakeup.set()
    wakeup.set()
    await wakeup.wait()
    assert not wakeup.is_set()
    with trio.move_on_after(0) as scope:
        await wakeup.wait()
    assert scope.cancelled_caught


async def test_work_that_arrives_while_other_work_is_done_is_announced_again() -> None:
    wakeup, work, done = Wakeup(), [1], []

    async def serve() -> None:
        while len(done) < 3:
            await wakeup.wait()
            while work:
                done.append(work.pop(0))
                await trio.lowlevel.checkpoint()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            wakeup.set()
            for item in (2, 3):
                await trio.testing.wait_all_tasks_blocked()
                work.append(item)
                wakeup.set()
    assert done == [1, 2, 3]


async def test_a_cleared_wakeup_waits_for_new_work() -> None:
    wakeup = Wakeup()
    wakeup.set()
    wakeup.clear()
    assert not wakeup.is_set()
    with trio.move_on_after(0) as scope:
        await wakeup.wait()
    assert scope.cancelled_caught


async def test_those_that_wait_for_a_tick_wake_together(autojump_clock: MockClock) -> None:
    woken = []

    async def work(late: float) -> None:
        await trio.sleep(late)
        await trio.sleep(until_tick(5))
        woken.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for late in (0.1, 1.7, 4.9):
            nursery.start_soon(work, late)
    assert len(set(woken)) == 1
    assert woken[0] % 5 == 0
    assert until_tick(5) == 5
    assert until_tick(5, least=2.5) == 5
    assert until_tick(5, least=5) == 10


@pytest.mark.timeout(20)
async def test_a_shielded_nursery_does_not_start_for_a_caller_that_is_cancelled() -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as holder:
            scope.cancel()
            await holder.start(shielded_nursery)
    assert scope.cancelled_caught
