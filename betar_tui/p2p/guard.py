"""Nothing a peer sends may end more than its own stream.

Two guards, used by every other file of the room. `GuardedManager` runs the library's services; `guarded` wraps a
stream handler. Both let cancellation through and turn any other exception into a log line and a report.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p.abc import INetStream
from libp2p.io.exceptions import IOException
from libp2p.network.connection.exceptions import RawConnError
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.exceptions import StreamError
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.tools.anyio_service.api import ServiceAPI
from libp2p.tools.anyio_service.trio_manager import TrioManager

log = logging.getLogger(__name__)

StreamHandler = Callable[[INetStream], Awaitable[None]]
Charge = Callable[[str, str], None]

# A connection or stream that ended under our hands: nobody is to blame.
ENDED = (
    StreamError,
    MuxedStreamError,
    SwarmException,
    RawConnError,
    IOException,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.EndOfChannel,
    trio.TooSlowError,
)

RESTART_PAUSE = 1.0


def has_ended(error: BaseException) -> bool:
    """Whether `error` (or every part of a group of errors) only says that a connection or stream is over."""
    if isinstance(error, BaseExceptionGroup):
        return all(has_ended(part) for part in error.exceptions)
    return isinstance(error, ENDED)


class GuardedManager(TrioManager):
    """Runs one of the library's services (swarm, pubsub, router) without its habit of dying whole.

    py-libp2p 0.8.1: an exception in any task of a service cancels the service and ends the whole `trio.run`, and
    starting a task walks all tasks of the service. Here a failed task ends alone, a failed daemon task (the gossip
    heartbeat) starts again, and tasks have no parents.
    """

    def __init__(self, service: ServiceAPI, report: Callable[[str, BaseException], None]) -> None:
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
        """Run `async_fn(*args)` in the background; see the class."""
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


async def start_service(nursery: trio.Nursery, service: Any, report: Callable[[str, BaseException], None]) -> None:
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


def guarded(handler: StreamHandler, charge: Charge) -> StreamHandler:
    """`handler` with its exceptions contained: logged, charged to the peer, the stream reset.

    py-libp2p 0.8.1: any stream handler that raises ends the whole `trio.run`.
    """

    async def run(stream: INetStream) -> None:
        try:
            await handler(stream)
        except Exception as error:
            if has_ended(error):
                log.debug("stream ended: %r", error)
            else:
                peer = str(stream.muxed_conn.peer_id)
                log.warning("handler of %s failed on a stream from %s: %r", stream.get_protocol(), peer, error)
                charge(peer, f"a stream of {stream.get_protocol() or 'no protocol yet'} failed: {error!r}")
        else:
            return
        await quiet_reset(stream)

    return run


async def quiet_reset(stream: INetStream) -> None:
    """Reset a stream that may be gone already, without waiting on a full pipe for long."""
    with trio.move_on_after(1):
        try:
            await stream.reset()
        except Exception as error:
            log.debug("reset of a stream that has ended: %r", error)
