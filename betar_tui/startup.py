"""The start of the interface, from an empty terminal to a peer that is online. Reads from top to bottom.

Python does one thing at a time, so each step waits until the one before it is on the screen:

1. `__main__` switches garbage collection off: nothing that is imported or read at the start is garbage.
2. Textual paints the first frame. The calls of the app wait in a `DeferredMarketplace`.
3. A peer that already runs on the data directory is attached to: its listings are shown, and only step 6 follows. Otherwise
   a peer is opened (`place`). The interface asks it for the listings that the screen has room for, and for no others.
4. The control socket is opened.
5. The network comes up: importing libp2p keeps the interpreter busy for a second. Where it cannot be opened, as because
   the port is taken, the peer stays offline, and the interface says so.
6. Garbage collection goes on, and exempts the objects that the start has left."""

import gc
from pathlib import Path

import trio

from betar_tui import logs
from betar_tui.config import Config, save_settings
from betar_tui.leaving import Leaving, leave_on_signals
from betar_tui.place import Place
from betar_tui.unsent import keep_drafts, read_drafts

GARBAGE_TIMEOUT = 10.0
"""Seconds until garbage is collected although the listings are not on the screen."""


async def run_interface(config: Config, log_file: Path) -> int:
    """Show the interface until the person quits, or a signal or the loss of the terminal ends it; the exit code.

    Raises BetarError."""
    # 2. The first frame. Only here is Textual imported.
    from betar_tui.tui.deferred_marketplace import DeferredMarketplace
    from betar_tui.tui.options import TuiOptions
    from betar_tui.tui.run import run_app
    from betar_tui.tui.settings import InterfaceSettings

    framed, painted = trio.Event(), trio.Event()
    deferred = DeferredMarketplace()  # type: ignore[abstract]
    place = Place(config, deferred.opened, painted)
    settings, complaints = InterfaceSettings.from_mapping(config.interface)
    leaving = Leaving()
    leaving.rescue(place.abandon)
    options = TuiOptions(
        log_tail=lambda: logs.tail(log_file),
        settings=settings,
        settings_file=str(config.settings_file),
        complaints=complaints,
        keep=lambda changes: save_settings(config.settings_file, {"interface": changes}),
        drafts=lambda: read_drafts(config.drafts_file),
        keep_drafts=lambda changes: keep_drafts(config.drafts_file, changes),
        framed=framed.set,
        painted=painted.set,
        leaving=leaving,
        own_peer=lambda: place.own,
        others=place.others,
        take_over=place.take_over,
    )
    with leave_on_signals(leaving):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_open_marketplace, place, framed)
            nursery.start_soon(resume_garbage_collection, painted)
            await run_app(deferred, options=options)
            nursery.cancel_scope.cancel()
    return leaving.code or 0


async def _open_marketplace(place: Place, framed: trio.Event) -> None:
    # 3. to 5. The running peer, or one on the store; its control socket; its network, which `painted` starts.
    await framed.wait()
    await place.run()


async def resume_garbage_collection(painted: trio.Event) -> None:
    """6. Collect garbage again, when the first listings are on the screen."""
    with trio.move_on_after(GARBAGE_TIMEOUT):
        await painted.wait()
    gc.freeze()
    gc.enable()
