"""Announced heads across a restart.

A peer passes a broadcast on at once, before it has the blocks. Where the author restarts then and has forgotten what it
wrote, as a Go betar does, those that the broadcast was passed on to go on asking us for a block that nobody else will
ever speak of. If we restarted as well without remembering it, the block would be lost with a peer that holds it
connected, and Go peers listen to nothing else while they wait. So heads that do not come soon are written down, and
wanted again by the next run.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import Protocol

import trio

from betar_tui.errors import StoreError
from betar_tui.sync.pending_heads import PendingHeads

log = logging.getLogger(__name__)

SETTLED = 0.5
"""Heads that come within so many seconds are never written down, unless the peer stops meanwhile."""
MAX_KEPT = 1024
"""So many are written down, the last named ones."""
MAX_AGE = 86_400.0
"""For so many seconds they are wanted by run after run: an invented head must go in the end, however short the runs."""
RETRY = 30.0
"""So many seconds after writing failed it is tried again."""


class RootMemory(Protocol):
    """Where announced heads are remembered, by CID with the peers that announced them. Raises StoreError."""

    def announced(self, now: float, max_age: float) -> Mapping[bytes, Collection[str]]:
        """What is remembered, the oldest first, `now` in Unix seconds; what is older than `max_age` seconds is forgotten."""

    def change_announced(self, named: Mapping[bytes, Collection[str]], gone: Collection[bytes], at: float) -> None:
        """Remember these as of `at`, Unix seconds, or give those that are remembered their authors; forget others."""


class PendingHeadsJournal:
    """Keeps what a memory says in step with `roots`, a moment later. `clock` tells Unix seconds."""

    def __init__(self, roots: PendingHeads, memory: RootMemory, clock: Callable[[], float]) -> None:
        self.roots = roots
        self._memory = memory
        self._clock = clock
        self._kept: Mapping[bytes, frozenset[str]] = {}
        self._restored = False
        self._changed = trio.Event()

    def note(self) -> None:
        """The roots have changed."""
        self._changed.set()

    def arrived(self, names: Iterable[bytes]) -> None:
        """These need not be remembered: they are here, or not wanted any more."""
        before = len(self.roots)
        self.roots.arrived(names)
        if len(self.roots) != before:
            self.note()

    async def restore(self) -> tuple[bytes, ...]:
        """What an earlier run waited for becomes wanted, once; what is wanted now of that. Raises StoreError."""
        if not self._restored:
            kept = await trio.to_thread.run_sync(self._memory.announced, self._clock(), MAX_AGE)
            self._kept = {name: frozenset(authors) for name, authors in kept.items()}
            self.roots.restore(self._kept)
            self._restored = True
        return tuple(name for name in self._kept if name in self.roots)

    async def run(self) -> None:
        """Write down what changes, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            pause = SETTLED
            while pause:
                await trio.sleep(pause)
                settled = len(self.roots.older_than(SETTLED)) == len(self.roots)
                written = await self._keep(SETTLED)
                pause = RETRY if not written else 0.0 if settled else SETTLED

    async def finish(self) -> None:
        """Write down everything, however new, when nothing is announced any more."""
        with trio.CancelScope(shield=True):
            await self._keep(0)

    async def _keep(self, age: float) -> bool:
        """Whether the roots of this age are written down now. This is a convenience: a full disk must show where something
        is lost, not here."""
        roots = self.roots.older_than(age)
        now = dict(islice(roots.items(), max(0, len(roots) - MAX_KEPT), None))
        named = {name: authors for name, authors in now.items() if self._kept.get(name) != authors}
        gone = self._kept.keys() - now.keys()
        if named or gone:
            try:
                await trio.to_thread.run_sync(self._memory.change_announced, named, gone, self._clock())
            except StoreError as error:
                log.warning("announced heads that have not come are not remembered: %s", error)
                return False
            self._kept = now
        return True
