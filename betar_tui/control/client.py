"""The client's side of the control socket: a `Marketplace` that another process runs."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import trio

from betar_tui.control.methods import METHODS, joined
from betar_tui.control.wire import EVENTS, line, lines, plain, raise_plain, typed
from betar_tui.errors import ControlError, NoRunningPeerError
from betar_tui.market.marketplace import (
    DagNodeInfo,
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
    Notice,
    PeerInfo,
    Receipt,
    Status,
)

_BUFFER = 1024
_ATTACHED = "Attached to the peer that runs on this data directory; it goes on when you leave"


class ControlClient:
    """Calls the peer that listens at `path`; each call is a connection of its own, so a restarted peer is found again.

    Besides what `Marketplace` says, every call raises NoRunningPeerError when nobody listens, and ControlError when
    the peer leaves in the middle.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def running(self) -> bool:
        """Whether a peer listens."""
        try:
            async with await self._connect():
                return True
        except NoRunningPeerError:
            return False

    async def listings(self, query: str = "", sort: str = "", limit: int = 0) -> ListingPage:
        """See `Marketplace`."""
        return await self._call("listings", query=query, sort=sort, limit=limit)  # type: ignore[no-any-return]

    async def show(self, listing_id: str) -> ListingDetail:
        """See `Marketplace`."""
        return await self._call("show", listing_id=listing_id)  # type: ignore[no-any-return]

    async def publish(self, drafts: Sequence[ListingDraft]) -> tuple[Receipt, ...]:
        """See `Marketplace`."""
        return await self._call("publish", drafts=tuple(drafts))  # type: ignore[no-any-return]

    async def update(self, listing_id: str, patch: ListingPatch) -> Receipt:
        """See `Marketplace`."""
        return await self._call("update", listing_id=listing_id, patch=patch)  # type: ignore[no-any-return]

    async def delist(self, listing_id: str) -> DelistReceipt:
        """See `Marketplace`."""
        return await self._call("delist", listing_id=listing_id)  # type: ignore[no-any-return]

    async def status(self) -> Status:
        """See `Marketplace`."""
        return await self._call("status")  # type: ignore[no-any-return]

    async def peers(self) -> tuple[PeerInfo, ...]:
        """See `Marketplace`."""
        return await self._call("peers")  # type: ignore[no-any-return]

    async def connect(self, address: str) -> PeerInfo:
        """See `Marketplace`."""
        return await self._call("connect", address=address)  # type: ignore[no-any-return]

    async def disconnect(self, peer_id: str) -> None:
        """See `Marketplace`."""
        await self._call("disconnect", peer_id=peer_id)

    async def choose_dialect(self, dialect: str) -> None:
        """See `Marketplace`."""
        await self._call("choose_dialect", dialect=dialect)

    async def hold_sync(self, held: bool) -> None:
        """See `Marketplace`."""
        await self._call("hold_sync", held=held)

    async def heads(self) -> tuple[HeadInfo, ...]:
        """See `Marketplace`."""
        return await self._call("heads")  # type: ignore[no-any-return]

    async def dag(self, limit: int = 200) -> tuple[DagNodeInfo, ...]:
        """See `Marketplace`."""
        return await self._call("dag", limit=limit)  # type: ignore[no-any-return]

    async def log(self, limit: int = 50) -> tuple[DeltaInfo, ...]:
        """See `Marketplace`."""
        return await self._call("log", limit=limit)  # type: ignore[no-any-return]

    async def export_car(self, path: str, heads: Sequence[str] = ()) -> Exported:
        """See `Marketplace`."""
        return await self._call("export_car", path=path, heads=tuple(heads))  # type: ignore[no-any-return]

    async def import_car(self, path: str) -> Imported:
        """See `Marketplace`."""
        return await self._call("import_car", path=path)  # type: ignore[no-any-return]

    @asynccontextmanager
    async def events(self) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """See `Marketplace`. The first event says that the peer is another process. The channel ends when the peer does."""
        async with await self._connect() as stream:
            messages = lines(stream)
            answer = None
            with suppress(trio.BrokenResourceError):
                await stream.send_all(line({"jsonrpc": "2.0", "id": 1, "method": "events"}))
                answer = await anext(messages, None)
            if answer is None:
                raise ControlError("the peer left before it told of anything; see its log, then start it again")
            async with trio.open_nursery() as nursery:
                send, receive = trio.open_memory_channel[Event](_BUFFER)
                send.send_nowait(Notice("info", _ATTACHED, time.time()))
                nursery.start_soon(_forward, messages, send)
                async with receive:
                    yield receive
                nursery.cancel_scope.cancel()

    async def _call(self, name: str, **arguments: object) -> Any:
        method = METHODS[name]
        request = {"jsonrpc": "2.0", "id": 1, "method": name, "params": plain(arguments, strict=True)}
        response = None
        parts = []
        async with await self._connect() as stream:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(line(request))
                async for response in lines(stream):
                    if "part" not in response:
                        break
                    parts.append(await trio.to_thread.run_sync(typed, method.part or method.result, response["part"]))
                    response = None
        if response is None:
            raise ControlError(f"the peer left before it answered {name}; see its log, then start it again")
        if "error" in response:
            raise_plain(response["error"])
        return joined(parts, typed(method.result, response.get("result")))

    async def _connect(self) -> trio.SocketStream:
        try:
            return await trio.open_unix_socket(str(self._path))
        except OSError as error:
            raise NoRunningPeerError(
                f"no peer runs on {self._path.parent}; start one with betar-tui --serve"
            ) from error


async def _forward(messages: AsyncIterator[dict[str, Any]], send: trio.MemorySendChannel[Event]) -> None:
    async with send:
        try:
            async for message in messages:
                kind = EVENTS.get(str(message.get("event")))
                if kind is not None:
                    await send.send(typed(kind, message.get("data")))
        except (trio.BrokenResourceError, trio.ClosedResourceError, ControlError):
            return
