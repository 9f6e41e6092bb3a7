"""One listing on a screen of its own, where there is not enough room for a pane next to the table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from betar_tui.tui.context import ScreenContext
from betar_tui.tui.keybindings import bindings
from betar_tui.tui.model import News
from betar_tui.tui.screens.model_screen import ModelScreen
from betar_tui.tui.widgets.banner import Banner
from betar_tui.tui.widgets.detail import DetailView
from betar_tui.tui.widgets.keyline import KeyLine
from betar_tui.tui.widgets.status import StatusBar


class DetailScreen(ModelScreen[None]):
    """Status, the listing, keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("detail", "navigation", first=True)]
    SCOPE = "detail"

    def __init__(self, context: ScreenContext, listing_id: str) -> None:
        super().__init__(context)
        self.listing_id = listing_id

    def compose(self) -> ComposeResult:
        """The parts."""
        yield StatusBar(self._model, self._options.title)
        yield Banner(self._model)
        yield DetailView(self._model)
        yield KeyLine(self._model)

    def on_mount(self) -> None:
        """Show it."""
        view = self.query_one(DetailView)
        view.focus()
        view.show(self.listing_id)

    def sync(self, news: News) -> None:
        """Redraw the status line, and the listing if it has changed."""
        super().sync(news)
        if news.replaced or self.listing_id in news.ids:
            self.query_one(DetailView).show(self.listing_id)
            self.query_one(KeyLine).refresh()

    def disabled_reason(self, action: str) -> str:
        """Why an action is not allowed now; empty if it is."""
        return self._actions.disabled_reason(action, self.listing_id)

    def on_detail_view_wanted(self, event: DetailView.Wanted) -> None:
        """Fetch the history."""
        self._actions.fetch(event.view, event.listing_id)

    def action_back(self) -> None:
        """Back to the table."""
        self.dismiss(None)

    def action_edit(self) -> None:
        """Edit this listing."""
        self._actions.edit(self.listing_id)

    def action_delist(self) -> None:
        """Remove this listing."""
        self._actions.delist(self.listing_id)

    def action_copy(self, what: str) -> None:
        """Copy one thing of this listing."""
        self._actions.copy(what, self.listing_id)

    def action_copy_menu(self) -> None:
        """Ask what to copy."""
        self._actions.copy("", self.listing_id)

    def action_mute(self) -> None:
        """Mute its seller, or unmute it."""
        self._actions.mute(self.listing_id)

    def action_retry(self) -> None:
        """Ask for the history again."""
        self.query_one(DetailView).show(self.listing_id)
