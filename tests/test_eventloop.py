"""Coroutines that start without an event loop and continue in one where they need it."""

from contextlib import asynccontextmanager, contextmanager

import pytest
import trio
import trio.lowlevel

from betar_tui.eventloop import event_loop, run


async def nothing() -> None:
    """Something to await that never waits."""


@pytest.mark.parametrize("late", [True, False])
def test_the_loop_runs_from_where_it_is_needed(late):
    seen = []

    @asynccontextmanager
    async def resource():
        seen.append(("opened", trio.lowlevel.in_trio_run()))
        await nothing()
        if late:
            await event_loop()
            await trio.lowlevel.checkpoint()
        try:
            yield 7
        finally:
            seen.append(("closed", trio.lowlevel.in_trio_run()))

    async def work() -> int:
        async with resource() as number:
            await nothing()
            return number

    assert run(work) == 7
    assert seen == [("opened", False), ("closed", late)]


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_errors_come_out_and_blocks_are_left(late, error):
    left = []

    @contextmanager
    def block():
        try:
            yield
        finally:
            left.append(True)

    async def work() -> None:
        with block():
            if late:
                await event_loop()
                await trio.lowlevel.checkpoint()
            raise error

    with pytest.raises(error):
        run(work)
    assert left == [True]


async def test_in_trio_it_waits_for_nothing():
    await event_loop()
    await event_loop()


def test_once_the_loop_runs_it_is_there_for_good():
    async def work() -> bool:
        for _ in range(2):
            await event_loop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(event_loop_of_a_child)
        return trio.lowlevel.in_trio_run()

    async def event_loop_of_a_child() -> None:
        await event_loop()

    assert run(work)
