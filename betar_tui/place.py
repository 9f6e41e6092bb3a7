"""Where the peer of an interface runs: in another process, which is attached to, or in this one.

The interface attaches to the peer that runs on its data directory; where none runs, it runs one. When the other process has
ended, the person may have the peer run here. That does not happen by itself: what has started `--serve` may start it
again."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import trio

from betar_tui import logs
from betar_tui.config import Config
from betar_tui.errors import BetarError, StoreLockedError
from betar_tui.files.sockets import remove_socket

if TYPE_CHECKING:
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
        async with self._find() as peer:
            await self._serve(peer)
        while True:
            answer = await self._wished.receive()
            self._start.set()
            async with AsyncExitStack() as stack:
                try:
                    peer = await stack.enter_async_context(self._find())
                except BetarError as error:
                    answer.send_nowait(error)
                    continue
                answer.send_nowait(None)
                await self._serve(peer)

    @asynccontextmanager
    async def _find(self) -> "AsyncIterator[Peer | None]":
        """The peer of this process, or None where another one's is attached to."""
        from betar_tui.control.client import ControlClient  # deferred: the first frame comes before

        deadline = trio.current_time() + GIVING_WAY
        client = ControlClient(self._config.control_socket)  # type: ignore[abstract]
        async with AsyncExitStack() as stack:
            peer = None
            while not await client.running():
                from betar_tui.peer import open_peer

                opening = open_peer(self._config, network=True, start=self._start, must_open=False)
                try:
                    peer = await stack.enter_async_context(opening)
                    break
                except StoreLockedError:
                    if trio.current_time() >= deadline:
                        raise
                    await trio.sleep(_AGAIN)
            self._opened(peer or client)
            yield peer

    async def _serve(self, peer: "Peer | None") -> None:
        """Be the peer of the data directory, until cancelled; nothing is to be done for that of another process."""
        if peer is None:
            return
        from betar_tui.control.server import Followers, serve_control

        followers = Followers()
        self.own, self._others = True, lambda: followers.count
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_control, peer, self._config.control_socket, followers)
            nursery.start_soon(self._keep_log_short)
            await peer.session.ready.wait()
            freeze_garbage()
            await trio.sleep_forever()

    async def _keep_log_short(self) -> None:
        while self._config.log_file is None:  # a file that the person chose is theirs to rotate
            logs.rotate(self._config.data_dir / logs.FILE_NAME)
            await trio.sleep(LOG_INTERVAL)


def freeze_garbage() -> None:
    """Collect garbage, then exempt the objects that are left from collection.

    Modules and stored listings stay anyway; each look at them costs the event loop a tenth of a second."""
    gc.collect()
    gc.freeze()
