"""The marketplace as asyncio coroutines: Textual runs in asyncio, the marketplace in trio.

Events are gathered for `interval` seconds and handed over as one batch, so that a busy market costs the interface ten
messages a second and not one a delta."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio
import trio_asyncio

from betar_tui.market.calls import Call, ForwardedCalls
from betar_tui.market.marketplace import Event, Marketplace

Deliver = Callable[[Sequence[Event]], None]


class Bridge(ForwardedCalls):
    """The calls of a marketplace as asyncio coroutines; `follow` replaces `events`."""

    def __init__(
        self, marketplace: Marketplace, *, interval: float = 0.1, take_over: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._marketplace = marketplace
        self._interval = interval
        self._take_over = take_over

    async def _call(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        return await trio_asyncio.trio_as_aio(getattr(self._marketplace, call.name))(*args, **kwargs)

    async def take_over(self) -> None:
        """Have the peer run in this process, see `TuiOptions`. Raises BetarError."""
        if self._take_over is not None:
            await trio_asyncio.trio_as_aio(self._take_over)()

    async def follow(self, deliver: Deliver, opened: Callable[[], None]) -> None:
        """Hand events to `deliver` in batches until the stream ends; `opened` is called once it runs.

        Both callbacks run in the asyncio loop. Nothing is missed if the state is loaded after `opened`."""
        loop = asyncio.get_running_loop()

        async def pump() -> None:
            async with self._marketplace.events() as stream:
                loop.call_soon(opened)
                async for event in stream:
                    batch = [event, *_waiting(stream)]
                    loop.call_soon(deliver, batch)
                    # The first event is delivered at once; those behind it are gathered.
                    await trio.sleep(self._interval)

        await trio_asyncio.trio_as_aio(pump)()


def _waiting(stream: trio.MemoryReceiveChannel[Event]) -> list[Event]:
    events: list[Event] = []
    while True:
        try:
            events.append(stream.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return events
