"""The metadata files that Go betar's listings point at: found in the store, or fetched from whoever has them.

A few are asked for at a time. One that does not come gives its place to another and gets its turn again later, so that
listings with invented CIDs keep nobody from being described.
"""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import trio

from betar_tui.errors import DecodeError, ListingError
from betar_tui.market import unixfs
from betar_tui.market.book import Book
from betar_tui.market.marketplace import Change, ChangeKind, Event
from betar_tui.p2p.types import ReceivedBlock
from betar_tui.store.database import Store

if TYPE_CHECKING:
    from betar_tui.p2p.service import Network

log = logging.getLogger(__name__)

MAX_ASKED = 256
PATIENCE = 60.0
"""How long, in seconds, a file may take before another is asked for in its place."""
REST = 600.0
"""How long, in seconds, until it is asked for again."""
PAUSE = 0.2
"""What changes within so many seconds is looked at together."""


class MetadataFiles:
    """Describes the listings of a book. `emit` hears of listings that got their description."""

    def __init__(
        self, store: Store, book: Book, emit: Callable[[Iterable[Event]], None], clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._book = book
        self._emit = emit
        self._clock = clock
        self._parsed: dict[str, bytes] = {}
        self._asked: dict[bytes, tuple[str, float]] = {}
        self._resting: dict[bytes, float] = {}
        self._changed = trio.Event()

    def listings_changed(self) -> None:
        """Look again."""
        self._changed.set()

    def asked(self, name: bytes) -> bool:
        """Whether this file is asked for."""
        return name in self._asked

    async def run(self, network: "Network") -> None:
        """Find files until cancelled."""
        self._asked.clear()
        while True:
            self._changed = trio.Event()
            self._expire(network)
            wanted = self._wanted()
            if wanted:
                await self._find(network, wanted)
            with trio.move_on_after(PATIENCE):
                await self._changed.wait()
            await trio.sleep(PAUSE)

    async def take(self, network: "Network", block: ReceivedBlock) -> None:
        """A file that was asked for is here."""
        text, _ = self._asked.pop(block.cid)
        network.cancel([block.cid])
        if self._describe(block.cid, text, block.data, block.peer):
            await trio.to_thread.run_sync(self._store.put_files, {block.cid: block.data})
            network.announce_block(block.cid)
        self._changed.set()

    def _expire(self, network: "Network") -> None:
        now = trio.current_time()
        late = [name for name, (_, since) in self._asked.items() if now - since >= PATIENCE]
        for name in late:
            del self._asked[name]
            self._resting[name] = now + REST
        if late:
            network.cancel(late)
        self._resting = {name: until for name, until in self._resting.items() if until > now}

    def _wanted(self) -> dict[bytes, str]:
        """Files to look for now, by CID, with what the listings call them."""
        undescribed = self._book.undescribed()
        self._parsed = {text: name for text, name in self._parsed.items() if text in undescribed}
        for text in undescribed - self._parsed.keys():
            name = unixfs.parse_cid(text)
            if name is None:
                self._book.give_up(text)
            else:
                self._parsed[text] = name
        return {
            name: text for text, name in self._parsed.items() if name not in self._asked and name not in self._resting
        }

    async def _find(self, network: "Network", wanted: dict[bytes, str]) -> None:
        held = await trio.to_thread.run_sync(self._store.blocks, tuple(wanted))
        for name, block in held.items():
            self._describe(name, wanted.pop(name), block, "local")
        now = trio.current_time()
        fresh = list(wanted)[: MAX_ASKED - len(self._asked)]
        self._asked.update((name, (wanted[name], now)) for name in fresh)
        if fresh:
            network.want(fresh)

    def _describe(self, name: bytes, text: str, block: bytes, via: str) -> bool:
        """Give listings the description in their metadata file; False when the file is none."""
        try:
            described = self._book.describe(text, unixfs.decode_file(name, block))
        except (DecodeError, ListingError) as error:
            log.warning("metadata file %s from %s: %s", text, via, error)
            self._book.give_up(text)
            return False
        now = self._clock()
        self._emit(Change(ChangeKind.REFRESH, e.id, e.cid, e.height, via, now, e) for e in described)
        return True
