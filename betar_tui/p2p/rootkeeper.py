"""Announced heads across a restart.

A peer passes a broadcast on at once, before it has the blocks. Where the author restarts then and has forgotten what it
wrote, as a Go betar does, those that the broadcast was passed on to go on asking us for a block that nobody else will
ever speak of. If we restarted as well without remembering it, the block would be lost with a peer that holds it
connected, and Go peers listen to nothing else while they wait. So heads that do not come at once are written down, and
wanted again by the next run.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Protocol

import trio

from betar_tui.errors import StoreError
from betar_tui.p2p.roots import Roots

log = logging.getLogger(__name__)

SETTLED = 0.1
"""Most heads come within so many seconds, and are never written down."""


class RootMemory(Protocol):
    """Where announced heads are remembered, by CID with the peers that announced them. Raises StoreError."""

    def announced(self) -> Mapping[bytes, Collection[str]]:
        """What is remembered."""

    def change_announced(self, named: Mapping[bytes, Collection[str]], gone: Collection[bytes]) -> None:
        """Remember these, with their authors of now, and forget others."""


class RootKeeper:
    """Keeps what a memory says in step with `roots`, a moment later."""

    def __init__(self, roots: Roots, memory: RootMemory) -> None:
        self._roots = roots
        self._memory = memory
        self._kept: Mapping[bytes, frozenset[str]] = {}
        self._changed = trio.Event()

    def note(self) -> None:
        """The roots have changed."""
        self._changed.set()

    async def restore(self) -> list[bytes]:
        """What an earlier run waited for: roots from now on, with all the patience there is. Raises StoreError."""
        kept = await trio.to_thread.run_sync(self._memory.announced)
        self._kept = {name: frozenset(authors) for name, authors in kept.items()}
        for name, authors in self._kept.items():
            for author in authors:
                self._roots.announced([name], author)
        self.note()
        return [name for name in self._kept if name in self._roots]

    async def run(self) -> None:
        """Write down what changes, until cancelled, and then once more. Raises StoreError."""
        try:
            while True:
                await self._changed.wait()
                await trio.sleep(SETTLED)
                self._changed = trio.Event()
                await self._keep()
        finally:
            with trio.CancelScope(shield=True):
                try:
                    await self._keep()
                except StoreError as error:
                    log.warning("heads that were announced and are not here are forgotten: %s", error)

    async def _keep(self) -> None:
        now = self._roots.authors()
        named = {name: authors for name, authors in now.items() if self._kept.get(name) != authors}
        gone = self._kept.keys() - now.keys()
        if named or gone:
            await trio.to_thread.run_sync(self._memory.change_announced, named, gone)
            self._kept = now
