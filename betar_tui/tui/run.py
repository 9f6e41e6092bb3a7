"""Run the app to its end, from trio: the entry point of this package."""

import trio
import trio_asyncio

from betar_tui.errors import InterfaceError
from betar_tui.market.marketplace import Marketplace
from betar_tui.tui.app import BetarApp
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.options import TuiOptions


async def run_app(marketplace: Marketplace, *, options: TuiOptions | None = None) -> None:
    """Show the marketplace until the person quits, or until `options.leaving` says so.

    The marketplace may still be starting: the app paints at once, shows the stored listings and follows its events.
    Raises InterfaceError when the app has failed; Textual has printed the traceback by then."""
    chosen = options or TuiOptions()
    async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
        bridge = Bridge(marketplace, interval=chosen.interval, take_over=chosen.take_over)  # type: ignore[abstract]
        app = BetarApp(bridge, chosen)
        chosen.leaving.rescue(app.restore_terminal)

        async def leave() -> None:
            await chosen.leaving.asked.wait()
            loop.call_soon(app.leave)

        nursery.start_soon(leave)
        await trio_asyncio.aio_as_trio(app.run_async)()
        nursery.cancel_scope.cancel()
    if app.return_code:
        raise InterfaceError(
            "the interface has failed; what is above may be reported, and --serve runs the peer without it"
        )
