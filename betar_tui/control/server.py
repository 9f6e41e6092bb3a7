"""The server's side of the control socket: a `Marketplace` offered to the owner's other processes."""

import contextlib
import logging
import os
import select
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import trio

from betar_tui.control.parts import cut
from betar_tui.control.wire import ALIVE, PING_CALL, argument, error_to_plain, line, lines, plain
from betar_tui.errors import BetarError, ControlError
from betar_tui.files.passing import FLAGS, SPACE, received
from betar_tui.files.rules import explain
from betar_tui.files.sockets import bind_socket, remove_socket
from betar_tui.market.calls import CALLS
from betar_tui.market.marketplace import Event, Marketplace, Missed

log = logging.getLogger(__name__)

BACKLOG = 64  # connections that wait to be accepted
DESCRIPTOR = "descriptor"
"""The parameter of calls that are given an open file."""
MAX_WAITING = 1
"""Maximum open files of one connection that no request has taken yet."""
LEAVING = 0.1
"""Seconds between two looks whether a client that sends no more has left."""


class Followers:
    """How many programs follow the events of a peer: other windows, `watch`."""

    def __init__(self) -> None:
        self.count = 0

    @contextlib.contextmanager
    def another(self) -> Iterator[None]:
        """Count one more meanwhile."""
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


async def serve_control(
    marketplace: Marketplace,
    path: Path,
    followers: Followers | None = None,
    *,
    task_status: Any = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer calls on the socket at `path` until cancelled, and count those who follow the events. Raises ControlError
    when the socket cannot be made.

    The caller holds the lock of the data directory, so an older socket there is a leftover and is replaced."""
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(_listen(path)))
    try:
        async with listener, trio.open_nursery() as nursery:
            counted = followers or Followers()
            await nursery.start(trio.serve_listeners, lambda stream: _serve(stream, marketplace, counted), [listener])
            task_status.started()
    finally:
        with contextlib.suppress(OSError), trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(remove_socket, path)


def _listen(path: Path) -> socket.socket:
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bind_socket(sock, path)
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        otherwise = "commands would not reach this peer"
        raise ControlError(explain(error, f"cannot listen on {path}", otherwise)) from error
    return sock


class Passed(trio.abc.ReceiveStream):
    """What comes on a connection, and the open files that come with it: this process opens none for others."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._descriptors: list[int] = []

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            data, messages, _, _ = await self.stream.socket.recvmsg(max_bytes or 1 << 16, SPACE, FLAGS)
        except OSError as error:
            raise trio.BrokenResourceError from error
        self._descriptors += received(messages)
        while len(self._descriptors) > MAX_WAITING:
            os.close(self._descriptors.pop())
        return data

    def take(self) -> int:
        """The file that came with the request, for the caller to close. Raises ControlError."""
        if not self._descriptors:
            raise ControlError(
                "the running peer opens no files for others, and none was handed over; is it another version?"
            )
        return self._descriptors.pop(0)

    def close(self) -> None:
        """Close the files."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    async def aclose(self) -> None:
        self.close()
        await self.stream.aclose()


async def _serve(stream: trio.SocketStream, marketplace: Marketplace, followers: Followers) -> None:
    """Answer the calls of one connection, one after the other; a call whose client has left is cancelled. A failure ends
    this connection only."""
    try:
        try:
            with contextlib.closing(Passed(stream)) as passed:
                async with trio.open_nursery() as nursery:
                    send, requests = trio.open_memory_channel[dict[str, Any] | ControlError](0)
                    nursery.start_soon(_read_requests, passed, send, nursery.cancel_scope)
                    await _answer_all(passed, requests, marketplace, followers)
                    nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("control: a client left")
        except* ControlError as group:
            log.warning("control: %s", group.exceptions[0])
    except Exception:
        log.exception("control: a connection failed")


async def _read_requests(
    passed: Passed, send: trio.MemorySendChannel[dict[str, Any] | ControlError], answering: trio.CancelScope
) -> None:
    """Hand over the requests of a connection, and the error if a line is not one; end the answering when nobody waits."""
    try:
        async with send:
            try:
                async for request in lines(passed):
                    await send.send(request)
            except ControlError as error:
                await send.send(error)
        while not _has_left(passed.stream):  # noqa: ASYNC110 - a client that sends no more may still read; the kernel tells no more
            await trio.sleep(LEAVING)
    except trio.BrokenResourceError:
        pass
    answering.cancel()


def _has_left(stream: trio.SocketStream) -> bool:
    """Whether the other side has closed the connection altogether."""
    poll = select.poll()
    poll.register(stream.socket.fileno(), 0)
    return bool(poll.poll(0))


async def _answer_all(
    passed: Passed,
    requests: trio.MemoryReceiveChannel[dict[str, Any] | ControlError],
    marketplace: Marketplace,
    followers: Followers,
) -> None:
    async for request in requests:
        if isinstance(request, ControlError):
            raise request
        if request.get("method") == PING_CALL:
            await passed.stream.send_all(line({"jsonrpc": "2.0", "id": request.get("id"), "result": ALIVE}))
            continue
        if request.get("method") == "events":
            with followers.another():
                await _stream_events(passed.stream, requests, marketplace)
            return
        async with aclosing(_answer(request, marketplace, passed)) as messages:
            async for message in messages:
                await passed.stream.send_all(message)
        passed.close()  # a file that the call does not take is not left for the next one


async def _answer(request: dict[str, Any], marketplace: Marketplace, passed: Passed) -> AsyncGenerator[bytes, None]:
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
        with contextlib.ExitStack() as taken:
            if DESCRIPTOR in call.parameters:
                arguments[DESCRIPTOR] = passed.take()
                taken.callback(os.close, arguments[DESCRIPTOR])
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


async def _stream_events(
    stream: trio.SocketStream,
    requests: trio.MemoryReceiveChannel[dict[str, Any] | ControlError],
    marketplace: Marketplace,
) -> None:
    """Send events until the client closes its end of the stream, or sends more."""
    async with trio.open_nursery() as nursery, marketplace.events() as events:
        await stream.send_all(line({"jsonrpc": "2.0", "result": "subscribed"}))

        async def watch_for_leaving() -> None:
            await anext(requests, None)
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
