"""The part of the app that shows notifications: one of each, however often its reason comes."""

from textual.notifications import Notify

from betar_tui.tui.terminal_app import TerminalApp


class ToastingApp(TerminalApp):
    """An app in which a notification takes the place of an earlier one that says the same.

    Where they may lie is in betar.tcss: never over buttons."""

    def on_notify(self, event: Notify) -> None:
        """Take the earlier one back; Textual then shows this one, for as long as any."""
        new = event.notification
        said = new.title, new.message, new.severity
        for each in list(self._notifications):
            if (each.title, each.message, each.severity) == said and each.identity != new.identity:
                self._unnotify(each, refresh=False)
