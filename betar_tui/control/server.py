"""The server's side of the control socket: a `Marketplace` offered to the owner's other processes."""

import contextlib
import logging
import os
import socket
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import trio

from betar_tui.control.parts import cut
from betar_tui.control.wire import argument, error_to_plain, line, lines, plain
from betar_tui.errors import BetarError, ControlError
from betar_tui.market.calls import CALLS
from betar_tui.market.marketplace import Event, Marketplace, Missed

log = logging.getLogger(__name__)

BACKLOG = 64  # connections that wait to be accepted


async def serve_control(marketplace: Marketplace, path: Path, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    """Answer calls on the socket at `path` until cancelled. Raises ControlError when the socket cannot be made.

    The caller holds the lock of the data directory, so an older socket there is a leftover and is replaced."""
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(_listen(path)))
    try:
        async with listener, trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, lambda stream: _serve(stream, marketplace), [listener])
            task_status.started()
    finally:
        with contextlib.suppress(FileNotFoundError), trio.CancelScope(shield=True):
            await trio.Path(path).unlink()


def _listen(path: Path) -> socket.socket:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = path.parent.stat()
        if owner.st_uid != os.getuid() or stat.S_IMODE(owner.st_mode) & 0o022:
            raise ControlError(f"{path.parent} can be written by others; make it private: chmod go-w {path.parent}")
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old = os.umask(0o177)
        try:
            sock.bind(os.fspath(path))
        finally:
            os.umask(old)
        sock.listen(BACKLOG)
    except OSError as error:
        raise ControlError(f"cannot listen on {path}: {error.strerror}; commands would not reach this peer") from error
    return sock


async def _serve(stream: trio.SocketStream, marketplace: Marketplace) -> None:
    """Answer the calls of one connection, one after the other. A failure ends this connection only."""
    try:
        try:
            async for request in lines(stream):
                if request.get("method") == "events":
                    await _stream_events(stream, marketplace)
                    return
                async with aclosing(_answer(request, marketplace)) as messages:
                    async for message in messages:
                        await stream.send_all(message)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("control: a client left")
        except* ControlError as group:
            log.warning("control: %s", group.exceptions[0])
    except Exception:
        log.exception("control: a connection failed")


async def _answer(request: dict[str, Any], marketplace: Marketplace) -> AsyncGenerator[bytes, None]:
    """The messages that answer one call. A bug in it is logged and answered like any error.

    Encoding a hundred thousand listings as JSON takes seconds: it is done in parts, in a worker thread."""
    head: dict[str, object] = {"jsonrpc": "2.0", "id": request.get("id")}
    try:
        name = str(request.get("method"))
        call = CALLS.get(name)
        given = request.get("params") or {}
        fits = isinstance(given, dict) and call is not None and call.required <= given.keys() <= call.parameters.keys()
        if call is None or not fits:
            raise ControlError(f"the running peer knows no call {name} of this form; is it another version?")
        arguments = {key: argument(call.parameters[key], value) for key, value in given.items()}
        parts, rest = cut(await getattr(marketplace, name)(**arguments))
        for part in parts:
            yield await trio.to_thread.run_sync(_message, head, "part", part)
        yield _message(head, "result", rest)
    except BetarError as error:
        yield line({**head, "error": error_to_plain(error)})
    except Exception as error:
        log.exception("control: %s failed", request.get("method"))
        failure = ControlError(f"the running peer failed: {type(error).__name__}: {error}; its log has more")
        yield line({**head, "error": error_to_plain(failure)})


def _message(head: dict[str, object], name: str, value: object) -> bytes:
    return line({**head, name: plain(value)})


async def _stream_events(stream: trio.SocketStream, marketplace: Marketplace) -> None:
    """Send events until the client closes its end of the stream."""
    async with trio.open_nursery() as nursery, marketplace.events() as events:
        await stream.send_all(line({"jsonrpc": "2.0", "result": "subscribed"}))

        async def watch_for_leaving() -> None:
            await stream.receive_some(1)
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch_for_leaving)
        async for event in events:
            await stream.send_all(_event(event))


def _event(event: Event) -> bytes:
    """The message of an event. One that cannot be encoded counts as missed, so that the client loads the state again."""
    try:
        return line({"event": type(event).__name__, "data": plain(event)})
    except Exception:
        log.exception("control: an event cannot be encoded")
        return line({"event": Missed.__name__, "data": plain(Missed(1))})
