"""The part of the app that shows notifications: one of each, however often its reason comes, and the latest word on a
thing instead of those before it."""

from dataclasses import dataclass

from textual.notifications import Notification, Notify, SeverityLevel

from betar_tui.tui.terminal_app import TerminalApp


@dataclass
class NotificationAbout(Notification):
    """One that the next about the same thing, such as a listing, replaces."""

    about: str = ""


class ToastingApp(TerminalApp):
    """An app in which a notification takes the place of an earlier one that says the same, or is about the same thing.

    Where they may lie is in betar.tcss: never over buttons."""

    def notify_about(self, about: str, text: str, severity: SeverityLevel) -> None:
        """The latest word on a thing; `text` is plain."""
        timeout = self.NOTIFICATION_TIMEOUT
        self.post_message(Notify(NotificationAbout(text, severity=severity, timeout=timeout, about=about)))

    def on_notify(self, event: Notify) -> None:
        """Take the earlier one back; Textual then shows this one, for as long as any."""
        new = event.notification
        for each in list(self._notifications):
            if each.identity != new.identity and (_said(each) == _said(new) or _same_thing(each, new)):
                self._unnotify(each, refresh=False)


def _said(notification: Notification) -> tuple[str, str, str]:
    return notification.title, notification.message, notification.severity


def _same_thing(one: Notification, other: Notification) -> bool:
    return isinstance(one, NotificationAbout) and isinstance(other, NotificationAbout) and one.about == other.about
