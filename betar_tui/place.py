"""Where the peer of an interface runs: in another process, which is attached to, or in this one.

The interface attaches to the peer that runs on its data directory; where none runs, it runs one. When the other process has
ended, the person may have the peer run here. That does not happen by itself: what has started `--serve` may start it
again."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import trio

from betar_tui import logs
from betar_tui.config import Config
from betar_tui.errors import BetarError, ControlError, StoreLockedError
from betar_tui.files.sockets import remove_socket
from betar_tui.memory import freeze_garbage, limit_fragments

if TYPE_CHECKING:
    from betar_tui.control.client import ControlClient
    from betar_tui.market.marketplace import Marketplace
    from betar_tui.peer import Peer

GIVING_WAY = 10.0
"""Seconds that a process which holds the data directory may take to end, or to answer on its socket."""
_AGAIN = 0.1
"""Seconds between two attempts meanwhile."""
LOG_INTERVAL = 3600.0
"""Seconds between two looks at the size of the log file."""

Answer = trio.MemorySendChannel[BetarError | None]


class Place:
    """The place of one interface's peer. `own` says whether it is this process.

    `opened` is given the marketplace whenever that is another one; the network of a peer in this process waits for
    `start`."""

    def __init__(self, config: Config, opened: "Callable[[Marketplace], None]", start: trio.Event) -> None:
        self._config, self._opened, self._start = config, opened, start
        self._wishes, self._wished = trio.open_memory_channel[Answer](0)
        self._others: Callable[[], int] = lambda: 0
        self.own = False

    def others(self) -> int:
        """The number of other programs that follow the peer in this process."""
        return self._others()

    async def take_over(self) -> None:
        """Run the peer here, or attach to one that runs again. Raises BetarError if neither can be done."""
        if self.own:
            return  # a wish would wait for as long as this one runs
        answer, answers = trio.open_memory_channel[BetarError | None](1)
        await self._wishes.send(answer)
        if error := await answers.receive():
            raise error

    def abandon(self) -> None:
        """Leave nothing behind that others would take for a running peer."""
        if self.own:
            remove_socket(self._config.control_socket)

    async def run(self) -> None:
        """Attach to the running peer or run one, then do as wished, until cancelled. Raises BetarError."""
        async with self._find() as market:
            self._opened(market)  # before the socket is there, which takes some imports
            async with self._served(market):
                await self._stay(market)
        while True:
            answer = await self._wished.receive()
            self._start.set()
            await self._take_over(answer)

    async def _take_over(self, answer: Answer) -> None:
        """Do as wished, and say so once the peer answers here: until then nothing has changed."""
        async with AsyncExitStack() as stack:
            try:
                market = await stack.enter_async_context(self._find())
                await stack.enter_async_context(self._served(market))
            except BetarError as error:
                failed = error
            else:
                self._opened(market)
                answer.send_nowait(None)
                await self._stay(market)
                return
        answer.send_nowait(failed)  # what was opened is closed again

    @asynccontextmanager
    async def _find(self) -> "AsyncIterator[Peer | ControlClient]":
        """The peer of this process, or the client of another one's. Raises BetarError."""
        from betar_tui.control.client import ControlClient  # deferred: the first frame comes before

        deadline = trio.current_time() + GIVING_WAY
        client = ControlClient(self._config.control_socket)  # type: ignore[abstract]
        async with AsyncExitStack() as stack:
            peer = None
            while not await client.running():
                from betar_tui.peer import open_peer

                limit_fragments()
                opening = open_peer(self._config, network=True, start=self._start, must_open=False)
                try:
                    peer = await stack.enter_async_context(opening)
                    break
                except StoreLockedError:
                    if trio.current_time() >= deadline:
                        raise
                    await trio.sleep(_AGAIN)
            yield peer or client

    @asynccontextmanager
    async def _served(self, market: "Peer | ControlClient") -> AsyncIterator[None]:
        """Be the peer of the data directory meanwhile; nothing is to be done for that of another process.

        Raises ControlError when the socket cannot be made."""
        from betar_tui.control.client import ControlClient

        if isinstance(market, ControlClient):
            yield
            return
        from betar_tui.control.server import Followers, serve_control

        followers = Followers()
        self.own, self._others = True, lambda: followers.count
        failed = None
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(serve_control, market, self._config.control_socket, followers)
            except ControlError as error:
                failed = error  # raised below, where the nursery does not wrap it
            else:
                nursery.start_soon(self._keep_log_short)
                yield
        if failed is not None:
            self.own, self._others = False, lambda: 0
            raise failed

    async def _stay(self, market: "Peer | ControlClient") -> None:
        """Wait until cancelled; not for what another process runs."""
        from betar_tui.control.client import ControlClient

        if isinstance(market, ControlClient):
            return
        await market.session.ready.wait()
        freeze_garbage()
        await trio.sleep_forever()

    async def _keep_log_short(self) -> None:
        while self._config.log_file is None:  # a file that the person chose is theirs to rotate
            logs.rotate(self._config.data_dir / logs.FILE_NAME)
            await trio.sleep(LOG_INTERVAL)
