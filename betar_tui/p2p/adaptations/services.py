"""The library's services, of which a failed task ends neither its service nor the process, and its log lines."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p.tools.anyio_service.api import ServiceAPI
from libp2p.tools.anyio_service.trio_manager import TrioManager

from betar_tui.p2p.guard import Report, has_ended

log = logging.getLogger(__name__)

RESTART_PAUSE = 1.0
"""Seconds before a failed daemon task starts again."""


class GuardedManager(TrioManager):
    """Runs one of the library's services (swarm, pubsub, router) so that a failed task ends alone.

    py-libp2p 0.8.1: an exception in any task of a service cancels the service and ends the whole `trio.run`, and
    starting a task walks all tasks of the service (docs/py-libp2p.md#failures-that-end-the-run). Here a failed daemon
    task (the gossip heartbeat) starts again, and tasks have no parents."""

    def __init__(self, service: ServiceAPI, report: Report) -> None:
        super().__init__(service)
        self._report = report

    def run_task(
        self,
        async_fn: Callable[..., Awaitable[Any]],
        *args: Any,
        daemon: bool = False,
        name: str | None = None,
        _internal: bool = False,
    ) -> None:
        """Run `async_fn(*args)` in the background."""
        label = name or str(getattr(async_fn, "__qualname__", async_fn))
        if _internal:
            super().run_task(async_fn, *args, daemon=daemon, name=name, _internal=True)
            return

        async def contained() -> None:
            while True:
                try:
                    await async_fn(*args)
                    return
                except Exception as error:
                    if has_ended(error):
                        log.debug("task %s ended: %r", label, error)
                    else:
                        self._report(label, error)
                    if not daemon:
                        return
                await trio.sleep(RESTART_PAUSE)

        super().run_task(contained, daemon=False, name=label)

    def _find_parent_task(self, trio_task: trio.lowlevel.Task) -> None:
        return None


async def start_service(nursery: trio.Nursery, service: Any, report: Report) -> None:
    """Run one of the library's services in `nursery` under a `GuardedManager`; returns when it has started."""
    manager = GuardedManager(service, report)
    service._manager = manager

    async def run() -> None:
        try:
            await manager.run()
        except Exception as error:
            report(type(service).__name__, error)

    nursery.start_soon(run)
    await manager.wait_started()


def quiet_library() -> None:
    """Keep libp2p's log lines away from the terminal; its logger "libp2p" stays an ordinary one, at level CRITICAL.

    py-libp2p 0.8.1: lost connections are logged as errors, by a logger that is cut off from the application's
    handlers and so prints to stderr; and some files log with `logging.warning(...)`, which puts such a handler on the
    root logger (docs/py-libp2p.md#the-rest)."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    library = logging.getLogger("libp2p")
    if not library.propagate and not library.handlers:
        library.propagate = True
        library.setLevel(logging.CRITICAL)
