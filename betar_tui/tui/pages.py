"""Asks for the pages of the table: one at a time, and never more often than a screen can show.

The marketplace is asked in a worker. Its answer is handed over as a message, and the loader is busy until the app has
dealt with that."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from textual.dom import DOMNode
from textual.message import Message

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import ListingPage
from betar_tui.tui.window import Cause, Request, View
from betar_tui.tui.workers import start

log = logging.getLogger(__name__)

PAUSE = 0.1
"""Minimum seconds between two requests that events cause."""
RETRY = 1.0
"""Seconds after a failure until events cause a request again."""
COUNT_AFTER = 0.3
"""Seconds that a view is shown before its matches are counted: while a person types, the next filter comes sooner."""
RECOUNT = 5.0
"""Minimum seconds between two exact counts of one view."""


class PageArrived(Message):
    """A page of the table, or None and the reason `error`."""

    def __init__(self, request: Request, page: ListingPage | None, error: str = "") -> None:
        super().__init__()
        self.request, self.page, self.error = request, page, error


class Counted(Message):
    """The exact number of matches of a view."""

    def __init__(self, view: View, matches: int) -> None:
        super().__init__()
        self.view, self.matches = view, matches


class PageLoader:
    """`ask` is `Marketplace.listings`; `node` runs the workers and gets the answers, as messages."""

    def __init__(self, node: DOMNode, ask: Callable[..., Awaitable[ListingPage]]) -> None:
        self._node, self._ask = node, ask
        self._rested_at = 0.0
        self.current: Request | None = None

    @property
    def for_person(self) -> bool:
        """Whether a person waits for other rows."""
        return self.current is not None and self.current.cause is Cause.PERSON

    def start(self, request: Request) -> None:
        """Ask for a page, and give up the one that is asked for now."""
        self.current = request
        start(self._node, partial(self._run, request), group="page")

    def taken(self, request: Request, failed: bool) -> bool:
        """The app deals with this answer; False if it is one that was given up."""
        if request is not self.current:
            return False
        self.current = None
        if request.cause in (Cause.EVENTS, Cause.LOAD):
            self._rested_at = time.monotonic() + (RETRY if failed else PAUSE)
        return True

    def wait(self) -> float:
        """Seconds until events may cause the next request; 0 now."""
        return max(0.0, self._rested_at - time.monotonic())

    async def _run(self, request: Request) -> None:
        try:
            page = await self._ask(**request.arguments())
        except BetarError as error:
            self._node.post_message(PageArrived(request, None, str(error) or type(error).__name__))
            return
        self._node.post_message(PageArrived(request, page))


class CountLoader:
    """Asks for the exact number of matches of a view, in the background; `ask` is `Marketplace.count`."""

    def __init__(self, node: DOMNode, ask: Callable[..., Awaitable[int]]) -> None:
        self._node, self._ask = node, ask
        self._view: View | None = None
        self._busy = False
        self._again_at = 0.0

    def want(self, view: View) -> None:
        """Count the matches of a view, unless that is being done or was done a moment ago; gives up counting another."""
        now = time.monotonic()
        same = self._view is not None and (view.query, view.muted) == (self._view.query, self._view.muted)
        if same and (self._busy or now < self._again_at):
            return
        self._view, self._busy = view, True
        start(self._node, partial(self._run, view), group="count")

    def cancel(self) -> None:
        """Give up counting."""
        self._view, self._busy = None, False
        self._node.workers.cancel_group(self._node, "count")

    async def _run(self, view: View) -> None:
        try:
            await asyncio.sleep(COUNT_AFTER)
            matches = await self._ask(view.query, view.muted)
        except BetarError as error:
            # The table goes on to say "more than"; what is wrong with the peer shows with the next page.
            log.info("the matches could not be counted: %s", error)
        else:
            self._node.post_message(Counted(view, matches))
        finally:
            if self._view is view:
                self._busy, self._again_at = False, time.monotonic() + RECOUNT
