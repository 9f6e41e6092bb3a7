"""A marketplace that is still being opened, so that the first frame need not wait for it.

Reading a large store takes seconds. Calls to a `DeferredMarketplace` wait until `opened` hands over the real one. The first
listings may arrive earlier, by `first_page_ready`, and are shown until then."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from betar_tui.errors import BetarError
from betar_tui.market.calls import Call, ForwardedCalls
from betar_tui.market.marketplace import Event, ListingPage, Marketplace, Missed, Place

BUFFER = 1024
"""Maximum events that wait for the interface, which takes all of them ten times a second."""
LISTED_TIMEOUT = 1.0
"""Seconds that `first_page_ready` waits for the first listings to be on the screen."""


class DeferredMarketplace(ForwardedCalls):
    """Passes all calls on to a marketplace, as soon as it is opened."""

    def __init__(self) -> None:
        self._opened, self._readable, self._listed = trio.Event(), trio.Event(), trio.Event()
        self._market: Marketplace | None = None
        self._first_page: ListingPage | None = None

    async def first_page_ready(self, page: ListingPage) -> None:
        """Show the first listings, if there are any. Returns when they are on the screen: reading the others would slow that
        down."""
        if page.listings:
            self._first_page = page
            self._readable.set()
            with trio.move_on_after(LISTED_TIMEOUT):
                await self._listed.wait()

    def listed(self) -> None:
        """The first listings are on the screen."""
        self._listed.set()

    def opened(self, market: Marketplace) -> None:
        """Hand over the real marketplace."""
        self._market = market
        self._opened.set()
        self._readable.set()

    async def _real(self) -> Marketplace:
        await self._opened.wait()
        assert self._market is not None
        return self._market

    async def listings(
        self,
        query: str = "",
        sort: str = "",
        limit: int = 0,
        after: Place | None = None,
        before: Place | None = None,
        around: str = "",
        skip: int = 0,
        muted: Sequence[str] = (),
    ) -> ListingPage:
        """See `Marketplace`. Until all can be read, the first ones, whatever the query: fewer than their total."""
        await self._readable.wait()
        if self._first_page is not None and not self._opened.is_set():
            return self._first_page
        return await (await self._real()).listings(query, sort, limit, after, before, around, skip, muted)

    async def _call(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        return await getattr(await self._real(), call.name)(*args, **kwargs)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """See `Marketplace`. After the first listings it sends a `Missed` as soon as all can be loaded."""
        await self._readable.wait()
        if self._opened.is_set():
            async with (await self._real()).events() as stream:
                yield stream
            return
        errors: list[BetarError] = []
        send, receive = trio.open_memory_channel[Event](BUFFER)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on, send, errors)
            yield receive
            nursery.cancel_scope.cancel()
        if errors:
            raise errors[0]

    async def _pass_on(self, send: trio.MemorySendChannel[Event], errors: list[BetarError]) -> None:
        """Forward the events of the real marketplace; an error that ends them goes to `errors`."""
        async with send:
            try:
                async with (await self._real()).events() as stream:
                    await send.send(Missed(0))
                    async for event in stream:
                        await send.send(event)
            except BetarError as error:
                errors.append(error)
