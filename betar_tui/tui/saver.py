"""Saves what changes in the background, as settings and drafts: one write at a time, with the last value of each name."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from textual.app import App

from betar_tui.errors import BetarError
from betar_tui.tui.workers import start

log = logging.getLogger(__name__)


class Saver:
    """Calls `write` in a thread, `delay` seconds after the first change that waits, and `failed` with the error message if
    that raises BetarError; what could not be written goes with the next write, and at last with `finish`. With `whole`, a
    value replaces the one before; else two mappings are joined."""

    def __init__(
        self,
        app: App[Any],
        write: Callable[[Mapping[str, Any]], None],
        failed: Callable[[str], None],
        *,
        delay: float = 0.0,
        whole: bool = False,
    ) -> None:
        self._app, self._write, self._failed = app, write, failed
        self._delay, self._whole = delay, whole
        self._unsaved: dict[str, object] = {}
        self._writing: dict[str, object] = {}
        self._failures: dict[str, object] = {}
        self._busy = self._ended = False
        self._lock = threading.Lock()

    def save(self, changes: Mapping[str, object]) -> None:
        """Save these soon."""
        self._unsaved = self._joined(self._unsaved, changes)
        if not self._busy:
            self._busy = True
            start(self._app, self._save_all, group=f"save-{id(self)}", exclusive=False)

    @property
    def waiting(self) -> frozenset[str]:
        """The names whose last value is not saved yet."""
        return frozenset(self._unsaved) | frozenset(self._writing) | frozenset(self._failures)

    def finish(self) -> None:
        """Save now the changes that still wait, because the app ends."""
        with self._lock:
            # A thread that has not begun yet would write an older value over a newer one.
            changes = self._joined(self._joined(self._failures, self._writing), self._unsaved)
            self._ended, self._unsaved, self._writing, self._failures = True, {}, {}, {}
            if changes and (error := self._try_write(changes)):
                log.error("not kept: %s", error)

    def _joined(self, before: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
        """Older changes and newer ones, which count where both have a name."""
        joined = dict(before)
        for name, value in changes.items():
            old = joined.get(name)
            both = not self._whole and isinstance(value, Mapping) and isinstance(old, Mapping)
            joined[name] = {**old, **value} if both else value  # type: ignore[dict-item]
        return joined

    async def _save_all(self) -> None:
        try:
            while self._unsaved:
                await asyncio.sleep(self._delay)
                self._writing, self._unsaved = self._joined(self._failures, self._unsaved), {}
                error = await asyncio.to_thread(self._write_unless_ended, self._writing)
                self._writing, self._failures = {}, self._writing if error else {}
                if error:
                    self._failed(error)
        finally:
            self._busy = False

    def _write_unless_ended(self, changes: Mapping[str, object]) -> str:
        with self._lock:
            return "" if self._ended else self._try_write(changes)

    def _try_write(self, changes: Mapping[str, object]) -> str:
        try:
            self._write(changes)
        except BetarError as error:
            return str(error)
        return ""
