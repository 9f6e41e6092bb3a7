"""asyncio's own machinery works on the loop inside trio, with every version of Python."""

from __future__ import annotations

import asyncio

import trio
import trio_asyncio


def test_tasks_timers_groups_and_time_limits_run_on_the_loop_inside_trio() -> None:
    async def inside() -> list[object]:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            slow = group.create_task(asyncio.sleep(0.01, "slow"))
            quick = group.create_task(asyncio.sleep(0, "quick"))
        waiting = loop.create_future()
        loop.call_soon(waiting.set_result, "called")
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        assert asyncio.current_task() is task
        return [slow.result(), quick.result(), await waiting]

    async def main() -> list[object]:
        async with trio_asyncio.open_loop():
            found: list[object] = await trio_asyncio.aio_as_trio(inside)()
            return found

    assert trio.run(main) == ["slow", "quick", "called"]
