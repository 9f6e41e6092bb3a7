"""A screen that follows the model."""

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from textual.css.query import QueryError
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
        self.query_one(StatusBar).refresh()

    def follow(self, listing_id: str) -> None:
        """Put the cursor on a listing that the person has just published."""

    def tick(self) -> None:
        """Redraw the parts that change with time; called every second."""
        self.query_one(StatusBar).refresh()

    def on_screen_suspend(self) -> None:
        self.query(KeyLine).refresh()

    def on_screen_resume(self) -> None:
        self.query(KeyLine).refresh()

    # Actions of the lines under the status line

    def action_choose_dialect(self) -> None:
        self._actions.choose_dialect()

    def action_undo(self) -> None:
        """Publish again what was delisted last."""
        self._actions.undo()

    def action_own_address(self) -> None:
        self._actions.peers.copy_own()

    def action_go_online(self) -> None:
        self._actions.peers.go_online()

    def action_hold_sync(self) -> None:
        self._actions.hold_sync()
