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
    """The fields that differ from what the form began with, by listing id.

    `read` reads those on the disk, if they are to be there, and `write` changes some of them, in a thread; both may raise
    BetarError, whose message `failed` is given."""

    def __init__(
        self,
        app: App[None],
        read: Callable[[], Mapping[str, FormValues]] | None,
        write: Callable[[Mapping[str, FormValues | None]], None],
        failed: Callable[[str], None],
    ) -> None:
        self._read, self._failed = read, failed
        self._known: dict[str, FormValues] = {}
        self._saver = Saver(app, write, failed, delay=DELAY, whole=True)

    def load(self) -> Mapping[str, FormValues]:
        """All drafts, those of other windows too."""
        if self._read is None:
            return self._known
        try:
            found = self._read()
        except BetarError as error:
            self._failed(str(error))
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
