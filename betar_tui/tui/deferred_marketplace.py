"""A marketplace that is still being opened, so that the first frame need not wait for it.

Calls to a `DeferredMarketplace` wait until `opened` hands over the real one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from betar_tui.market.calls import Call, ForwardedCalls
from betar_tui.market.marketplace import Event, Marketplace


class DeferredMarketplace(ForwardedCalls):
    """Passes all calls on to a marketplace, as soon as it is opened."""

    def __init__(self) -> None:
        self._opened = trio.Event()
        self._market: Marketplace | None = None

    def opened(self, market: Marketplace) -> None:
        """Hand over the real marketplace."""
        self._market = market
        self._opened.set()

    async def _real(self) -> Marketplace:
        await self._opened.wait()
        assert self._market is not None
        return self._market

    async def _call(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        return await getattr(await self._real(), call.name)(*args, **kwargs)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """See `Marketplace`."""
        async with (await self._real()).events() as stream:
            yield stream
