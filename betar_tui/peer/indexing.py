"""The service that works off what merges leave to the catalogue: rows at once, the search index while no merge runs."""

import logging
import time
from collections.abc import Callable, Iterable

import trio

from betar_tui.catalogue.catalogue import Catalogue
from betar_tui.concurrency import Wakeup
from betar_tui.errors import BetarError, StoreError
from betar_tui.market.marketplace import Event, StatusChanged
from betar_tui.sync.writer import ReplicaWriter

log = logging.getLogger(__name__)

CALM = 0.05
"""Seconds without a merge after which texts are put into the search index: a transaction with many costs little more than
one with a single text."""
MAX_WAITING = 2_000
"""Number of texts above which that is not waited for: searches look at each that waits."""
SYNCING = 0.3
"""Seconds after a large merge during which history is thought to be coming in."""
SHARE = 8.0
"""Seconds that a sync has for each second of making rows."""
FEW = 4_000
"""Maximum listings whose rows are made at once even so: the bursts of a crowd, or what another peer publishes as one."""
RETRY, LONGEST_RETRY = 0.5, 30.0
"""Seconds until a slice that failed is tried again; doubled up to the longest."""


class Indexing:
    """Works off the backlog of a catalogue. `emit` gets the changes of listings that came in bulk; `rows_made` is called
    when rows were made, which may point at metadata files."""

    def __init__(
        self,
        catalogue: Catalogue,
        writer: ReplicaWriter,
        emit: Callable[[Iterable[Event]], None],
        rows_made: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._backlog = catalogue.backlog
        self._writer = writer
        self._emit = emit
        self._rows_made = rows_made
        self._clock = clock
        self._work = Wakeup()
        self._done = trio.Event()
        self._merged = self._bulk_merged = -60.0
        self._failure = ""

    def merged(self, bulk: bool) -> None:
        """A merge is stored, and has perhaps left something to do."""
        self._merged = trio.current_time()
        if bulk:
            self._bulk_merged = self._merged
        self.wake()

    def wake(self) -> None:
        """There is something to do."""
        self._work.set()

    def troubles(self) -> tuple[str, ...]:
        """Why listings are not taken in, a sentence, or nothing."""
        return (self._failure,) if self._failure else ()

    async def settled(self) -> None:
        """Return when every listing that has come so far has its row. Raises StoreError where that fails."""
        while self._backlog.progress.rows:
            if self._failure:
                raise StoreError(self._failure)
            await self._done.wait()

    async def run(self, index: bool = True) -> None:
        """Work until cancelled. Without `index` texts are left to others, as long as they are not too many."""
        delay = RETRY
        while True:
            try:
                await self._work_off(index)
            except Exception as error:
                # The replica goes on without it, and what it has to do stays in the database.
                log.exception("taking listings into the catalogue failed; it is tried again")
                reason = str(error) if isinstance(error, BetarError) else f"{type(error).__name__}: {error}"
                self._failure = f"taking listings into the catalogue failed: {reason}"
                self._tell()
                await trio.sleep(delay)
                delay = min(delay * 2, LONGEST_RETRY)
            else:
                self._failure, delay = "", RETRY
                await self._work.wait()

    async def _work_off(self, index: bool) -> None:
        """Do all that there is to do."""
        progress = self._backlog.progress
        while True:
            self._work.clear()
            while progress.rows:
                await self._make_rows()
            if progress.texts <= (0 if index else MAX_WAITING):
                return
            await self._index()

    async def _make_rows(self) -> None:
        began = time.perf_counter()
        prepared = await trio.to_thread.run_sync(self._backlog.prepare)
        if prepared:
            now = self._clock()
            changes = await self._writer.between_merges(lambda: self._backlog.write(prepared, now))
            self._emit((*changes, StatusChanged()))
            self._rows_made()
        if not self._backlog.progress.rows:
            await trio.to_thread.run_sync(self._backlog.forget_verdicts)
            self._tell()
        if self._backlog.progress.rows > FEW and trio.current_time() - self._bulk_merged < SYNCING:
            await trio.sleep((time.perf_counter() - began) * SHARE)

    async def _index(self) -> None:
        """Put a slice of texts into the index when no merge has come for a moment, or too many wait."""
        calm = self._merged + CALM - trio.current_time()
        if calm > 0 and self._backlog.progress.texts <= MAX_WAITING:
            await trio.sleep(calm)
            return
        began = time.perf_counter()
        await trio.to_thread.run_sync(self._backlog.index)
        if not self._backlog.progress.texts:
            self._emit([StatusChanged()])
        if calm > 0:
            await trio.sleep(time.perf_counter() - began)

    def _tell(self) -> None:
        self._done.set()
        self._done = trio.Event()
