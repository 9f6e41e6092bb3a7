"""A marketplace that is still being opened, so that the first frame need not wait for it.

Reading a large store takes seconds. The app is given a `DeferredMarketplace` at once; every call waits in it until
`opened` hands over the real one. The first listings may come before, by `first_page_ready`, and are shown until all can
be had.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from betar_tui.errors import BetarError
from betar_tui.market.calls import Call, ForwardedCalls
from betar_tui.market.marketplace import Event, ListingPage, Marketplace, Missed

BUFFER = 1024
"""Events that wait here for the interface, which takes what waits at once, ten times a second."""
LISTED_BY = 1.0
"""Seconds in which the first listings should be on the screen; what waits for that waits no longer."""


class DeferredMarketplace(ForwardedCalls):
    """Stands for a `Marketplace` until it is there, and passes everything on to it."""

    def __init__(self) -> None:
        self._there, self._readable, self._listed = trio.Event(), trio.Event(), trio.Event()
        self._market: Marketplace | None = None
        self._glimpse: ListingPage | None = None

    async def first_page_ready(self, page: ListingPage) -> None:
        """Here are the first listings; returns when they are on the screen: what comes next would only slow that down. An
        empty page tells nothing."""
        if page.listings:
            self._glimpse = page
            self._readable.set()
            with trio.move_on_after(LISTED_BY):
                await self._listed.wait()

    def listed(self) -> None:
        """The first listings are on the screen."""
        self._listed.set()

    def opened(self, market: Marketplace) -> None:
        """Here it is."""
        self._market = market
        self._there.set()
        self._readable.set()

    async def _real(self) -> Marketplace:
        await self._there.wait()
        assert self._market is not None
        return self._market

    async def listings(self, query: str = "", sort: str = "", limit: int = 0) -> ListingPage:
        """See `Marketplace`. Before all can be had, the first ones, whatever was asked for: fewer than their total."""
        await self._readable.wait()
        if self._glimpse is not None and not self._there.is_set():
            return self._glimpse
        return await (await self._real()).listings(query, sort, limit)

    async def _call(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        return await getattr(await self._real(), call.name)(*args, **kwargs)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """See `Marketplace`. A stream that begins with the first listings alone tells to load again as soon as all can be
        had."""
        await self._readable.wait()
        if self._there.is_set():
            async with (await self._real()).events() as stream:
                yield stream
            return
        lost: list[BetarError] = []
        send, receive = trio.open_memory_channel[Event](BUFFER)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on, send, lost)
            yield receive
            nursery.cancel_scope.cancel()
        if lost:
            raise lost[0]

    async def _pass_on(self, send: trio.MemorySendChannel[Event], lost: list[BetarError]) -> None:
        """What happens once the marketplace is there; why it ended goes to `lost`."""
        async with send:
            try:
                async with (await self._real()).events() as stream:
                    await send.send(Missed(0))
                    async for event in stream:
                        await send.send(event)
            except BetarError as error:
                lost.append(error)
