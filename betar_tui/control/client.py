"""The client's side of the control socket: a `Marketplace` that another process runs."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import trio

from betar_tui.control.answer import Answer, no_peer, request
from betar_tui.control.wire import EVENTS, line, lines, typed
from betar_tui.errors import ControlError, NoRunningPeerError
from betar_tui.files.sockets import is_trusted_socket
from betar_tui.market.calls import Call, ForwardedCalls
from betar_tui.market.marketplace import Event, Notice

_BUFFER = 1024
_ATTACHED = "Attached to the peer that runs on this data directory; it goes on when you leave"


class ControlClient(ForwardedCalls):
    """The marketplace of the peer that listens at `path`. Each call opens a connection, so a restarted peer is found again.

    In addition to the errors of `Marketplace`, every call raises NoRunningPeerError if no peer listens, and ControlError if
    the peer stops before it has answered."""

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
                answer = await anext(messages, None)
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
            with suppress(trio.BrokenResourceError):
                await stream.send_all(asked)
                async for message in lines(stream):
                    if "part" not in message:
                        answer.add(message)
                        break
                    await trio.to_thread.run_sync(answer.add, message)
        return answer.result()

    async def _connect(self) -> trio.SocketStream:
        if not is_trusted_socket(self._path):
            raise no_peer(self._path)
        try:
            return await trio.open_unix_socket(str(self._path))
        except OSError as error:
            raise no_peer(self._path) from error


async def _forward(messages: AsyncIterator[dict[str, Any]], send: trio.MemorySendChannel[Event]) -> None:
    async with send:
        try:
            async for message in messages:
                kind = EVENTS.get(str(message.get("event")))
                if kind is not None:
                    await send.send(typed(kind, message.get("data")))
        except (trio.BrokenResourceError, trio.ClosedResourceError, ControlError):
            return
