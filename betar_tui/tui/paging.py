"""Decides when a page of the table is asked for, and what becomes of the answer."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from textual.app import App

from betar_tui.market.marketplace import ListingPage
from betar_tui.market.text import neutralise
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.pages import Counted, CountLoader, PageArrived, PageLoader
from betar_tui.tui.window import Cause, Request


class TableScreen(Protocol):
    """The screen that the table is on."""

    @property
    def resting(self) -> bool:
        """Whether the person has not moved for a while, so that rows may move."""

    def next_request(self) -> Request | None:
        """The page that the table needs now; None if there is none."""

    def take_page(self, request: Request, page: ListingPage) -> None:
        """Show rows that have come."""

    def counted(self, matches: int) -> None:
        """Show the exact number of matches."""

    def filter_failed(self, error: str) -> None:
        """The peer refuses the filter, or cannot be asked."""

    def deliver(self, update: Callable[[], None]) -> None:
        """Call `update`, unless the screen is closing."""

    def call_after_refresh(self, callback: Callable[[], None]) -> bool:
        """Call `callback` once the next frame is drawn; false if the screen is closing."""


class Paging:
    """`screen` returns the table's screen, None while there is none. `took` shows news of the model on all screens."""

    def __init__(
        self,
        app: App[None],
        model: MarketModel,
        bridge: Bridge,
        screen: Callable[[], TableScreen | None],
        took: Callable[[News], None],
        notify: Callable[..., None],
    ) -> None:
        self._app, self._model, self._screen, self._took, self._notify = app, model, screen, took, notify
        self._pages, self._counts = PageLoader(app, bridge.listings), CountLoader(app, bridge.count)
        self._timer: Any = None
        self._drawing = False

    @property
    def for_person(self) -> bool:
        """Whether a person waits for other rows."""
        return self._pages.for_person

    @property
    def current(self) -> Request | None:
        """The page that is asked for now."""
        return self._pages.current

    def ask(self, request: Request | None) -> None:
        """Ask for a page at once, giving up the one that is asked for; or for whatever is missing, if it is None."""
        if request is None:
            self.consider()
            return
        given_up = self._pages.current
        if given_up is not None and given_up.cause is Cause.LOAD:
            self._model.table.reload = True
        self._model.table.asked(request)
        self._pages.start(request)

    def consider(self) -> None:
        """Ask for the page that the table needs, unless one is on its way or events cause too many."""
        screen = self._screen()
        busy = self._drawing or self._pages.current is not None
        if busy or screen is None or (request := screen.next_request()) is None:
            return
        wait = self._pages.wait() if request.cause in (Cause.EVENTS, Cause.LOAD) else 0.0
        if not wait:
            self.ask(request)
        elif self._timer is None:
            self._timer = self._app.set_timer(wait, self._waited)

    def _drawn(self) -> None:
        self._drawing = False
        self.consider()

    def _waited(self) -> None:
        self._timer = None
        self.consider()

    def take(self, message: PageArrived) -> bool:
        """Show a page, unless it is not wanted any more or the person moves meanwhile; False if it was given up."""
        request, page, screen = message.request, message.page, self._screen()
        if not self._pages.taken(request, bool(message.error)):
            return False
        if page is None:
            self._failed(request, message.error)
        elif screen is not None:
            if request.cause is Cause.PERSON or not self._model.listings_ready:
                # They are drawn before more is asked for: to read the next page meanwhile would keep both waiting.
                self._drawing = screen.call_after_refresh(self._drawn)
            if request.cause is Cause.EVENTS and not screen.resting:
                self._model.table.failed(request)
            else:
                screen.deliver(partial(screen.take_page, request, page))
            self._took(self._model.loaded(request.cause is Cause.LOAD))
        self.count()
        self.consider()
        return True

    def _failed(self, request: Request, error: str) -> None:
        table, known, screen = self._model.table, self._model.listings_error, self._screen()
        table.failed(request)
        news = self._model.load_failed(error)
        if request.cause is Cause.PERSON and screen is not None:
            screen.deliver(partial(screen.filter_failed, error))
        if table.window.loaded and not (known and request.cause is Cause.EVENTS):
            self._notify(f"The listings could not be loaded again: {neutralise(error, 200)}", "error")
        self._took(news)

    def count(self) -> None:
        """Have the matches counted where a page could not tell, or no more."""
        table = self._model.table
        if not table.uncounted:
            self._counts.cancel()
        elif table.wanted == table.window.view:
            self._counts.want(table.window.view)

    def take_count(self, message: Counted) -> None:
        """Show how many listings match, if these rows are still shown."""
        view, shown, screen = message.view, self._model.table.window.view, self._screen()
        if (view.query, view.muted) == (shown.query, shown.muted) and screen is not None:
            screen.deliver(partial(screen.counted, message.matches))
