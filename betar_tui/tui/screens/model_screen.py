"""A screen that follows the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from textual.css.query import QueryError
from textual.message import Message
from textual.screen import Screen

from betar_tui.tui.model import News
from betar_tui.tui.widgets.banner import Banner
from betar_tui.tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from betar_tui.tui.listing_actions import ListingActions

Result = TypeVar("Result")


class ModelScreen(Screen[Result], Generic[Result]):
    """The app calls `sync` with news of the model and `tick` every second, through `hear`."""

    _actions: ListingActions

    class Retry(Message):
        """Connect and load everything again."""

    def hear(self, telling: Callable[[], None]) -> None:
        """Let the screen be told something, unless it is only just coming or already going."""
        if not self.is_mounted:
            return
        try:
            telling()
            for banner in self.query(Banner):
                banner.update()
        except QueryError:
            if self.is_running and self.is_attached:
                raise

    def sync(self, news: News) -> None:
        """Redraw what the news concern."""

    def tick(self) -> None:
        """A second has passed."""

    def on_screen_suspend(self) -> None:
        """Another screen stands above this one: its keys are in force."""
        self.query(KeyLine).refresh()

    def on_screen_resume(self) -> None:
        """This screen is on top again."""
        self.query(KeyLine).refresh()

    # What the lines under the status line offer

    def action_choose_dialect(self) -> None:
        """Write own listings in the other dialect."""
        self._actions.choose_dialect()

    def action_hold_sync(self) -> None:
        """Hold the fetching of history, or go on."""
        self._actions.hold_sync()
