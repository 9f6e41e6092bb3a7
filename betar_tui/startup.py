"""The start of the interface, from an empty terminal to a peer that is online. Reads from top to bottom.

Python does one thing at a time, so each step waits until the one before it is on the screen:

1. `__main__` switches garbage collection off: nothing that is imported or read at the start is garbage.
2. Textual paints the first frame. The calls of the app wait in a `DeferredMarketplace`.
3. A peer that already runs on the data directory is attached to: its listings are shown, and only step 6 follows. Otherwise
   a peer is opened. The interface asks it for the listings that the screen has room for, and for no others.
4. The control socket is opened.
5. The network comes up: importing libp2p keeps the interpreter busy for a second. Where it cannot be opened, as because
   the port is taken, the peer stays offline, and the interface says so.
6. Garbage collection goes on, and exempts the objects that the start has left."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from betar_tui import logs
from betar_tui.config import Config, save_settings

if TYPE_CHECKING:
    from betar_tui.tui.deferred_marketplace import DeferredMarketplace

GARBAGE_TIMEOUT = 10.0
"""Seconds until garbage is collected although the listings are not on the screen."""
LOG_INTERVAL = 3600.0
"""Seconds between two looks at the size of the log file."""


async def run_interface(config: Config, log_file: Path) -> None:
    """Show the interface until the person quits. Raises BetarError."""
    # 2. The first frame. Only here is Textual imported.
    from betar_tui.tui.deferred_marketplace import DeferredMarketplace
    from betar_tui.tui.options import TuiOptions
    from betar_tui.tui.run import run_app
    from betar_tui.tui.settings import InterfaceSettings

    framed, painted = trio.Event(), trio.Event()
    deferred = DeferredMarketplace()  # type: ignore[abstract]
    settings, complaints = InterfaceSettings.from_mapping(config.interface)
    options = TuiOptions(
        log_tail=lambda: logs.tail(log_file),
        settings=settings,
        complaints=complaints,
        keep=lambda changes: save_settings(config.settings_file, {"interface": changes}),
        framed=framed.set,
        painted=painted.set,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_open_marketplace, config, deferred, framed, painted)
        nursery.start_soon(_resume_garbage_collection, painted)
        await run_app(deferred, options=options)
        nursery.cancel_scope.cancel()


async def _open_marketplace(
    config: Config, deferred: "DeferredMarketplace", framed: trio.Event, painted: trio.Event
) -> None:
    # 3. The running peer, or one on the store.
    await framed.wait()
    from betar_tui.control.client import ControlClient
    from betar_tui.control.server import serve_control

    client = ControlClient(config.control_socket)  # type: ignore[abstract]
    if await client.running():
        deferred.opened(client)
        return
    from betar_tui.peer import open_peer

    async with (
        open_peer(config, network=True, start=painted, must_open=False) as peer,
        trio.open_nursery() as nursery,
    ):
        deferred.opened(peer)
        # 4. The control socket.
        await nursery.start(serve_control, peer, config.control_socket)
        nursery.start_soon(_keep_log_short, config)
        # 5. The network, which `painted` starts.
        await peer.session.ready.wait()
        freeze_garbage()
        await trio.sleep_forever()


async def _resume_garbage_collection(painted: trio.Event) -> None:
    # 6. Garbage collection.
    with trio.move_on_after(GARBAGE_TIMEOUT):
        await painted.wait()
    gc.freeze()
    gc.enable()


def freeze_garbage() -> None:
    """Collect garbage, then exempt the objects that are left from collection.

    Modules and stored listings stay anyway; each look at them costs the event loop a tenth of a second."""
    gc.collect()
    gc.freeze()


async def _keep_log_short(config: Config) -> None:
    while config.log_file is None:  # a file that the person chose is theirs to rotate
        logs.rotate(config.data_dir / logs.FILE_NAME)
        await trio.sleep(LOG_INTERVAL)
