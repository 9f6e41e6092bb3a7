"""Between asyncio, where Textual lives, and trio, where the peer does: the only file that knows both.

Every call of the interface to the marketplace goes through `Bridge`; its methods are asyncio coroutines. Events are
gathered for `interval` seconds and handed over as one batch, so that a market of hundreds of sellers costs the
interface ten messages a second and not one a delta.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import trio
import trio_asyncio

from betar_tui.market.calls import Call, ForwardedCalls
from betar_tui.market.marketplace import Event, Marketplace

Deliver = Callable[[Sequence[Event]], None]


class Bridge(ForwardedCalls):
    """The marketplace as asyncio sees it: each call of it is an asyncio coroutine here; `follow` takes the place of
    `events`."""

    def __init__(self, marketplace: Marketplace, *, interval: float = 0.1) -> None:
        self._marketplace = marketplace
        self._interval = interval

    async def _call(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        return await trio_asyncio.trio_as_aio(getattr(self._marketplace, call.name))(*args, **kwargs)

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

        await trio_asyncio.trio_as_aio(pump)()


def _waiting(stream: trio.MemoryReceiveChannel[Event]) -> list[Event]:
    events: list[Event] = []
    while True:
        try:
            events.append(stream.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return events
