"""Between asyncio, where Textual lives, and trio, where the peer does: the only file that knows both.

Every call of the interface to the marketplace goes through `Bridge`; its methods are asyncio coroutines. Events are
gathered for `interval` seconds and handed over as one batch, so that a market of hundreds of sellers costs the
interface ten messages a second and not one a delta.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import trio
import trio_asyncio

from betar_tui.market.marketplace import (
    DagNodeInfo,
    DelistReceipt,
    DeltaInfo,
    Event,
    ListingDetail,
    ListingDraft,
    ListingPage,
    ListingPatch,
    Marketplace,
    PeerInfo,
    Receipt,
    Status,
)

T = TypeVar("T")

Deliver = Callable[[Sequence[Event]], None]


class Bridge:
    """The marketplace as asyncio sees it."""

    def __init__(self, marketplace: Marketplace, *, interval: float = 0.1) -> None:
        self._marketplace = marketplace
        self._interval = interval

    async def listings(self) -> ListingPage:
        """Every shown listing: filter and order are the interface's own."""
        return await _in_trio(self._marketplace.listings)

    async def show(self, listing_id: str) -> ListingDetail:
        """One listing with its history."""
        return await _in_trio(self._marketplace.show, listing_id)

    async def publish(self, draft: ListingDraft) -> Receipt:
        """Store and announce one listing."""
        receipts = await _in_trio(self._marketplace.publish, [draft])
        return receipts[0]

    async def update(self, listing_id: str, patch: ListingPatch) -> Receipt:
        """Change an own listing."""
        return await _in_trio(self._marketplace.update, listing_id, patch)

    async def delist(self, listing_id: str) -> DelistReceipt:
        """Remove an own listing."""
        return await _in_trio(self._marketplace.delist, listing_id)

    async def status(self) -> Status:
        """The peer in numbers."""
        return await _in_trio(self._marketplace.status)

    async def peers(self) -> tuple[PeerInfo, ...]:
        """The connected peers."""
        return await _in_trio(self._marketplace.peers)

    async def dag(self, limit: int) -> tuple[DagNodeInfo, ...]:
        """The newest deltas, by falling height."""
        return await _in_trio(self._marketplace.dag, limit)

    async def log(self, limit: int) -> tuple[DeltaInfo, ...]:
        """The deltas applied last."""
        return await _in_trio(self._marketplace.log, limit)

    async def connect(self, address: str) -> PeerInfo:
        """Dial a multiaddr."""
        return await _in_trio(self._marketplace.connect, address)

    async def disconnect(self, peer_id: str) -> None:
        """Close the connections to a peer."""
        await _in_trio(self._marketplace.disconnect, peer_id)

    async def choose_dialect(self, dialect: str) -> None:
        """How own listings are written."""
        await _in_trio(self._marketplace.choose_dialect, dialect)

    async def hold_sync(self, held: bool) -> None:
        """Stop fetching history, or go on."""
        await _in_trio(self._marketplace.hold_sync, held)

    async def follow(self, deliver: Deliver, opened: Callable[[], None]) -> None:
        """Hand events to `deliver` in batches until the stream ends; `opened` is called once it runs.

        Both callbacks run in the asyncio loop. Whoever loads the state after `opened` misses nothing.
        """
        loop = asyncio.get_running_loop()

        async def pump() -> None:
            async with self._marketplace.events() as stream:
                loop.call_soon(opened)
                async for event in stream:
                    batch = [event, *_waiting(stream)]
                    loop.call_soon(deliver, batch)
                    # The first event goes out at once; what comes in the next moment waits for company.
                    await trio.sleep(self._interval)

        await _in_trio(pump)


def _waiting(stream: trio.MemoryReceiveChannel[Event]) -> list[Event]:
    events: list[Event] = []
    while True:
        try:
            events.append(stream.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return events


async def _in_trio(function: Callable[..., Awaitable[T]], *args: object) -> T:
    result: T = await trio_asyncio.trio_as_aio(function)(*args)
    return result
