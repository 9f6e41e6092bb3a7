"""The client's side of the control socket: a `Marketplace` that another process runs."""

import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import trio

from betar_tui.control.answer import Answer, no_peer, request
from betar_tui.control.wire import EVENTS, line, lines, typed
from betar_tui.errors import ControlError, NoRunningPeerError, UnansweredError
from betar_tui.files.sockets import is_trusted_socket, short_way
from betar_tui.market.calls import CALLS, Call, ForwardedCalls
from betar_tui.market.marketplace import Event, Notice

T = TypeVar("T")

_BUFFER = 1024
ANSWER_TIME, SIGN_TIME = 8.0, 4.0
"""Seconds after which a peer that has not answered a call is asked for a sign of life, and those that this may take."""
_ATTACHED = "Attached to the peer that runs on this data directory; it goes on when you leave"


class ControlClient(ForwardedCalls):
    """The marketplace of the peer that listens at `path`. Each call opens a connection, so a restarted peer is found again.

    In addition to the errors of `Marketplace`, every call raises NoRunningPeerError if no peer listens, ControlError if the
    peer ends before it has answered, and UnansweredError if it gives no sign of life. Some calls take long: a peer that
    answers others meanwhile is waited for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def running(self) -> bool:
        """Whether a peer listens."""
        try:
            async with await self._connect():
                return True
        except NoRunningPeerError:
            return False

    @asynccontextmanager
    async def events(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """See `Marketplace`. The first event says that the peer is another process; the channel ends when the peer stops."""
        async with await self._connect() as stream:
            messages = lines(stream)
            answer = None
            with suppress(trio.BrokenResourceError):
                await stream.send_all(line({"jsonrpc": "2.0", "id": 1, "method": "events"}))
                with trio.move_on_after(ANSWER_TIME + SIGN_TIME) as late:
                    answer = await anext(messages, None)
                if late.cancelled_caught:
                    raise _unanswered(stream)
            if answer is None:
                raise ControlError("the peer left before it sent an event; see its log, then start it again")
            async with trio.open_nursery() as nursery:
                send, receive = trio.open_memory_channel[Event](_BUFFER)
                send.send_nowait(Notice("info", _ATTACHED, time.time()))
                nursery.start_soon(_forward, messages, send)
                async with receive:
                    yield receive
                nursery.cancel_scope.cancel()

    async def _call(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        asked, answer = request(call, args, kwargs), Answer(call)
        async with await self._connect() as stream:
            answers = lines(stream)
            with suppress(trio.BrokenResourceError):
                await self._while_alive(stream, lambda: stream.send_all(asked))
                while message := await self._while_alive(stream, lambda: anext(answers, None)):
                    if "part" not in message:
                        answer.add(message)
                        break
                    await trio.to_thread.run_sync(answer.add, message)
        return answer.result()

    async def _while_alive(self, stream: trio.SocketStream, wait: Callable[[], Awaitable[T]]) -> T:
        """What is waited for, as long as the peer gives signs of life; else raises UnansweredError."""
        silent = False
        done: list[T] = []

        async def look() -> None:
            nonlocal silent
            while not silent:
                await trio.sleep(ANSWER_TIME)
                silent = not await self._gives_sign()
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            done.append(await wait())
            nursery.cancel_scope.cancel()
        if not done:
            raise _unanswered(stream)
        return done[0]

    async def _gives_sign(self) -> bool:
        """Whether the peer answers a call of which it knows the answer, or has ended, which is found out elsewhere."""
        with trio.move_on_after(SIGN_TIME) as late, suppress(NoRunningPeerError, trio.BrokenResourceError):
            async with await self._connect() as stream:
                await stream.send_all(request(CALLS["blocks"], (), {}))
                await stream.receive_some(1)
        return not late.cancelled_caught

    async def _connect(self) -> trio.SocketStream:
        if not is_trusted_socket(self._path):
            raise no_peer(self._path)
        try:
            with short_way(self._path) as way:
                return await trio.open_unix_socket(way)
        except OSError as error:
            raise no_peer(self._path) from error


def _unanswered(stream: trio.SocketStream) -> UnansweredError:
    """The error where the peer at the other end gives no sign of life."""
    if not hasattr(socket, "SO_PEERCRED"):
        return UnansweredError("the peer does not answer; if it is stopped, fg in its terminal lets it go on")
    pid, _, _ = struct.unpack(
        "iII", stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    )
    return UnansweredError(
        f"the peer, process {pid}, does not answer; if it is stopped, fg in its terminal or kill -CONT {pid} lets it go on"
    )


async def _forward(messages: AsyncIterator[dict[str, Any]], send: trio.MemorySendChannel[Event]) -> None:
    async with send:
        try:
            async for message in messages:
                kind = EVENTS.get(str(message.get("event")))
                if kind is not None:
                    await send.send(typed(kind, message.get("data")))
        except (trio.BrokenResourceError, trio.ClosedResourceError, ControlError):
            return
