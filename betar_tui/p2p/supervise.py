"""Background services that outlive their own mistakes.

A service is an async function that normally never returns. When it raises, the error is logged, the service is
started again after a growing pause, and meanwhile `troubles()` says so in words for a person. Cancellation passes
through untouched. This file knows nothing of the network.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
CALM = 60.0  # seconds a restarted service must run before its past failures are forgotten


class Supervisor:
    """Runs services in one nursery and restarts the ones that fail."""

    def __init__(self, nursery: trio.Nursery, first_pause: float = FIRST_PAUSE) -> None:
        self._nursery = nursery
        self._first_pause = first_pause
        self._troubles: dict[str, str] = {}

    def start(self, name: str, service: Callable[[], Awaitable[None]]) -> None:
        """Run `service` under `name` until the nursery is cancelled or it returns."""
        self._nursery.start_soon(self._run, name, service, name=name)

    def start_once(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        """Run a short job once; an error in it is logged and ends only the job."""
        self._nursery.start_soon(self._run_once, name, job, name=name)

    def report(self, name: str, what: str) -> None:
        """Show a trouble that somebody else found; an empty `what` clears it."""
        if what:
            self._troubles[name] = what
        else:
            self._troubles.pop(name, None)

    def troubles(self) -> tuple[str, ...]:
        """What does not work at the moment, one sentence each."""
        return tuple(f"{name}: {what}" for name, what in self._troubles.items())

    async def _run(self, name: str, service: Callable[[], Awaitable[None]]) -> None:
        pause = self._first_pause
        while True:
            started = trio.current_time()
            try:
                await service()
                return
            except Exception as error:
                log.exception("service %s failed and is started again", name)
                if trio.current_time() - started > CALM:
                    pause = self._first_pause
                self._troubles[name] = f"failed ({type(error).__name__}: {error}); started again"
            await trio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            self._nursery.start_soon(self._forget_when_calm, name, self._troubles[name])

    async def _forget_when_calm(self, name: str, what: str) -> None:
        await trio.sleep(CALM)
        if self._troubles.get(name) == what:
            del self._troubles[name]

    async def _run_once(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except Exception:
            log.exception("%s failed", name)
