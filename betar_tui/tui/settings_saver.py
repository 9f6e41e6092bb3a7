"""Saves changed settings in the background: one write at a time, with the last value of each setting."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from textual.app import App

from betar_tui.errors import BetarError
from betar_tui.tui.workers import start

log = logging.getLogger(__name__)


class SettingsSaver:
    """Calls `write` in a thread, and `failed` with the error message if that raises BetarError."""

    def __init__(
        self, app: App[Any], write: Callable[[Mapping[str, object]], None], failed: Callable[[str], None]
    ) -> None:
        self._app, self._write, self._failed = app, write, failed
        self._unsaved: dict[str, object] = {}
        self._busy = False

    def save(self, changes: Mapping[str, object]) -> None:
        """Save these soon."""
        for name, value in changes.items():
            before = self._unsaved.get(name)
            both = isinstance(value, Mapping) and isinstance(before, Mapping)
            self._unsaved[name] = {**before, **value} if both else value  # type: ignore[dict-item]
        if not self._busy:
            self._busy = True
            start(self._app, self._save_all, group="settings", exclusive=False)

    def finish(self) -> None:
        """Save now the changes that still wait, because the app ends."""
        changes, self._unsaved = self._unsaved, {}
        if changes and (error := self._try_write(changes)):
            log.error("settings could not be kept: %s", error)

    async def _save_all(self) -> None:
        try:
            while self._unsaved:
                changes, self._unsaved = self._unsaved, {}
                if error := await asyncio.to_thread(self._try_write, changes):
                    self._failed(error)
        finally:
            self._busy = False

    def _try_write(self, changes: Mapping[str, object]) -> str:
        try:
            self._write(changes)
        except BetarError as error:
            return str(error)
        return ""
