"""How the panes of the main screen share the terminal: zoomed, resized, one at a time where it is narrow."""

from __future__ import annotations

from textual.containers import Vertical

from betar_tui.tui.screens.model_screen import ModelScreen
from betar_tui.tui.side import WIDE, resized, side_width


class PaneLayout(ModelScreen[None]):
    """The part of the main screen that gives the panes their room."""

    @property
    def _wide(self) -> bool:
        return self.app.size.width >= WIDE

    @property
    def _zoomed(self) -> bool:
        """Whether the current pane has the place of all: where one alone has room, there is nothing to zoom."""
        return self._wide and self.has_class("-zoom")

    @property
    def modes(self) -> tuple[str, ...]:
        """What is not as usual and lasts until a key ends it, for the status line."""
        return (*super().modes, *(("zoomed",) if self._zoomed else ()))

    def _lay_out(self) -> None:
        """Give the panes at the right their width; alone they have all."""
        for side in self.query("#side").results(Vertical):
            beside_table = self._wide and not self._zoomed
            chosen = self._model.settings.now.side
            side.styles.width = side_width(self.app.size.width, chosen) if beside_table else None

    def action_zoom(self) -> None:
        """Show the current pane alone, or all of them again."""
        if not self._wide:
            self._actions.notify(f"Each pane already fills the screen here: there are several from {WIDE} columns on")
            return
        self.toggle_class("-zoom")
        self._lay_out()
        self.show_modes()

    def action_resize(self, by: int) -> None:
        """Give the listing more room, or less (-1)."""
        if not self._wide or self._zoomed:
            self._actions.notify("One pane fills the screen here: there is no other to take room from")
            return
        width = self.app.size.width
        self._model.settings.change(side=resized(width, self._model.settings.now.side, by))
        self._lay_out()
