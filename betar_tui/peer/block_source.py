"""The blocks of the store for Bitswap."""

from collections.abc import Collection, Mapping

import trio

from betar_tui.store.database import Store


class StoredBlocks:
    """A `BlockSource` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def blocks(self, cids: Collection[bytes]) -> Mapping[bytes, bytes | None]:
        """See `BlockSource`. Raises StoreError."""
        return await trio.to_thread.run_sync(self._store.look_up, cids)
