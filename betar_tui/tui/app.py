"""The app: it owns model, bridge and screens, follows the marketplace and tells the screen on top.

Workers never touch widgets: they post the messages below, which are handled here in the app's own turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import ClassVar

from textual import events
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.filter import NoColor
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import Event, PeerInfo, Status
from betar_tui.market.text import neutralise, neutralise_lines
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.keybindings import ACTIONS, SLASHES, bindings
from betar_tui.tui.listing_actions import ListingActions
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.screens.model_screen import ModelScreen
from betar_tui.tui.settings import InterfaceSettings, Settings
from betar_tui.tui.settings_saver import SettingsSaver
from betar_tui.tui.themes import THEMES
from betar_tui.tui.workers import runs, start

STATUS_EVERY = 5.0
"""Seconds between two questions for status and peers when no event asks for one."""

PREPARE_AFTER = 0.05
"""Seconds from the load until the index is prepared: a frame comes first."""

RETRY_DELAYS = (0.5, 1.0, 2.0, 5.0, 10.0)


class Arrived(Message):
    """A batch of events."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__()
        self.events = events


class Loaded(Message):
    """All listings are in the index, or the first of them, or why they could not be had."""

    def __init__(self, error: str = "", all: bool = True) -> None:
        super().__init__()
        self.error, self.all = error, all


class StatusLoaded(Message):
    """Status and peers; `peers` is None where they could not be had."""

    def __init__(self, status: Status | None, peers: tuple[PeerInfo, ...] | None, error: str = "") -> None:
        super().__init__()
        self.status, self.peers, self.error = status, peers, error


class Linked(Message):
    """The stream of events runs, or was lost for a reason."""

    def __init__(self, error: str = "") -> None:
        super().__init__()
        self.error = error


class BetarApp(App[None]):
    """The terminal interface of one peer."""

    TITLE = "betar-tui"
    CSS_PATH = "betar.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]

    def __init__(self, bridge: Bridge, options: TuiOptions | None = None) -> None:
        super().__init__()
        if self.no_color:
            # Textual would show greys, and make one of what is dim.
            self._filters = [NoColor()]
        self.options = options or TuiOptions()
        self.bridge = bridge
        self.settings = Settings(self.options.settings)
        self.model = MarketModel(self.options.clock, self.settings)
        self.actions = ListingActions(self, self.model, bridge, self.options, self._sync)
        self._status_due = False
        self._ahead: list[events.Event] | None = []
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.settings.now.theme
        self._variables = self.get_css_variables()
        self.stylesheet.set_variables(self._variables)
        self._keeper = SettingsSaver(self, self.options.keep, self._not_kept)
        self.settings.subscribe(self._settings_changed)
        if not self.options.animate:
            self.animation_level = "none"

    def refresh_css(self, animate: bool = True) -> None:
        """Read the rules again if the theme gives them other values; Textual does so at every start. Without other values
        only the screen on top is styled again."""
        variables = self.get_css_variables()
        if variables == self._variables:
            self.stylesheet.update(self, animate=animate)
            return
        self._variables = variables
        super().refresh_css(animate)

    def get_default_screen(self) -> Screen[None]:
        """The main screen is there from the first frame."""
        return MainScreen(self.model, self.actions, self.options, self.size.width)

    def on_mount(self) -> None:
        """Paint first, then ask."""
        self.set_keymap(dict(self.settings.now.keys.changed))
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        for complaint in self.options.complaints:
            self.model.activity.notice("warning", complaint, self.model.clock())
            self.actions.say(complaint, "warning")
        self.call_after_refresh(self.options.framed)
        self.call_after_refresh(self.start_session)
        self.set_timer(self.options.furnish, self._furnish)
        self.set_interval(1.0, self._tick)
        self.set_interval(STATUS_EVERY, self.ask_status)

    def on_unmount(self) -> None:
        """What was just chosen is kept as well."""
        self._keeper.finish()

    # Settings

    def _settings_changed(self, old: InterfaceSettings, new: InterfaceSettings) -> None:
        self.theme = new.theme
        self._keeper.save(new.difference(old))
        self._sync(News(listings=True, status=True, activity=True))

    def _theme_changed(self, theme: Theme) -> None:
        # The command palette sets it by itself. Of two changes in a row the first is told of when it is past.
        if theme.name == self.theme:
            self.settings.change(theme=theme.name)

    def _not_kept(self, error: str) -> None:
        self.actions.say(f"The settings hold for now, but could not be kept: {neutralise(error, 300)}", "error")

    async def on_event(self, event: events.Event) -> None:
        """What is pasted may come from anywhere, and fields show what is in them as it is. What a person does before every
        pane is there waits for that."""
        if self._ahead is not None and isinstance(event, events.InputEvent | events.Paste):
            self._ahead.append(event)
            if not isinstance(event, events.MouseMove):
                self._furnish()
            return
        if isinstance(event, events.Paste):
            event.text = neutralise_lines(event.text)
        await super().on_event(event)

    def _listed(self) -> None:
        self.options.listed()
        self._furnish()

    def _furnish(self) -> None:
        if self._ahead is not None and isinstance(main := self.screen_stack[0], MainScreen):
            main.call_later(main.furnish)

    async def on_main_screen_furnished(self) -> None:
        """What was typed ahead happens now, in its order."""
        ahead, self._ahead = self._ahead or [], None
        for event in ahead:
            await self.on_event(event)

    # Asking the marketplace

    def start_session(self) -> None:
        """Follow the events, and load everything as soon as they run."""
        start(self, self._follow, group="follow")

    def load(self) -> None:
        """Load all listings again."""
        start(self, self._load, group="load")

    def ask_status(self) -> None:
        """Ask for status and peers, if nobody is asking already; else once more after that."""
        if runs(self, "status"):
            self._status_due = True
        else:
            start(self, self._ask_status, group="status")

    async def _follow(self) -> None:
        attempt = 0

        def opened() -> None:
            nonlocal attempt
            attempt = 0
            self.post_message(Linked())

        def arrived(events: Sequence[Event]) -> None:
            self.post_message(Arrived(events))

        while True:
            try:
                await self.bridge.follow(arrived, opened)
                error = "the peer has stopped"
            except BetarError as lost:
                error = str(lost)
            self.post_message(Linked(error or "the connection to the peer is lost"))
            await asyncio.sleep(RETRY_DELAYS[min(attempt, len(RETRY_DELAYS) - 1)])
            attempt += 1

    async def _load(self) -> None:
        self.model.begin_load()
        try:
            page = await self.bridge.listings()
        except BetarError as error:
            self.post_message(Loaded(str(error)))
            return
        await _in_slices(self.model.loading(page))
        all_here = len(page.listings) >= page.total
        self.post_message(Loaded(all=all_here))
        if not all_here:
            return
        # The rows are on the screen before what makes searching and sorting them fast is made.
        await asyncio.sleep(PREPARE_AFTER)
        await _in_slices(self.model.index.prepare())
        self.options.indexed()

    async def _ask_status(self) -> None:
        self._status_due = True
        while self._status_due:
            self._status_due = False
            self.post_message(await self._status())
            # A burst of events asks once more at its end, not once each.
            await asyncio.sleep(self.options.interval * 3)

    async def _status(self) -> StatusLoaded:
        try:
            status = await self.bridge.status()
        except BetarError as error:
            return StatusLoaded(None, None, str(error))
        try:
            return StatusLoaded(status, await self.bridge.peers())
        except BetarError as error:
            return StatusLoaded(status, None, str(error))

    # What comes back

    def on_linked(self, message: Linked) -> None:
        """The stream is up: load what may have been missed. Or it is down: say so."""
        if message.error:
            self._sync(self.model.link_lost(message.error))
            return
        self._sync(self.model.link_restored())
        self.load()
        self.ask_status()

    def on_arrived(self, message: Arrived) -> None:
        """Follow a batch of events."""
        self._take(self.model.apply(message.events))

    def _take(self, news: News) -> None:
        """Show news, and ask for what they leave open: also those that waited while a load went on."""
        if news.stale:
            self.load()
        if news.ask_status:
            self.ask_status()
        self._sync(news)

    def on_loaded(self, message: Loaded) -> None:
        """Take a load of listings."""
        if not message.error:
            self._take(self.model.loaded(message.all))
            # Twice: the rows are laid out after the first frame and drawn in the second.
            self.call_after_refresh(self.call_after_refresh, self._listed)
            if message.all:
                self.call_after_refresh(self.call_after_refresh, self.options.painted)
            return
        self.call_after_refresh(self._furnish)
        self.call_after_refresh(self.options.painted)
        news = self.model.load_failed(message.error)
        if len(self.model.index):
            self.actions.say(f"The listings could not be loaded again: {neutralise(message.error, 200)}", "error")
        self._take(news)

    def on_status_loaded(self, message: StatusLoaded) -> None:
        """Take the peer's numbers."""
        if message.status is not None:
            self._sync(self.model.status_loaded(message.status, message.peers, message.error))
        else:
            self._sync(self.model.status_failed(message.error))

    def _sync(self, news: News) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, ModelScreen):
                screen.hear(lambda screen=screen: screen.sync(news))  # type: ignore[misc]

    def _tick(self) -> None:
        self.model.index.reconsider()
        if isinstance(self.screen, ModelScreen):
            self.screen.hear(self.screen.tick)

    # Actions

    def action_help(self) -> None:
        """Show the help, beginning with where the person is."""
        from betar_tui.tui.screens.help import HelpScreen  # not before it is wanted: the first frame comes before

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(getattr(self.screen, "SCOPE", "main"), self.model.keys))

    def on_model_screen_retry(self) -> None:
        """Connect and load again."""
        self.start_session()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette: our actions by name, then Textual's own (themes)."""
        for action in ACTIONS:
            if action.palette and (
                action.scope == "app" or (action.scope == "main" and isinstance(screen, MainScreen))
            ):
                yield SystemCommand(action.label, action.help, self._runner(action.name))
        for slash, action_name in SLASHES.items():
            if action_name.startswith("app.") or isinstance(screen, MainScreen):
                # Known to whoever types one; the list of what there is begins with the actions' own names.
                runner = self._runner(action_name)
                yield SystemCommand(slash, "As in the betar program", runner, discover=False)
        for command in super().get_system_commands(screen):
            if command.title in ("Theme", "Screenshot"):
                yield command

    def _runner(self, action: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await self.screen.run_action(action)

        return run


async def _in_slices(work: Iterator[None]) -> None:
    """Do long work a slice at a time: keys and frames come between."""
    for _ in work:
        await asyncio.sleep(0)
