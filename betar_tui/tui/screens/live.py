"""A screen that follows the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from textual.css.query import QueryError
from textual.screen import Screen

from betar_tui.tui.model import News

Result = TypeVar("Result")


class LiveScreen(Screen[Result], Generic[Result]):
    """The app calls `sync` with news of the model and `tick` every second, through `hear`."""

    def hear(self, telling: Callable[[], None]) -> None:
        """Let the screen be told something, unless it is only just coming or already going."""
        if not self.is_mounted:
            return
        try:
            telling()
        except QueryError:
            if self.is_running and self.is_attached:
                raise

    def sync(self, news: News) -> None:
        """Redraw what the news concern."""

    def tick(self) -> None:
        """A second has passed."""
