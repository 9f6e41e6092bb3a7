"""The client of a command: one call at a time over a blocking socket, without an event loop.

Importing trio would take longer than a call, and nothing else runs in a command that could go on meanwhile."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from betar_tui.control import patience
from betar_tui.control.answer import Answer, no_peer, request
from betar_tui.control.wire import MAX_LINE, message, too_long
from betar_tui.errors import NoRunningPeerError
from betar_tui.files.passing import ancillary
from betar_tui.files.sockets import connect_socket, is_trusted_socket
from betar_tui.market.calls import CALLS, Call, ForwardedCalls
from betar_tui.market.marketplace import Event, Exported, Imported

if TYPE_CHECKING:
    import trio

T = TypeVar("T")


class CommandClient(ForwardedCalls):
    """The marketplace of the peer that listens at `path`, as `ControlClient` is; its calls block and never wait for a loop.

    `events` alone does, which is `ControlClient`'s. The files of an archive are opened by the caller."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def running(self) -> bool:
        """Whether a peer listens. Raises ControlError for one that takes no connection."""
        try:
            with self._connect(patience.ANSWER_WITHIN):
                return True
        except NoRunningPeerError:
            return False

    def events(self) -> "AbstractAsyncContextManager[trio.MemoryReceiveChannel[Event]]":
        """See `ControlClient`."""
        from betar_tui.control.client import ControlClient  # deferred: brings trio

        return ControlClient(self._path).events()  # type: ignore[abstract]

    async def export_car(self, path: str, heads: Sequence[str] = (), descriptor: int | None = None) -> Exported:
        """See `Marketplace`."""
        exported: Exported = await self._call(CALLS["export_car"], path, heads, passed=descriptor)
        return exported

    async def import_car(self, path: str, descriptor: int | None = None) -> Imported:
        """See `Marketplace`."""
        imported: Imported = await self._call(CALLS["import_car"], path, passed=descriptor)
        return imported

    async def _call(self, call: Call, *args: Any, passed: int | None = None, **kwargs: Any) -> Any:
        asked, answer = request(call, args, kwargs), Answer(call)
        with self._connect(patience.ANSWER_WITHIN) as sock, suppress(ConnectionError):
            talk = _Talk(sock, call.name, self._require_life)
            talk.send(asked, passed)
            for line in talk.lines():
                if answer.add(message(line)):
                    break
        return answer.result()

    def _require_life(self, pid: int) -> None:
        """Raises ControlError unless the peer answers a second connection."""
        if patience.is_stopped(pid):
            raise patience.silent(self._path, pid)
        try:
            with self._connect(patience.ALIVE_WITHIN) as sock:
                sock.sendall(patience.PING)
                if sock.recv(1):
                    return
        except OSError as error:
            raise patience.silent(self._path, pid) from error
        raise patience.silent(self._path, pid)

    def _connect(self, within: float) -> socket.socket:
        """A connection, with this many seconds for each step on it. Raises NoRunningPeerError, ControlError."""
        deadline = time.monotonic() + within
        while is_trusted_socket(self._path):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(within)
            try:
                connect_socket(sock, self._path)
                return sock
            except (BlockingIOError, TimeoutError) as error:  # too many wait to be accepted
                sock.close()
                if time.monotonic() > deadline:
                    raise patience.silent(self._path, patience.holder_of(self._path)) from error
                time.sleep(patience.RETRY)
            except OSError as error:
                sock.close()
                raise no_peer(self._path) from error
        raise no_peer(self._path)


class _Talk:
    """One request and its answer on a connection. `require_life` raises ControlError where the peer is not alive."""

    def __init__(self, sock: socket.socket, call: str, require_life: Callable[[int], None]) -> None:
        self._sock, self._call, self._require_life = sock, call, require_life

    def send(self, data: bytes, passed: int | None) -> None:
        """Send a request, with an open file if one is passed. Raises ControlError, ConnectionError."""
        rest = memoryview(data)
        with_file = ancillary(passed) if passed is not None else []
        while rest:
            sent = self._patiently(partial(self._sock.sendmsg, [rest], with_file))
            rest, with_file = rest[sent:], []

    def lines(self) -> Iterator[bytes]:
        """The lines that come until the other side closes. Raises ControlError, also for one that is too long."""
        parts: list[bytes] = []
        length = 0
        while data := self._patiently(lambda: self._sock.recv(1 << 18)):
            *ended, begun = data.split(b"\n")
            for each in ended:
                if length + len(each) > MAX_LINE:
                    raise too_long()
                yield b"".join([*parts, each])
                parts, length = [], 0
            parts.append(begun)
            length += len(begun)
            if length > MAX_LINE:
                raise too_long()

    def _patiently(self, step: Callable[[], T]) -> T:
        """Do one step, however long the peer takes while it is alive."""
        pid = patience.process_of(self._sock)
        deadline = time.monotonic() + patience.GIVE_UP_AFTER
        while True:
            try:
                return step()
            except TimeoutError:
                self._require_life(pid)
                if time.monotonic() > deadline and self._call not in patience.ENDLESS:
                    raise patience.too_slow(self._call, pid) from None
