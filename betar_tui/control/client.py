"""The client's side of the control socket: a `Marketplace` that another process runs."""

import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import trio

from betar_tui.control import patience
from betar_tui.control.answer import Answer, no_peer, request
from betar_tui.control.wire import EVENTS, line, lines, typed
from betar_tui.errors import ControlError, NoRunningPeerError
from betar_tui.files.passing import ancillary
from betar_tui.files.sockets import connect_socket, is_trusted_socket
from betar_tui.market.calls import CALLS, Call, ForwardedCalls
from betar_tui.market.marketplace import Event, Exported, Imported, Notice

T = TypeVar("T")

_BUFFER = 1024
_ATTACHED = "Attached to the peer that runs on this data directory; it goes on when you leave"


class ControlClient(ForwardedCalls):
    """The marketplace of the peer that listens at `path`. Each call opens a connection, so a restarted peer is found again.

    In addition to the errors of `Marketplace`, every call raises NoRunningPeerError if no peer listens, ControlError if the
    peer ends before it has answered, and UnansweredError if it does not answer at all. The caller opens
    the files of archives."""

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
            with trio.move_on_after(patience.ANSWER_WITHIN + patience.ALIVE_WITHIN) as limit:
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(line({"jsonrpc": "2.0", "id": 1, "method": "events"}))
                    answer = await anext(messages, None)
            if limit.cancelled_caught:
                raise patience.silent(self._path, patience.holder_of(self._path))
            if answer is None:
                raise ControlError("the peer left before it sent an event; see its log, then start it again")
            async with trio.open_nursery() as nursery:
                send, receive = trio.open_memory_channel[Event](_BUFFER)
                send.send_nowait(Notice("info", _ATTACHED, time.time()))
                nursery.start_soon(_forward, messages, send)
                async with receive:
                    yield receive
                nursery.cancel_scope.cancel()

    async def export_car(self, path: str, heads: Sequence[str] = (), descriptor: int | None = None) -> Exported:
        """See `Marketplace`. Raises ControlError without a descriptor: the peer opens no file for others."""
        exported: Exported = await self._call(CALLS["export_car"], path, heads, passed=descriptor)
        return exported

    async def import_car(self, path: str, descriptor: int | None = None) -> Imported:
        """See `Marketplace`. Raises ControlError without a descriptor."""
        imported: Imported = await self._call(CALLS["import_car"], path, passed=descriptor)
        return imported

    async def _call(self, call: Call, *args: Any, passed: int | None = None, **kwargs: Any) -> Any:
        asked, answer = request(call, args, kwargs), Answer(call)
        async with await self._connect() as stream:
            with suppress(trio.BrokenResourceError):
                patient = _Patient(stream, call.name, self._require_life)
                await patient.send(asked, passed)
                async for message in lines(patient):
                    if "part" not in message:
                        answer.add(message)
                        break
                    await trio.to_thread.run_sync(answer.add, message)
        return answer.result()

    async def _require_life(self, pid: int) -> None:
        """Raises ControlError unless the peer answers a second connection."""
        if patience.is_stopped(pid):
            raise patience.silent(self._path, pid)
        with trio.move_on_after(patience.ALIVE_WITHIN), suppress(trio.BrokenResourceError):
            async with await self._connect() as stream:
                await stream.send_all(patience.PING)
                if await stream.receive_some(1):
                    return
        raise patience.silent(self._path, pid)

    async def _connect(self) -> trio.SocketStream:
        """Raises NoRunningPeerError, ControlError."""
        deadline = trio.current_time() + patience.ANSWER_WITHIN
        while is_trusted_socket(self._path):
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            try:
                connect_socket(sock, self._path)  # which never waits: trio would take EAGAIN for "under way"
                return trio.SocketStream(trio.socket.from_stdlib_socket(sock))
            except BlockingIOError as error:  # too many wait to be accepted
                sock.close()
                if trio.current_time() > deadline:
                    raise patience.silent(self._path, patience.holder_of(self._path)) from error
                await trio.sleep(patience.RETRY)
            except OSError as error:
                sock.close()
                raise no_peer(self._path) from error
        raise no_peer(self._path)


class _Patient(trio.abc.ReceiveStream):
    """What goes and comes on a connection, however long the peer takes while it is alive."""

    def __init__(self, stream: trio.SocketStream, call: str, require_life: Callable[[int], Awaitable[None]]) -> None:
        self._stream, self._call, self._require_life = stream, call, require_life

    async def send(self, data: bytes, passed: int | None) -> None:
        """Send a request, with an open file if one is passed. Raises ControlError, BrokenResourceError."""
        rest = memoryview(data)
        with_file = ancillary(passed) if passed is not None else []
        try:
            while rest:
                # Cancelled, it has sent nothing, which `send_all` does not promise.
                sent = await self._patiently(partial(self._stream.socket.sendmsg, [rest], with_file))
                rest, with_file = rest[sent:], []
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._patiently(partial(self._stream.receive_some, max_bytes))

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        pid = patience.process_of(self._stream.socket)
        deadline = trio.current_time() + patience.GIVE_UP_AFTER
        while True:
            with trio.move_on_after(patience.ANSWER_WITHIN):
                return await step()
            await self._require_life(pid)
            if trio.current_time() > deadline and self._call not in patience.ENDLESS:
                raise patience.too_slow(self._call, pid)

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _forward(messages: AsyncIterator[dict[str, Any]], send: trio.MemorySendChannel[Event]) -> None:
    async with send:
        try:
            async for message in messages:
                kind = EVENTS.get(str(message.get("event")))
                if kind is not None:
                    await send.send(typed(kind, message.get("data")))
        except (trio.BrokenResourceError, trio.ClosedResourceError, ControlError):
            return
