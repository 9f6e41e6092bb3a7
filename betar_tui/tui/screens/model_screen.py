"""A screen that follows the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from textual.css.query import QueryError
from textual.message import Message
from textual.screen import Screen

from betar_tui.tui.context import ScreenContext
from betar_tui.tui.model import News
from betar_tui.tui.widgets.banner import Banner
from betar_tui.tui.widgets.keyline import KeyLine
from betar_tui.tui.widgets.status import StatusBar

Result = TypeVar("Result")


class ModelScreen(Screen[Result], Generic[Result]):
    """The app calls `sync` with news of the model and `tick` every second, both through `deliver`."""

    SCOPE: ClassVar[str]
    """The scope of the table of actions that the help begins with."""

    class Retry(Message):
        """Connect and load everything again."""

    def __init__(self, context: ScreenContext, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self.context = context
        self._model, self._actions, self._options = context.model, context.actions, context.options

    def deliver(self, update: Callable[[], None]) -> None:
        """Call `update`, unless the screen is not mounted yet or is already closing."""
        if not self.is_mounted:
            return
        try:
            update()
            for banner in self.query(Banner):
                banner.update()
        except QueryError:
            if self.is_running and self.is_attached:
                raise

    def sync(self, news: News) -> None:
        """Redraw the parts that the news concern."""
        self.query_one(StatusBar).refresh()

    def tick(self) -> None:
        """Redraw the parts that change with time; called every second."""
        self.query_one(StatusBar).refresh()

    def on_screen_suspend(self) -> None:
        """The keys of another screen are in force."""
        self.query(KeyLine).refresh()

    def on_screen_resume(self) -> None:
        """The keys of this screen are in force again."""
        self.query(KeyLine).refresh()

    # Actions of the lines under the status line

    def action_choose_dialect(self) -> None:
        """Write own listings in the other dialect."""
        self._actions.choose_dialect()

    def action_hold_sync(self) -> None:
        """Hold the fetching of history, or go on."""
        self._actions.hold_sync()
