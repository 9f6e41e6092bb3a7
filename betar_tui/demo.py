"""A live market on one machine, as a demonstration: `betar-tui --demo`.

Only the agents are invented: the interface has a real peer on a temporary data directory, and a child process runs five
more (`demo_market`). Nothing leaves the machine. The child lists its agents before its network is up, and the peer of the
interface begins with these: a market that was there before, as a person finds one."""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from betar_tui import logs
from betar_tui.errors import BetarError, InterfaceError
from betar_tui.files.plain import open_append
from betar_tui.files.rules import explain
from betar_tui.files.temporary import temporary_directory
from betar_tui.leaving import Leaving, leave_on_signals
from betar_tui.startup import resume_garbage_collection

if TYPE_CHECKING:
    from betar_tui.peer import Peer
    from betar_tui.tui.deferred_marketplace import DeferredMarketplace
    from betar_tui.tui.options import TuiOptions

log = logging.getLogger(__name__)

STORED_TIMEOUT = 10.0
"""Seconds to wait for the listings of before; without them the market begins empty."""
PEERS_LOG = "peers.log"
"""The file in the folder of the demonstration that has what the child complains of."""


async def run_demo(options: "TuiOptions | None" = None) -> int:
    """Show the demonstration until the person quits, or a signal or the loss of the terminal ends it; the exit code.

    Raises BetarError."""
    with ExitStack() as stack:
        try:
            folder, lock = stack.enter_context(temporary_directory("betar-tui-demo-"))
        except OSError as error:
            otherwise = "set TMPDIR to a directory that can be written to"
            raise InterfaceError(explain(error, "cannot make a directory for the demo", otherwise)) from error
        return await _run(folder, lock, options)


async def _run(folder: Path, lock: int, options: "TuiOptions | None") -> int:
    log_file = folder / logs.FILE_NAME
    logs.configure("info", "text", log_file)
    leaving = options.leaving if options else Leaving()
    # Around all that has to be closed: the peer, and the child.
    with leave_on_signals(leaving):
        await _show(folder, lock, log_file, leaving, options)
    return leaving.code or 0


async def _show(folder: Path, lock: int, log_file: Path, leaving: Leaving, options: "TuiOptions | None") -> None:
    framed, painted = trio.Event(), trio.Event()
    async with _neighbours(folder, lock=lock) as child, trio.open_nursery() as nursery:
        # The child starts while Textual is imported and paints the first frame.
        from betar_tui.tui.deferred_marketplace import DeferredMarketplace
        from betar_tui.tui.options import TuiOptions
        from betar_tui.tui.run import run_app

        deferred = DeferredMarketplace()  # type: ignore[abstract]
        chosen = replace(
            options or TuiOptions(),
            title="betar demo",
            framed=framed.set,
            painted=painted.set,
            log_tail=lambda: logs.tail(log_file),
            own_peer=lambda: True,
            leaving=leaving,
        )
        nursery.start_soon(_open, folder, child, deferred, framed, painted)
        nursery.start_soon(resume_garbage_collection, painted)
        await run_app(deferred, options=chosen)
        nursery.cancel_scope.cancel()


async def _open(
    folder: Path, child: trio.Process, deferred: "DeferredMarketplace", framed: trio.Event, painted: trio.Event
) -> None:
    await framed.wait()
    async with _joined(folder, child, painted) as peer:
        deferred.opened(peer)
        await trio.sleep_forever()


@asynccontextmanager
async def demo_market(folder: Path, *, seed: str = "") -> AsyncIterator["Peer"]:
    """A peer that connects to the five others of the market; `seed` fixes their random choices."""
    async with _neighbours(folder, seed) as child, _joined(folder, child) as peer:
        yield peer


@asynccontextmanager
async def _joined(folder: Path, child: trio.Process, start: trio.Event | None = None) -> AsyncIterator["Peer"]:
    """A peer with the listings of before, which goes online at `start` and connects to the others."""
    from betar_tui.demo_market import demo_config
    from betar_tui.peer import open_peer

    async with (
        open_peer(demo_config(folder / "you"), network=True, start=start) as peer,
        trio.open_nursery() as nursery,
    ):
        stored = trio.Event()
        nursery.start_soon(_join, peer, folder, child, stored)
        with trio.move_on_after(STORED_TIMEOUT):
            await stored.wait()
        yield peer
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _neighbours(folder: Path, seed: str = "", lock: int | None = None) -> AsyncIterator[trio.Process]:
    """The child process with the other peers; it holds the lock of the folder too."""
    with open_append(folder / PEERS_LOG) as errors:
        child = await trio.lowlevel.open_process(
            # -P: a file of the current directory, such as somebody's trio.py, is not taken for a module.
            [sys.executable, "-P", "-m", "betar_tui.demo_market", str(folder), "" if lock is None else str(lock), seed],
            stdin=-1,
            stdout=-1,
            stderr=errors,
            pass_fds=() if lock is None else (lock,),
        )
    try:
        yield child
    finally:
        with trio.CancelScope(shield=True):
            child.kill()
            await child.wait()


async def _join(peer: "Peer", folder: Path, child: trio.Process, stored: trio.Event) -> None:
    """Take in the market of before, and connect to each of the other peers when the child has written its address.

    Sets `stored` when the former is done, or will not be."""
    from betar_tui.demo_market import STORED, market_file

    assert child.stdout is not None
    rest = b""
    async for piece in child.stdout:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            try:
                if line.decode() == STORED:
                    await _take_in(peer, market_file(folder), stored)
                else:
                    await peer.connect(line.decode())
            except BetarError as error:
                log.warning("the demo goes on without %s: %s", line.decode(), error)
    stored.set()
    log.error("the process of the other peers has ended; %s may say why", folder / PEERS_LOG)


async def _take_in(peer: "Peer", market: Path, stored: trio.Event) -> None:
    """Raises BetarError."""
    from betar_tui.memory import freeze_garbage

    try:
        await peer.import_car(str(market))
    finally:
        stored.set()
    await peer.session.ready.wait()
    freeze_garbage()
