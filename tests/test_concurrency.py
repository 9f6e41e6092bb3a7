"""The lock that the adapted library uses: it excludes, it is fair, and it is free while nobody else wants it."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from betar_tui.concurrency import GATHER_TIME, Crowd, FastLock, Rounds, Wakeup, shielded_nursery, until_tick


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


async def rounds_begun(crowd: Crowd, comings: list[tuple[float, str]]) -> list[float]:
    """When a service began its rounds for things that come at these times, in order, of these authors."""
    rounds, waiting, begun = Rounds(crowd), Wakeup(), list[float]()

    async def serve() -> None:
        while True:
            await waiting.wait()
            await rounds.gather()
            rounds.begin()
            waiting.clear()
            begun.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        start = trio.current_time()
        for after, author in comings:
            await trio.sleep_until(start + after)
            crowd.came(author)
            waiting.set()
        await trio.sleep(2 * GATHER_TIME)
        nursery.cancel_scope.cancel()
    return [time - start for time in begun]


async def test_the_things_of_a_crowd_are_done_together(autojump_clock: MockClock) -> None:
    comings = [(number * 0.005, f"author {number % 7}") for number in range(200)]
    begun = await rounds_begun(Crowd(), comings)
    assert begun[:10] == pytest.approx([after for after, _ in comings[:10]])  # nobody waits before there is a crowd
    later = [time for time in begun if time > 0.1]
    assert len(later) == pytest.approx(0.9 / GATHER_TIME, abs=3)
    assert all(comings[-1][0] <= begun[-1] <= comings[-1][0] + GATHER_TIME for _ in begun)


@pytest.mark.parametrize(
    ("pause", "authors"), [(0.005, 1), (0.005, 3), (0.1, 50)], ids=["one author", "a few authors", "now and then"]
)
async def test_nothing_waits_without_a_crowd(pause: float, authors: int, autojump_clock: MockClock) -> None:
    comings = [(number * pause, f"author {number % authors}") for number in range(100)]
    assert await rounds_begun(Crowd(), comings) == pytest.approx([after for after, _ in comings])


async def test_what_one_service_hands_to_the_next_waits_once(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    first, second = Rounds(crowd), Rounds(crowd)
    for number in range(50):
        crowd.came(str(number))
        first.begin()
        second.begin()
        await trio.sleep(0.001)
    await first.gather()
    first.begin()
    before = trio.current_time()
    await second.gather()
    assert trio.current_time() == before


@pytest.mark.timeout(20)
async def test_a_shielded_nursery_does_not_start_for_a_caller_that_is_cancelled() -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as holder:
            scope.cancel()
            await holder.start(shielded_nursery)
    assert scope.cancelled_caught
