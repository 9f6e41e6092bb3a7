"""Every screen that the app opens by name, imported when it is first opened: the first frame needs none of them.

Only the app imports this module. Screens open each other through their `ScreenContext`, or go to one with the action
`app.go_to`; none of them imports another."""

from importlib import import_module
from typing import Any

from textual.screen import Screen

from betar_tui.tui.context import ScreenContext

SCREENS: dict[str, tuple[str, str]] = {
    "listing": ("betar_tui.tui.screens.detail", "DetailScreen"),
    "peer": ("betar_tui.tui.screens.peer", "PeerScreen"),
    "form": ("betar_tui.tui.screens.publish", "FormScreen"),
    "versions": ("betar_tui.tui.screens.versions", "VersionsScreen"),
    "delta": ("betar_tui.tui.screens.delta", "DeltaScreen"),
    "help": ("betar_tui.tui.screens.help", "HelpScreen"),
    "replica": ("betar_tui.tui.screens.replica", "ReplicaScreen"),
    "mine": ("betar_tui.tui.screens.mine", "MineScreen"),
    "log": ("betar_tui.tui.screens.log", "LogScreen"),
    "settings": ("betar_tui.tui.screens.settings", "SettingsScreen"),
}
"""Module and class of each screen, by name."""


def create(name: str, context: ScreenContext, *arguments: object) -> Screen[Any]:
    """A new screen of that name. Its arguments after the context depend on the screen."""
    module, class_name = SCREENS[name]
    screen: Screen[Any] = getattr(import_module(module), class_name)(context, *arguments)
    return screen
