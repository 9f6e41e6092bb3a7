"""Background services that are restarted when they fail.

A service is an async function that normally never returns. When it raises, the error is logged, the service is started
again after a growing pause, and `troubles()` reports it meanwhile. Cancellation passes through, and so does a StoreError
that restarts do not cure: a peer is useless without its store."""

import logging
from collections.abc import Awaitable, Callable

import trio

from betar_tui.errors import StoreError

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds until a service that failed is started again: at first, and at most."""
CALM = 60.0
"""Seconds that a restarted service must run before its past failures are forgotten."""
STORE_FAILURES = 5
"""Number of StoreErrors, without `CALM` seconds between two of them, after which the store counts as broken."""


class Supervisor:
    """Runs services in one nursery and restarts the ones that fail."""

    def __init__(self, nursery: trio.Nursery, first_pause: float = FIRST_PAUSE) -> None:
        self._nursery = nursery
        self._first_pause = first_pause
        self._troubles: dict[str, tuple[str, float]] = {}

    def start(self, name: str, service: Callable[[], Awaitable[None]]) -> None:
        """Run `service` under `name` until the nursery is cancelled or it returns. A StoreError that restarts do not
        get rid of is raised into the nursery."""
        self._nursery.start_soon(self._run, name, service, name=name)

    def start_once(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        """Run a short job once; an error in it is logged and ends only the job."""
        self._nursery.start_soon(self._run_once, name, job, name=name)

    def report(self, name: str, what: str) -> None:
        """Show a trouble that was found outside the services, until it has not been reported for `CALM` seconds; with "",
        it is over."""
        if not what:
            self._troubles.pop(name, None)
            return
        self._troubles[name] = what, trio.current_time() + CALM

    def troubles(self) -> tuple[str, ...]:
        """The troubles of now, one sentence each."""
        now = trio.current_time()
        self._troubles = {name: (what, until) for name, (what, until) in self._troubles.items() if until > now}
        return tuple(f"{name}: {what}" for name, (what, _) in self._troubles.items())

    async def _run(self, name: str, service: Callable[[], Awaitable[None]]) -> None:
        pause = self._first_pause
        broken = 0
        while True:
            started = trio.current_time()
            try:
                await service()
                return
            except Exception as error:
                log.exception("service %s failed and is started again", name)
                if trio.current_time() - started > CALM:
                    pause = self._first_pause
                    broken = 0
                broken = broken + 1 if _is_store_error(error) else 0
                if broken >= STORE_FAILURES:
                    raise
                what = f"failed ({type(error).__name__}: {error}); started again"
                self._troubles[name] = what, trio.current_time() + pause + CALM
            except BaseExceptionGroup as group:
                raise _cancelled(name, group) from None
            await trio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _run_once(self, name: str, job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except Exception:
            log.exception("%s failed", name)
        except BaseExceptionGroup as group:
            raise _cancelled(name, group) from None


def _cancelled(name: str, group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What a service or job that failed while it was cancelled has to raise: the cancellation. The failure is logged; it
    must not end those who cancel."""
    failed, rest = group.split(Exception)
    if failed is not None:
        log.error("%s failed while it was stopped", name, exc_info=failed)
    return rest or group


def _is_store_error(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(StoreError) is not None
    return isinstance(error, StoreError)
