"""The metadata files that Go betar's listings point at: read from the store, or fetched from other peers.

A limited number is asked for at a time. A file that does not arrive goes to the end of the queue, so that a listing with
an invented CID delays the others by one turn at most."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import trio

from betar_tui.concurrency import Wakeup
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
"""Maximum files that are asked for at a time."""
LOOKUP_SIZE = 32
"""Maximum files that are read from the store at a time: each may have 2 MiB."""
FETCH_TIMEOUT = 60.0
"""Seconds until another file is asked for instead of one that has not arrived."""
RETRY_AFTER = 600.0
"""Seconds until such a file is asked for again."""
BATCH_DELAY = 0.2
"""Seconds that changes of listings are gathered before they are looked at together."""


class MetadataFiles:
    """Adds the descriptions to the listings of a catalogue. `emit` gets a change for each listing that has one now."""

    def __init__(
        self, store: Store, catalogue: Catalogue, emit: Callable[[Iterable[Event]], None], clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._emit = emit
        self._clock = clock
        self._queue: dict[str, tuple[bytes, float]] = {}
        self._asked: dict[bytes, tuple[str, float]] = {}
        self._changed = Wakeup()

    def listings_changed(self) -> None:
        """Look for files of the listings that have changed."""
        self._changed.set()

    def asked(self, cid: bytes) -> bool:
        """Whether this file is asked for."""
        return cid in self._asked

    async def run(self, network: "Network") -> None:
        """Read and fetch files until cancelled."""
        self._asked.clear()
        while True:
            self._changed.clear()
            self._expire(network)
            await self._enqueue()
            await self._ask(network)
            network.want(list(self._asked))  # the replica may have cancelled a want for the same block
            with trio.move_on_after(FETCH_TIMEOUT):
                await self._changed.wait()
            await trio.sleep(BATCH_DELAY)

    async def look_up(self, texts: Iterable[str]) -> None:
        """Describe the listings that point at these files, as far as they are in the store."""
        cids = {text: cid for text in texts if (cid := unixfs.parse_cid(text)) is not None}
        wanted = list(cids)
        for i in range(0, len(wanted), LOOKUP_SIZE):
            await self._look_up({text: cids[text] for text in wanted[i : i + LOOKUP_SIZE]})

    async def take(self, network: "Network", block: ReceivedBlock) -> None:
        """Take a file that was asked for."""
        text, _ = self._asked.pop(block.cid)
        network.cancel([block.cid])
        if self._catalogue.lacks(text) and self._describe(block.cid, text, block.data, block.peer):
            await trio.to_thread.run_sync(self._store.put_files, {block.cid: block.data})
            network.announce_block(block.cid)
        self._changed.set()

    def _expire(self, network: "Network") -> None:
        """Move the files that did not arrive in time to the end of the queue."""
        now = trio.current_time()
        late = [cid for cid, (_, since) in self._asked.items() if now - since >= FETCH_TIMEOUT]
        for cid in late:
            text, _ = self._asked.pop(cid)
            self._queue[text] = cid, now + RETRY_AFTER
        if late:
            network.cancel(late)

    async def _enqueue(self) -> None:
        """Add the files that listings point at now to the queue, except those in the store."""
        undescribed = self._catalogue.undescribed()
        for text in self._queue.keys() - undescribed:
            del self._queue[text]
        new = list(undescribed - self._queue.keys() - {text for text, _ in self._asked.values()})
        for i in range(0, len(new), LOOKUP_SIZE):
            cids: dict[str, bytes] = {}
            for text in new[i : i + LOOKUP_SIZE]:
                cid = unixfs.parse_cid(text)
                if cid is None:
                    self._catalogue.give_up(text)
                else:
                    cids[text] = cid
            for text in await self._look_up(cids):
                self._queue[text] = cids[text], 0.0

    async def _ask(self, network: "Network") -> None:
        """Ask for the first in the queue that are due, as far as there is room."""
        while due := self._due():
            texts = list(due)
            for i in range(0, len(texts), LOOKUP_SIZE):
                part = {text: due[text] for text in texts[i : i + LOOKUP_SIZE]}
                absent = await self._look_up(part)
                for text in part:
                    self._queue.pop(text, None)
                now = trio.current_time()
                self._asked.update((part[text], (text, now)) for text in absent)
                if absent:
                    network.want([part[text] for text in absent])

    def _due(self) -> dict[str, bytes]:
        now = trio.current_time()
        due: dict[bytes, str] = {}
        for text, (cid, not_before) in self._queue.items():
            if len(due) + len(self._asked) >= MAX_ASKED:
                break
            if not_before <= now and cid not in self._asked:  # another text may name the same file
                due.setdefault(cid, text)
        return {text: cid for cid, text in due.items()}

    async def _look_up(self, cids: dict[str, bytes]) -> list[str]:
        """Describe the listings whose files are in the store; returns the texts of the CIDs that are not."""
        absent = []
        deltas, files = await trio.to_thread.run_sync(self._stored, tuple(cids.values()))
        for text, cid in cids.items():
            if cid in deltas:
                self._catalogue.give_up(text)
            elif cid not in files:
                absent.append(text)
            elif self._catalogue.lacks(text):
                self._describe(cid, text, files[cid], "local")
                await trio.lowlevel.checkpoint()
        return [text for text in absent if self._catalogue.lacks(text)]

    def _stored(self, cids: Collection[bytes]) -> tuple[Collection[bytes], Mapping[bytes, bytes]]:
        """The deltas among these blocks, which are never metadata and may be large, and the other blocks that are stored."""
        digests = {cid[-32:] for cid in self._store.stored(cids)}
        deltas = {cid for cid in cids if cid[-32:] in digests}
        return deltas, self._store.blocks([cid for cid in cids if cid not in deltas])

    def _describe(self, cid: bytes, text: str, block: bytes, via: str) -> bool:
        """Give listings the description in their metadata file; False where the block is not such a file."""
        try:
            described = self._catalogue.describe(text, unixfs.decode_file(cid, block))
        except (DecodeError, ListingError) as error:
            log.warning("metadata file %s from %s: %s", text, via, error)
            self._catalogue.give_up(text)
            return False
        now = self._clock()
        self._emit(Change(ChangeKind.REFRESH, e.id, e.cid, e.height, via, now, e) for e in described)
        return True
