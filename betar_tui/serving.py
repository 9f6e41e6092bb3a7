"""The peer alone, without an interface: `betar-tui --serve`."""

import contextlib
import os
import signal
import threading

import trio

from betar_tui.config import Config
from betar_tui.control.server import serve_control
from betar_tui.output import say
from betar_tui.peer import open_peer
from betar_tui.startup import freeze_garbage

_STOP_TIME = 4.0
"""Seconds that a peer may take to stop."""


class ShutdownWatchdog:
    """Ends a peer that does not stop in time. Nothing that was acknowledged is lost by that."""

    def __init__(self) -> None:
        self._timer = threading.Timer(_STOP_TIME, os._exit, (0,))
        self._timer.daemon = True
        self.start, self.close = self._timer.start, self._timer.cancel


async def serve(config: Config) -> None:
    """Run the peer of a data directory until SIGINT or SIGTERM. Raises BetarError."""
    with (
        contextlib.closing(ShutdownWatchdog()) as late,
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
    ):
        async with trio.open_nursery() as nursery:

            async def until_signal() -> None:
                async for _ in signals:
                    late.start()
                    nursery.cancel_scope.cancel()
                    return

            nursery.start_soon(until_signal)
            async with open_peer(config, network=True) as peer:
                await nursery.start(serve_control, peer, config.control_socket)
                await peer.session.ready.wait()
                freeze_garbage()
                address = (peer.session.addrs or ("",))[0]
                say(f"ready peer_id={peer.peer_id} addr={address} control={config.control_socket}")
                await trio.sleep_forever()
