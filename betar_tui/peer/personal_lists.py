"""The blocked peers and muted sellers of a data directory, kept in the store."""

from collections.abc import Callable, Mapping

import trio

from betar_tui.errors import UnknownPeerError
from betar_tui.market.marketplace import Listed
from betar_tui.market.personal import MUTED, full_id, old_mutes, read_list, written_list
from betar_tui.store.database import Store


class PersonalList:
    """One list. `name` is that of its setting in the store, `what` says what is on it, as in "blocked peer"."""

    def __init__(self, store: Store, name: str, what: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._name = name
        self._what = what
        self._clock = clock
        self._entries = read_list(store.setting(name))
        self._saving = trio.Lock()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids on it, the latest last."""
        return tuple(self._entries)

    def entries(self) -> tuple[Listed, ...]:
        """The same, with since when."""
        return tuple(Listed(each, at) for each, at in self._entries.items())

    async def add(self, peer: str) -> None:
        """Put an id on the list, if it is not there. Raises StoreError."""
        await self._keep({**self._entries, peer: self._entries.get(peer, self._clock())})

    async def remove(self, peer: str) -> str:
        """Take a peer off the list; returns its whole id. Raises UnknownPeerError, StoreError."""
        if not self._entries:
            raise UnknownPeerError(f"there is no {self._what}")
        peer = full_id(peer, self._entries, self._what, strangers=False)
        await self._keep({each: at for each, at in self._entries.items() if each != peer})
        return peer

    async def _keep(self, entries: Mapping[str, float]) -> None:
        before, self._entries = self._entries, dict(entries)
        async with self._saving:
            try:
                await trio.to_thread.run_sync(self._store.put_setting, self._name, written_list(self._entries))
            except BaseException:
                self._entries = before
                raise


def take_over_old_mutes(store: Store, interface: Mapping[str, object], now: float) -> None:
    """Begin the list of muted sellers with those of the interface's settings, where older versions kept them. Once."""
    if store.setting(MUTED) is None and (old := old_mutes(interface)):
        store.put_setting(MUTED, written_list(dict.fromkeys(old, now)))
