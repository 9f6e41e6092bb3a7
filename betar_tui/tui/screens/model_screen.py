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

CHANGING = ("mute", "block", "pause", "leave", "raw", "undo", "open", "edit", "delist", "copy_menu")
"""The actions whose keys have other labels at other times, or none."""
SOMETIMES_REFUSED = ("edit", "disconnect")
"""The actions that `disabled_reason` refuses now and then."""


class ModelScreen(Screen[Result], Generic[Result]):
    """The app calls `sync` with news of the model and `tick` every second, both through `deliver`."""

    SCOPE: ClassVar[str]
    """The scope of the table of actions that the help begins with."""

    def __init__(self, context: ScreenContext, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self.context = context
        self._model, self._actions, self._options = context.model, context.actions, context.options
        self._labels: tuple[str, ...] = ()

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
        self.refresh_keys()

    def follow(self, listing_id: str) -> None:
        """Put the cursor on a listing that the person has just published."""

    def tick(self) -> None:
        """Redraw the parts that change with time; called every second."""
        self.query_one(StatusBar).refresh()

    @property
    def modes(self) -> tuple[str, ...]:
        """What is not as usual and lasts until a key ends it, for the status line."""
        log, muted = self._model.activity, self._model.table.muted_count
        paused = (f"‖ paused, {log.waiting:,} wait",) if log.paused else ()
        return (*paused, *((f"{muted:,} muted",) if muted else ()))

    def show_modes(self) -> None:
        """Draw the status line and the keys again after a mode has changed."""
        self.query(StatusBar).refresh()
        self.refresh_keys()

    def hint(self, action_id: str, label: str) -> str:
        """The label of a key in the footer: what it does now; nothing to leave it out."""
        undone = {"mute": (self._model.muted, "Unmute"), "block": (self._model.blocked, "Unblock")}
        ids, instead = undone.get(action_id, ((), label))
        if action_id == "raw" and self.shows_raw:
            return "Page"
        return instead if ids and self.selected_peer in ids else label

    @property
    def selected_peer(self) -> str:
        """The id of the peer that muting and blocking are about, or nothing."""
        return ""

    @property
    def shows_raw(self) -> bool:
        """Whether the page of a listing shows the value as it is stored."""
        return False

    def on_detail_view_turned(self) -> None:
        self.refresh_keys()

    def refresh_keys(self) -> None:
        """Draw the footer again if a key does something else now."""
        disabled = getattr(self, "disabled_reason", lambda action: "")
        labels = (*map(disabled, SOMETIMES_REFUSED), *(self.hint(action_id, action_id) for action_id in CHANGING))
        if labels != self._labels:
            self._labels = labels
            self.query(KeyLine).refresh()

    def on_screen_suspend(self) -> None:
        for line in self.query(KeyLine):
            line.follow(self.app.screen)
            line.refresh()

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
