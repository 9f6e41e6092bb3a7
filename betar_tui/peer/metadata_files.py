"""The metadata files that Go betar's listings point at: found in the store, or fetched from whoever has them.

A few are asked for at a time. One that does not come gives its place to the next in the line and goes to the end of it,
so that listings with invented CIDs make the others wait for one turn of each at most.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import trio

from betar_tui.errors import DecodeError, ListingError
from betar_tui.ipld import unixfs
from betar_tui.market.catalogue import Catalogue
from betar_tui.market.marketplace import Change, ChangeKind, Event
from betar_tui.p2p.types import ReceivedBlock
from betar_tui.store.database import Store

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network

log = logging.getLogger(__name__)

MAX_ASKED = 256
"""How many files are asked for at a time."""
AT_ONCE = 32
"""How many are looked for in the store before others have their turn: one may have 2 MiB there."""
PATIENCE = 60.0
"""How long, in seconds, a file may take before another is asked for in its place."""
REST = 600.0
"""How long, in seconds, until it is asked for again."""
PAUSE = 0.2
"""What changes within so many seconds is looked at together."""


class MetadataFiles:
    """Describes the listings of a book. `emit` hears of listings that got their description."""

    def __init__(
        self, store: Store, book: Catalogue, emit: Callable[[Iterable[Event]], None], clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._book = book
        self._emit = emit
        self._clock = clock
        self._line: dict[str, tuple[bytes, float]] = {}
        self._asked: dict[bytes, tuple[str, float]] = {}
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
            await self._line_up()
            await self._ask(network)
            network.want(list(self._asked))  # the replica may have wanted the same block, and wants it no more
            with trio.move_on_after(PATIENCE):
                await self._changed.wait()
            await trio.sleep(PAUSE)

    async def take(self, network: "Network", block: ReceivedBlock) -> None:
        """A file that was asked for is here."""
        text, _ = self._asked.pop(block.cid)
        network.cancel([block.cid])
        if self._book.lacks(text) and self._describe(block.cid, text, block.data, block.peer):
            await trio.to_thread.run_sync(self._store.put_files, {block.cid: block.data})
            network.announce_block(block.cid)
        self._changed.set()

    def _expire(self, network: "Network") -> None:
        """Those that did not come in time go to the end of the line."""
        now = trio.current_time()
        late = [name for name, (_, since) in self._asked.items() if now - since >= PATIENCE]
        for name in late:
            text, _ = self._asked.pop(name)
            self._line[text] = name, now + REST
        if late:
            network.cancel(late)

    async def _line_up(self) -> None:
        """Take what listings point at since the last time into the line, unless it is in the store."""
        undescribed = self._book.undescribed()
        for text in self._line.keys() - undescribed:
            del self._line[text]
        new = list(undescribed - self._line.keys() - {text for text, _ in self._asked.values()})
        for i in range(0, len(new), AT_ONCE):
            names: dict[str, bytes] = {}
            for text in new[i : i + AT_ONCE]:
                name = unixfs.parse_cid(text)
                if name is None:
                    self._book.give_up(text)
                else:
                    names[text] = name
            for text in await self._look_up(names):
                self._line[text] = names[text], 0.0

    async def _ask(self, network: "Network") -> None:
        """Ask for the first in the line whose time has come, as many as there is room for."""
        while due := self._due():
            texts = list(due)
            for i in range(0, len(texts), AT_ONCE):
                part = {text: due[text] for text in texts[i : i + AT_ONCE]}
                absent = await self._look_up(part)
                for text in part:
                    self._line.pop(text, None)
                now = trio.current_time()
                self._asked.update((part[text], (text, now)) for text in absent)
                if absent:
                    network.want([part[text] for text in absent])

    def _due(self) -> dict[str, bytes]:
        now = trio.current_time()
        due: dict[bytes, str] = {}
        for text, (name, not_before) in self._line.items():
            if len(due) + len(self._asked) >= MAX_ASKED:
                break
            if not_before <= now and name not in self._asked:  # another text may name the same file
                due.setdefault(name, text)
        return {text: name for name, text in due.items()}

    async def _look_up(self, names: dict[str, bytes]) -> list[str]:
        """Describe the listings whose files are in the store; what is not there."""
        absent = []
        deltas, held = await trio.to_thread.run_sync(self._held, tuple(names.values()))
        for text, name in names.items():
            if name in deltas:
                self._book.give_up(text)
            elif name not in held:
                absent.append(text)
            elif self._book.lacks(text):
                self._describe(name, text, held[name], "local")
                await trio.lowlevel.checkpoint()
        return [text for text in absent if self._book.lacks(text)]

    def _held(self, names: Collection[bytes]) -> tuple[Collection[bytes], Mapping[bytes, bytes]]:
        """The deltas among these, which are never metadata and may be large, and the blocks of the others."""
        stored = {name[-32:] for name in self._store.stored(names)}
        deltas = {name for name in names if name[-32:] in stored}
        return deltas, self._store.blocks([name for name in names if name not in deltas])

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
