"""One listing on a screen of its own, where there is not enough room for a pane next to the table."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from betar_tui.tui.context import ScreenContext
from betar_tui.tui.keybindings import bindings
from betar_tui.tui.model import News
from betar_tui.tui.screens.model_screen import ModelScreen
from betar_tui.tui.screens.selection_actions import SelectionActions
from betar_tui.tui.widgets.banner import Banner
from betar_tui.tui.widgets.detail import DetailView
from betar_tui.tui.widgets.keyline import KeyLine
from betar_tui.tui.widgets.status import StatusBar


class DetailScreen(SelectionActions, ModelScreen[None]):
    """Status, the listing, keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("detail", "navigation", first=True)]
    SCOPE = "detail"

    def __init__(self, context: ScreenContext, listing_id: str) -> None:
        super().__init__(context)
        self.listing_id = listing_id

    def compose(self) -> ComposeResult:
        yield StatusBar(self._model, self._options.title)
        yield Banner(self._model)
        yield DetailView(self._model)
        yield KeyLine(self._model)

    def on_mount(self) -> None:
        view = self.query_one(DetailView)
        view.focus()
        view.show(self.listing_id)

    def sync(self, news: News) -> None:
        super().sync(news)
        if news.replaced or self.listing_id in news.ids:
            self.query_one(DetailView).show(self.listing_id)

    @property
    def shows_raw(self) -> bool:
        return self.query_one(DetailView).is_raw

    def tick(self) -> None:
        super().tick()
        self.query_one(DetailView).tick()

    @property
    def current(self) -> str:
        """The id of the listing."""
        return self.listing_id

    def on_detail_view_wanted(self, event: DetailView.Wanted) -> None:
        self._actions.fetch(event.view, event.listing_id)

    def action_back(self) -> None:
        self.dismiss(None)

    def action_retry(self) -> None:
        self.query_one(DetailView).show(self.listing_id)
