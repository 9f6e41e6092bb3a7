"""Writing changed settings down, beside the interface: one after another, the last word of each setting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from textual.app import App

from betar_tui.errors import BetarError
from betar_tui.tui.workers import start

log = logging.getLogger(__name__)


class SettingsSaver:
    """Calls `keep` in a thread; `failed` is told in words where it cannot be done."""

    def __init__(
        self, app: App[Any], keep: Callable[[Mapping[str, object]], None], failed: Callable[[str], None]
    ) -> None:
        self._app, self._keep, self._failed = app, keep, failed
        self._unsaved: dict[str, object] = {}
        self._busy = False

    def save(self, changes: Mapping[str, object]) -> None:
        """Write these down soon."""
        self._unsaved.update(changes)
        if not self._busy:
            self._busy = True
            start(self._app, self._write, group="keep", exclusive=False)

    def finish(self) -> None:
        """Write down now what is still waiting: the app ends."""
        changes, self._unsaved = self._unsaved, {}
        if changes and (error := self._write_down(changes)):
            log.error("settings could not be kept: %s", error)

    async def _write(self) -> None:
        try:
            while self._unsaved:
                changes, self._unsaved = self._unsaved, {}
                if error := await asyncio.to_thread(self._write_down, changes):
                    self._failed(error)
        finally:
            self._busy = False

    def _write_down(self, changes: Mapping[str, object]) -> str:
        try:
            self._keep(changes)
        except BetarError as error:
            return str(error)
        return ""
