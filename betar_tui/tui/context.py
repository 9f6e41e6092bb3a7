"""The one thing every screen that follows the model is made with."""

from collections.abc import Callable
from dataclasses import dataclass

from betar_tui.tui.bridge import Bridge
from betar_tui.tui.listing_actions import ListingActions
from betar_tui.tui.model import MarketModel
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.window import Request


@dataclass(frozen=True, slots=True)
class ScreenContext:
    """The app as its screens see it.

    `open_screen(name, *arguments, then=None)` puts a screen of `screens.registry` on top; `then` is called with its
    result. `ask` asks for a page of the table at once, or for whatever is missing in it if it is given None."""

    model: MarketModel
    bridge: Bridge
    actions: ListingActions
    options: TuiOptions
    open_screen: Callable[..., None]
    ask: Callable[[Request | None], None]
