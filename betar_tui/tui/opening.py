"""A marketplace that is still being opened, so that the first frame need not wait for it.

Reading a large store takes seconds. The app is given an `Opening` at once; every call waits in it until `opened` hands
over the real one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from betar_tui.market.marketplace import (
    DagNode,
    DelistReceipt,
    DeltaInfo,
    Event,
    Exported,
    HeadInfo,
    Imported,
    ListingDetail,
    ListingDraft,
    ListingPage,
    ListingPatch,
    Marketplace,
    PeerInfo,
    Receipt,
    Status,
)


class Opening:
    """Stands for a `Marketplace` until it is there, and passes everything on to it."""

    def __init__(self) -> None:
        self._there = trio.Event()
        self._market: Marketplace | None = None

    def opened(self, market: Marketplace) -> None:
        """Here it is."""
        self._market = market
        self._there.set()

    async def _real(self) -> Marketplace:
        await self._there.wait()
        assert self._market is not None
        return self._market

    async def listings(self, query: str = "", sort: str = "", limit: int = 0) -> ListingPage:
        """See `Marketplace`."""
        return await (await self._real()).listings(query, sort, limit)

    async def show(self, listing_id: str) -> ListingDetail:
        """See `Marketplace`."""
        return await (await self._real()).show(listing_id)

    async def publish(self, drafts: Sequence[ListingDraft]) -> tuple[Receipt, ...]:
        """See `Marketplace`."""
        return await (await self._real()).publish(drafts)

    async def update(self, listing_id: str, patch: ListingPatch) -> Receipt:
        """See `Marketplace`."""
        return await (await self._real()).update(listing_id, patch)

    async def delist(self, listing_id: str) -> DelistReceipt:
        """See `Marketplace`."""
        return await (await self._real()).delist(listing_id)

    async def status(self) -> Status:
        """See `Marketplace`."""
        return await (await self._real()).status()

    async def peers(self) -> tuple[PeerInfo, ...]:
        """See `Marketplace`."""
        return await (await self._real()).peers()

    async def connect(self, address: str) -> PeerInfo:
        """See `Marketplace`."""
        return await (await self._real()).connect(address)

    async def disconnect(self, peer_id: str) -> None:
        """See `Marketplace`."""
        await (await self._real()).disconnect(peer_id)

    async def choose_dialect(self, dialect: str) -> None:
        """See `Marketplace`."""
        await (await self._real()).choose_dialect(dialect)

    async def hold_sync(self, held: bool) -> None:
        """See `Marketplace`."""
        await (await self._real()).hold_sync(held)

    async def heads(self) -> tuple[HeadInfo, ...]:
        """See `Marketplace`."""
        return await (await self._real()).heads()

    async def dag(self, limit: int = 200) -> tuple[DagNode, ...]:
        """See `Marketplace`."""
        return await (await self._real()).dag(limit)

    async def log(self, limit: int = 50) -> tuple[DeltaInfo, ...]:
        """See `Marketplace`."""
        return await (await self._real()).log(limit)

    async def export_car(self, path: str, heads: Sequence[str] = ()) -> Exported:
        """See `Marketplace`."""
        return await (await self._real()).export_car(path, heads)

    async def import_car(self, path: str) -> Imported:
        """See `Marketplace`."""
        return await (await self._real()).import_car(path)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """See `Marketplace`."""
        async with (await self._real()).events() as stream:
            yield stream
