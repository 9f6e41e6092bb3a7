"""The bans of earlier runs: a peer that was banned does not come back by waiting for a restart."""

import json
import logging
from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING

import trio

from betar_tui.store.database import Store

if TYPE_CHECKING:
    from betar_tui.p2p.misbehaviour import Ban
    from betar_tui.p2p.network import Network

log = logging.getLogger(__name__)

SETTING = "bans"
"""The name of the setting in the store: a list of JSON objects, see `Ban`."""
MAX_STORED = 1000
"""Maximum stored bans, the latest."""


class BanMemory:
    """The stored bans."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> tuple["Ban", ...]:
        """The bans to open the network with. What cannot be read counts as none."""
        from betar_tui.p2p.misbehaviour import Ban  # deferred: the room that holds it takes long to import

        text = await trio.to_thread.run_sync(self._store.setting, SETTING)
        try:
            return tuple(Ban(**each) for each in json.loads(text or "[]"))
        except (ValueError, TypeError) as error:
            log.warning("the stored bans cannot be read: %s", error)
            return ()

    async def run(self, network: "Network") -> None:
        """A service: stores the bans whenever one is imposed or lifted."""
        while True:
            await network.bans_changed.wait()
            await self._save(network.bans())

    async def _save(self, bans: Collection["Ban"]) -> None:
        latest = sorted(bans, key=lambda ban: ban.at)[-MAX_STORED:]
        text = json.dumps([asdict(ban) for ban in latest])
        await trio.to_thread.run_sync(self._store.put_setting, SETTING, text)
