"""The client of a command: one call at a time over a blocking socket, without an event loop.

Importing trio would take longer than a call, and nothing else runs in a command that could go on meanwhile."""

import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betar_tui.control.answer import Answer, no_peer, request
from betar_tui.control.wire import MAX_LINE, message, too_long
from betar_tui.errors import NoRunningPeerError
from betar_tui.files.sockets import connect_socket, is_trusted_socket
from betar_tui.market.calls import Call, ForwardedCalls
from betar_tui.market.marketplace import Event

if TYPE_CHECKING:
    import trio


class CommandClient(ForwardedCalls):
    """The marketplace of the peer that listens at `path`, as `ControlClient` is; its calls block and never wait for a loop.

    `events` alone does, which is `ControlClient`'s."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def running(self) -> bool:
        """Whether a peer listens."""
        try:
            with self._connect():
                return True
        except NoRunningPeerError:
            return False

    def events(self) -> "AbstractAsyncContextManager[trio.MemoryReceiveChannel[Event]]":
        """See `ControlClient`."""
        from betar_tui.control.client import ControlClient  # deferred: brings trio

        return ControlClient(self._path).events()  # type: ignore[abstract]

    async def _call(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        asked, answer = request(call, args, kwargs), Answer(call)
        with self._connect() as sock, suppress(ConnectionError):
            sock.sendall(asked)
            for line in _lines(sock):
                if answer.add(message(line)):
                    break
        return answer.result()

    def _connect(self) -> socket.socket:
        if not is_trusted_socket(self._path):
            raise no_peer(self._path)
        sock = socket.socket(socket.AF_UNIX)
        try:
            connect_socket(sock, self._path)
        except OSError as error:
            sock.close()
            raise no_peer(self._path) from error
        return sock


def _lines(sock: socket.socket) -> Iterator[bytes]:
    """The lines that come until the other side closes. Raises ControlError for one that is too long."""
    with sock.makefile("rb", buffering=1 << 16) as incoming:
        while (line := incoming.readline(MAX_LINE + 1)).endswith(b"\n"):
            yield line
        if len(line) > MAX_LINE:
            raise too_long()
