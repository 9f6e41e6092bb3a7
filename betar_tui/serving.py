"""The peer alone, without an interface: `betar-tui --serve`."""

import trio

from betar_tui.config import Config
from betar_tui.control.server import serve_control
from betar_tui.files.sockets import remove_socket
from betar_tui.leaving import Leaving, leave_on_signals
from betar_tui.memory import freeze_garbage, limit_fragments
from betar_tui.output import say
from betar_tui.peer import open_peer

_STOP_TIME = 4.0
"""Seconds that a peer may take to stop. Nothing that was acknowledged is lost if it takes longer."""


async def serve(config: Config) -> None:
    """Run the peer of a data directory until SIGINT, SIGTERM or SIGHUP. Raises BetarError."""
    limit_fragments()
    leaving = Leaving(_STOP_TIME)
    with leave_on_signals(leaving, lambda number: 0):
        async with trio.open_nursery() as nursery:

            async def until_asked() -> None:
                await leaving.asked.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_asked)
            async with open_peer(config, network=True) as peer:
                leaving.rescue(lambda: remove_socket(config.control_socket))
                await nursery.start(serve_control, peer, config.control_socket)
                await peer.session.ready.wait()
                freeze_garbage()
                address = (peer.session.addrs or ("",))[0]
                say(f"ready peer_id={peer.peer_id} addr={address} control={config.control_socket}")
                await trio.sleep_forever()
