"""The metadata files that Go betar's listings point at: read from the store, or fetched from other peers.

A limited number is asked for at a time. A file that does not arrive goes to the end of the queue, so that a listing with
an invented CID delays the others by one turn at most. The queue is in the database: a market may point at millions."""

import logging
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import trio

from betar_tui.catalogue.files import MissingFiles
from betar_tui.concurrency import Wakeup
from betar_tui.errors import DecodeError, ListingError
from betar_tui.ipld import cid as cids
from betar_tui.ipld import unixfs
from betar_tui.market.listing import parse_value
from betar_tui.market.origin import LOCAL
from betar_tui.store.database import Store

if TYPE_CHECKING:
    from betar_tui.p2p.network import Network
    from betar_tui.p2p.types import ReceivedBlock

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
    """Fetches the files that are missing. `described` is called when listings have been queued since their file is here;
    `clock` is in Unix seconds."""

    def __init__(
        self, store: Store, missing: MissingFiles, described: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._missing = missing
        self._described = described
        self._clock = clock
        self._asked: dict[bytes, float] = {}
        self.full = False
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
            await self._expire(network)
            while await self._ask(network):
                pass
            network.want(list(self._asked))  # the replica may have cancelled a want for the same block
            with trio.move_on_after(FETCH_TIMEOUT):
                await self._changed.wait()
            await trio.sleep(BATCH_DELAY)

    async def take(self, network: "Network", block: "ReceivedBlock") -> None:
        """Take a file that was asked for."""
        self._asked.pop(block.cid, None)
        network.cancel([block.cid])
        if await trio.to_thread.run_sync(self._missing.lacks, block.cid):
            if self._is_document(block.cid, block.data, block.peer):
                await trio.to_thread.run_sync(self._missing.put, {block.cid: block.data})
                self._described()
                network.announce_block(block.cid)
            else:
                await trio.to_thread.run_sync(self._missing.give_up, [block.cid])
        self._changed.set()

    async def _expire(self, network: "Network") -> None:
        """Move the files that did not arrive in time to the end of the queue."""
        now = trio.current_time()
        late = [cid for cid, since in self._asked.items() if now - since >= FETCH_TIMEOUT]
        if late:
            for cid in late:
                del self._asked[cid]
            await trio.to_thread.run_sync(self._missing.postpone, late, self._clock() + RETRY_AFTER)
            network.cancel(late)

    async def _ask(self, network: "Network") -> bool:
        """Ask for the next files that are due, as far as there is room; False where there are none or is none."""
        room = MAX_ASKED - len(self._asked)
        if room <= 0 or self.full:
            return False
        now = self._clock()
        due = await trio.to_thread.run_sync(self._missing.due, now, now + RETRY_AFTER, MAX_ASKED)
        new = [cid for cid in due if cid not in self._asked][: min(room, LOOKUP_SIZE)]
        if not new:
            return False
        absent = await self._look_up(new)
        if absent:
            at = trio.current_time()
            self._asked.update((cid, at) for cid in absent)
            network.want(absent)
        return True

    async def _look_up(self, wanted: Sequence[bytes]) -> list[bytes]:
        """Take those of the files that are in the store; returns those that are not and that listings point at."""
        unused = await trio.to_thread.run_sync(self._missing.forget_unused, wanted)
        wanted = [cid for cid in wanted if cid not in unused]
        deltas, files, here = await trio.to_thread.run_sync(self._stored, wanted)
        useless = [*deltas, *(cid for cid in here if cid not in files)]
        if useless:
            await trio.to_thread.run_sync(self._missing.give_up, useless)
        if files:
            await trio.to_thread.run_sync(self._missing.describe, files)
            self._described()
        return [cid for cid in wanted if cid not in here and cid not in deltas]

    def _stored(self, wanted: Collection[bytes]) -> tuple[Collection[bytes], Collection[bytes], Collection[bytes]]:
        """Of these blocks the deltas, which are never metadata and may be large; of the others the documents, and all that
        are stored."""
        digests = {cid[-32:] for cid in self._store.stored(wanted)}
        deltas = {cid for cid in wanted if cid[-32:] in digests}
        here = self._store.blocks([cid for cid in wanted if cid not in deltas])
        return deltas, {cid for cid, block in here.items() if self._is_document(cid, block, LOCAL)}, here.keys()

    @staticmethod
    def _is_document(cid: bytes, block: bytes, via: str) -> bool:
        """Whether a block is a metadata file."""
        try:
            parse_value(unixfs.decode_file(cid, block))
        except (DecodeError, ListingError) as error:
            log.warning("metadata file %s from %s: %s", cids.to_str(cid), via, error)
            return False
        return True
