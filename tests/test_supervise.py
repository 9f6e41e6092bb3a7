"""Services that are started again, and jobs that may fail."""

import logging

import pytest
import trio
import trio.testing

from betar_tui.errors import StoreError
from betar_tui.supervise import CALM, FIRST_PAUSE, STORE_FAILURES, Supervisor


async def test_a_service_that_fails_is_started_again_and_said(autojump_clock: trio.testing.MockClock) -> None:
    starts = []

    async def service() -> None:
        starts.append(trio.current_time())
        if len(starts) < 3:
            raise OSError("no route")
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(nursery)
        begun = trio.current_time()
        supervisor.start("wants", service)
        await trio.sleep(10)
        assert [at - begun for at in starts] == pytest.approx([0, FIRST_PAUSE, 3 * FIRST_PAUSE])
        assert supervisor.troubles() == ("wants: failed (OSError: no route); started again",)
        await trio.sleep(CALM)
        assert supervisor.troubles() == ()
        nursery.cancel_scope.cancel()


async def test_a_store_that_stays_broken_ends_the_peer(autojump_clock: trio.testing.MockClock) -> None:
    starts = []

    async def service() -> None:
        starts.append(1)
        raise StoreError("disk image is malformed")

    with pytest.raises(ExceptionGroup) as raised:
        async with trio.open_nursery() as nursery:
            Supervisor(nursery).start("merges", service)
    assert raised.group_contains(StoreError)
    assert len(starts) == STORE_FAILURES


@pytest.mark.parametrize("once", [True, False])
async def test_a_failure_while_it_is_stopped_is_logged_and_does_not_spread(
    once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A nursery in the service raises the cancellation and the failure as one group."""

    async def fails_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("the socket is gone")

    async def service() -> None:
        async with trio.open_nursery() as inside:
            inside.start_soon(fails_late)
            inside.start_soon(trio.sleep_forever)

    with caplog.at_level(logging.ERROR):
        async with trio.open_nursery() as nursery:
            supervisor = Supervisor(nursery)
            (supervisor.start_once if once else supervisor.start)("wants", service)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert "wants failed while it was stopped" in caplog.text
    assert "the socket is gone" in caplog.text
