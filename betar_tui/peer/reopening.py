"""Opening the network, and opening it again after a growing pause whenever it has failed as a whole."""

import logging
import math
from collections.abc import Awaitable, Callable

import trio

from betar_tui.concurrency import Wakeup
from betar_tui.errors import ListenError, NetworkError, NoRunningPeerError, StoreError
from betar_tui.market.kinds import Connectivity

log = logging.getLogger(__name__)

REOPEN_AFTER, LONGEST_REOPEN_AFTER = 1.0, 60.0
"""Seconds until a network that failed is opened again: at first, also after it was open for the longest, and at most."""


class Reopening:
    """Keeps a network open. `open_once` opens it, calls `opened`, and returns or raises when it ends.

    `offline` says why the network is not open, "" while it is or nobody wants it; `port_taken` is the address that could not
    be listened on, if that is why. With `free_port`, a port that is taken is to be replaced by a free one."""

    def __init__(self, open_once: Callable[[], Awaitable[None]], set_state: Callable[[Connectivity], None]) -> None:
        self._open_once = open_once
        self._set_state = set_state
        self.offline = ""
        self.port_taken = ""
        self.free_port = False
        self._running = self._is_open = self._was_open = False
        self._tried_free_port = False
        self._opened_at = math.inf
        self._tried = trio.Event()
        self._again = Wakeup()

    async def run(self, must_open: bool) -> None:
        """Keep the network open until cancelled. With `must_open`, raises the NetworkError of the first attempt."""
        self._running, pause = True, REOPEN_AFTER
        try:
            while True:
                self._tried_free_port, self._opened_at = self.free_port, math.inf
                try:
                    await self._open_once()
                    return
                except StoreError:
                    raise
                except Exception as error:
                    if isinstance(error, NetworkError) and must_open and not self._was_open:
                        raise
                    if isinstance(error, ExceptionGroup) and error.subgroup(StoreError):
                        raise
                    self._failed(error)
                if trio.current_time() - self._opened_at >= LONGEST_REOPEN_AFTER:
                    pause = REOPEN_AFTER
                with trio.move_on_after(pause):
                    await self._again.wait()
                pause = min(pause * 2, LONGEST_REOPEN_AFTER)
        finally:
            self._running = False
            self.offline = self.port_taken = ""
            self._end_attempt(is_open=False)

    def opened(self) -> None:
        """The network is open."""
        self.offline = self.port_taken = ""
        self._was_open, self._opened_at = True, trio.current_time()
        self._end_attempt(is_open=True)

    async def go_online(self, free_port: bool) -> None:
        """Open the network at once if it is offline. Raises NetworkError, NoRunningPeerError."""
        if self._is_open:
            return
        self.free_port = self.free_port or free_port
        self._again.set()
        while self._running:
            await self._tried.wait()
            if self._is_open:
                return
            if self._tried_free_port == self.free_port:  # else that attempt began before this call
                raise NetworkError(self.offline)
        raise NoRunningPeerError("no network runs here; start a peer with betar-tui --serve")

    def _failed(self, error: Exception) -> None:
        if isinstance(error, ListenError):
            log.warning("offline: %s", error)
            self.port_taken = error.address
            self.offline = f"cannot listen on {error.address}: {error.reason}"
        elif isinstance(error, NetworkError) and not self._was_open:
            log.warning("offline: %s", error)
            self.offline = str(error)
        else:
            log.error("the network failed", exc_info=error)
            what = str(error) if isinstance(error, NetworkError) else f"{type(error).__name__}: {error}"
            self.offline = f"the network failed ({what}), it is opened again"
        self._end_attempt(is_open=False)
        self._set_state(Connectivity.FAILED)

    def _end_attempt(self, *, is_open: bool) -> None:
        self._is_open = is_open
        tried, self._tried = self._tried, trio.Event()
        tried.set()
