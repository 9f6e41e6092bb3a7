"""A screen beside the main one, from which all others can be reached without going back first."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from textual.binding import BindingType

from betar_tui.tui.keybindings import bindings
from betar_tui.tui.screens.model_screen import ModelScreen

if TYPE_CHECKING:
    from betar_tui.tui.screens.main import MainScreen

Result = TypeVar("Result")


class BesideScreen(ModelScreen[Result], Generic[Result]):
    """Knows the way to panes and places: it leaves, and the main screen goes there."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("beside", first=True)]

    def action_pane(self, name: str) -> None:
        """Go to a pane of the main screen."""
        self._back().action_pane(name)

    def action_place(self, name: str) -> None:
        """Go to another place."""
        self._back().action_place(name)

    def _back(self) -> MainScreen:
        """Leave this screen, and any that stands below it."""
        while isinstance(self.app.screen, BesideScreen):
            self.app.pop_screen()
        return cast("MainScreen", self.app.screen)
