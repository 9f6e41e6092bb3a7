"""What was typed into forms and not sent, kept while it is typed: it outlives the form, the app and the machine's power."""

from collections.abc import Callable, Mapping

from textual.app import App

from betar_tui.errors import BetarError
from betar_tui.tui.form import FormValues
from betar_tui.tui.saver import Saver

NEW = ""
"""The id of the draft of a new listing; those of edits have the ids of the listings."""
DELAY = 0.4
"""Seconds from a key to the disk: a burst of keys is one write."""


class Drafts:
    """The fields that differ from what the form began with, by listing id, as `form.kept` makes them.

    `read` reads those on the disk, if they are to be there, and `write` changes some of them, in a thread; both may raise
    BetarError. `failed` is given a sentence with its message: of writes once for each message, until one succeeds, for each
    burst of keys is a write."""

    def __init__(
        self,
        app: App[None],
        read: Callable[[], Mapping[str, FormValues]] | None,
        write: Callable[[Mapping[str, FormValues | None]], None],
        failed: Callable[[str], None],
    ) -> None:
        self._read, self._write, self._failed = read, write, failed
        self._known: dict[str, FormValues] = {}
        self._said = ""
        self._saver = Saver(app, self._keep, self._not_kept, delay=DELAY, whole=True)

    def load(self) -> Mapping[str, FormValues]:
        """All drafts, those of other windows too."""
        if self._read is None:
            return self._known
        try:
            found = self._read()
        except BetarError as error:
            self._failed(f"The drafts of before are not here: {error}")
            return self._known
        waiting = self._saver.waiting  # of which this window knows better
        others = {key: draft for key, draft in found.items() if key not in waiting}
        self._known = {**others, **{key: draft for key, draft in self._known.items() if key in waiting}}
        return self._known

    def get(self, key: str) -> FormValues:
        """A draft; empty without one."""
        return dict(self.load().get(key, {}))

    def keep(self, key: str, draft: FormValues) -> None:
        """Keep a draft as it is now; forget it if nothing is left of it."""
        if draft == self._known.get(key, {}):
            return
        self._known[key] = draft
        if not draft:
            del self._known[key]
        self._saver.save({key: draft or None})

    def finish(self) -> None:
        """Keep now what still waits, because the app ends."""
        self._saver.finish()

    def _keep(self, changes: Mapping[str, FormValues | None]) -> None:
        self._write(changes)
        self._said = ""

    def _not_kept(self, error: str) -> None:
        if error != self._said:
            self._said = error
            self._failed(f"What you type is not being saved: {error}")
