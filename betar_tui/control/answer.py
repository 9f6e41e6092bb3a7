"""One call over the control socket: its request, and the answer put together from the messages that come back. Pure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from betar_tui.control.parts import joined, part_type
from betar_tui.control.wire import line, plain, raise_plain, typed
from betar_tui.errors import ControlError, NoRunningPeerError
from betar_tui.market.calls import Call


def request(call: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """The message that makes a call. Raises ListingError for values that JSON lacks."""
    params = plain(call.arguments(*args, **kwargs), strict=True)
    return line({"jsonrpc": "2.0", "id": 1, "method": call.name, "params": params})


def no_peer(path: Path) -> NoRunningPeerError:
    """The error where no peer listens on the socket `path`."""
    return NoRunningPeerError(f"no peer runs on {path.parent}; start one with betar-tui --serve")


class Answer:
    """The answer to a call, which may come in parts."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._part = part_type(call.result)
        self._parts: list[Any] = []
        self._last: Mapping[str, Any] | None = None

    def add(self, message: Mapping[str, Any]) -> bool:
        """Add a message; whether it was the last. Decoding a long part takes a while. Raises ControlError."""
        if "part" in message:
            self._parts.append(typed(self._part, message["part"]))
            return False
        self._last = message
        return True

    def result(self) -> Any:
        """The result of the call. Raises the error that came instead, and ControlError if the last message never came."""
        if self._last is None:
            raise ControlError(f"the peer left before it answered {self._call.name}; see its log, then start it again")
        if "error" in self._last:
            raise_plain(self._last["error"])
        return joined(self._parts, typed(self._call.result, self._last.get("result")))
