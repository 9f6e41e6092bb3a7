"""What the command palette offers: the own actions by name, the saved filters, the themes, then Textual's own commands."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from betar_tui.market.text import neutralise
from betar_tui.tui.keybindings import ACTIONS, SLASHES, Action
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.settings import MAX_FILTER_NAME


def commands(app: App[Any], screen: Screen[object], filters: Mapping[str, str]) -> Iterator[SystemCommand]:
    """The commands for this screen, with the saved filters by name. The list that the palette begins with has not those that
    are only found by typing."""

    def offered(action: Action) -> bool:
        main = action.scope == "main" and isinstance(screen, MainScreen) and screen.offers(action.id)
        return action.palette and (action.scope == "app" or main)

    actions = {action.id: action for action in ACTIONS if offered(action)}
    for action in actions.values():
        yield SystemCommand(action.label, action.help, _runner(app, action.name))
    for slash, action_id in SLASHES.items():
        if action_id in actions:
            runner = _runner(app, actions[action_id].name)
            yield SystemCommand(slash, "As in the betar program", runner, discover=False)
    if isinstance(screen, MainScreen):
        for name, text in filters.items():
            shown = neutralise(name, MAX_FILTER_NAME)
            yield SystemCommand(f"Filter: {shown}", neutralise(text, 200), partial(screen.filter_by, text))
    yield from _themes(app)


def _themes(app: App[Any]) -> Iterator[SystemCommand]:
    """One command for each theme, found by its name and by "theme", "light" and "dark"."""
    for name, theme in sorted(app.available_themes.items(), key=lambda item: not item[0].startswith("betar")):
        ground = "dark" if theme.dark else "light"
        title = f"Theme: {name}" if ground in name else f"Theme: {name} ({ground})"
        chosen = "In force now" if name == app.theme else f"Use this {ground} theme from now on"
        yield SystemCommand(title, chosen, partial(setattr, app, "theme", name), discover=False)


def _runner(app: App[Any], action: str) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await app.screen.run_action(action)

    return run
