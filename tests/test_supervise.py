"""Services and jobs that fail while they are stopped; the rest is in p2p/test_guard."""

import logging

import pytest
import trio
import trio.testing

from betar_tui.supervise import Supervisor


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
