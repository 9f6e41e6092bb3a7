"""The places that the main screen leads to, by name."""

from __future__ import annotations

from betar_tui.tui.screens.log import LogScreen
from betar_tui.tui.screens.mine import MineScreen
from betar_tui.tui.screens.replica import ReplicaScreen
from betar_tui.tui.screens.settings import SettingsScreen

PLACES = {"replica": ReplicaScreen, "mine": MineScreen, "log": LogScreen, "settings": SettingsScreen}
