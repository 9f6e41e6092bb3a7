"""The app: it owns model, bridge and screens, follows the marketplace, and leads from one screen to another.

Workers never touch widgets: they post the messages below, which the app handles in its own task."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme
from textual.timer import Timer
from textual.widgets import Input

from betar_tui.errors import BetarError, UnansweredError
from betar_tui.market.marketplace import Event, PeerInfo, Status
from betar_tui.market.text import letters_of_lines, neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui import palette
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.coloured_app import ColouredApp
from betar_tui.tui.context import ScreenContext
from betar_tui.tui.keybindings import bindings
from betar_tui.tui.listing_actions import ListingActions
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.pages import Counted, PageArrived
from betar_tui.tui.paging import Paging
from betar_tui.tui.saver import Saver
from betar_tui.tui.screens import registry
from betar_tui.tui.screens.main import PANES, MainScreen
from betar_tui.tui.screens.model_screen import ModelScreen
from betar_tui.tui.settings import InterfaceSettings, Settings
from betar_tui.tui.themes import THEMES
from betar_tui.tui.typing_order import TYPED, TypingOrder
from betar_tui.tui.widgets.panetabs import PaneTabs
from betar_tui.tui.workers import runs, start

STATUS_WAITS, STATUS_EVERY = 0.5, 5.0
"""Maximum seconds that the first request for status and peers waits for the first rows, and seconds between two requests
when no event asks for one."""
HOLD = 2.0
"""Maximum seconds that keys are held back until the rows have come that they are meant for; then they are dropped, for the
person cannot know any more what they would be done to."""
NEVER_HELD = ("filter", "leave", "next_pane", "previous_pane", "help", "quit", "quit_everywhere", "suspend")
"""The actions whose keys are not held back: they do nothing to rows, or end the waiting."""
RETRY_DELAYS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before each attempt to follow the peer again; the last one repeats."""


class EventsArrived(Message):
    """A batch of events."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__()
        self.events = events


class StatusLoaded(Message):
    """Status and peers; each is None where it could not be loaded, for `error`. `silent`: the peer gives no sign of life."""

    def __init__(
        self, status: Status | None, peers: tuple[PeerInfo, ...] | None, error: str = "", silent: bool = False
    ) -> None:
        super().__init__()
        self.status, self.peers, self.error, self.silent = status, peers, error, silent


class StreamState(Message):
    """The stream of events runs, or was lost for `error`. `silent` as above."""

    def __init__(self, error: str = "", silent: bool = False) -> None:
        super().__init__()
        self.error, self.silent = error, silent


class BetarApp(ColouredApp):
    """The terminal interface of one peer."""

    TITLE = "betar-tui"
    CSS_PATH = "betar.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app", first=("app.suspend", "app.quit"))]

    def __init__(self, bridge: Bridge, options: TuiOptions | None = None) -> None:
        super().__init__()
        self.options = options or TuiOptions()
        self.bridge = bridge
        self.settings = Settings(self.options.settings)
        self.model = MarketModel(self.options.clock, self.settings)
        self.model.can_run_here = self.options.take_over is not None
        self.actions = ListingActions(self, self.model, bridge, self.open_screen, self._sync_screens, self.options)
        self.paging = Paging(self, self.model, bridge, lambda: self._main, self._take, self.actions.notify)
        self.context = ScreenContext(self.model, bridge, self.actions, self.options, self.open_screen, self.paging.ask)
        self._status_due, self._rows_first = False, True
        self._typed_ahead: list[events.Event] | None = []
        self._held: list[events.Event] = []
        self._held_timer: Timer | None = None
        self._typing = TypingOrder(self, self._typed)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.shown_theme(self.settings.now.theme)
        self._variables = self.get_css_variables()
        self.stylesheet.set_variables(self._variables)
        self._saver = Saver(self, self.options.keep, self._not_saved)
        self.settings.subscribe(self._settings_changed)
        if not self.options.animate:
            self.animation_level = "none"

    def refresh_css(self, animate: bool = True) -> None:
        """Read the rules again if the theme gives them other values; else style only the screen on top again.

        Textual reads them again at every start."""
        variables = self.get_css_variables()
        if variables == self._variables:
            self.stylesheet.update(self, animate=animate)
            return
        self._variables = variables
        super().refresh_css(animate)

    def get_default_screen(self) -> Screen[None]:
        """The main screen is there from the first frame."""
        return MainScreen(self.context, self.size.width)

    def on_mount(self) -> None:
        self.set_keymap(dict(self.settings.now.keys.changed))
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self._complain(self.options.complaints)
        self.actions.offers.begin()
        self.call_after_refresh(self.first_frame)
        self.call_after_refresh(self.start_session)
        self.set_timer(self.options.mount_panes_after, self._mount_panes)
        self.set_interval(1.0, self._tick)
        self.set_interval(STATUS_EVERY, self.ask_status)

    def on_unmount(self) -> None:
        self._saver.finish()
        self.actions.drafts.finish()

    # Settings

    def _settings_changed(self, old: InterfaceSettings, new: InterfaceSettings) -> None:
        self.theme = self.shown_theme(new.theme)
        self._saver.save(new.difference(old))
        if new.keys != old.keys:
            self.set_keymap(dict(new.keys.changed))
        if new.muted != old.muted and (main := self._main) is not None:
            main.deliver(main.mute)
        self._sync_screens(News(listings=True, status=True, activity=True))

    def _complain(self, complaints: Sequence[str]) -> None:
        """Say what is wrong with the settings file: each mistake in the activity, and one notification for all."""
        for complaint in complaints:
            self.model.activity.notice("warning", complaint, self.model.clock())
        if len(complaints) == 1:
            self.actions.notify(complaints[0], "warning")
        elif complaints:
            activity = self.model.keys.name("pane_activity")
            wrong = f"{len(complaints):,} settings in config.toml are wrong and not in force"
            self.actions.notify(f"{wrong}; the activity (key {activity}) names them", "warning")

    def _theme_changed(self, theme: Theme) -> None:
        # The command palette sets it by itself. Of two changes in a row the first may be signalled after the second.
        if theme.name == self.theme != self.shown_theme(self.settings.now.theme):
            self.settings.change(theme=theme.name)
            # Where that was the stored one already, nothing has changed, and another may stand in for it.
            self.theme = self.shown_theme(self.settings.now.theme)

    def _not_saved(self, error: str) -> None:
        self.actions.notify(f"The settings hold for now, but could not be kept: {neutralise(error, 300)}", "error")

    async def on_event(self, event: events.Event) -> None:
        """Neutralise pasted text, since fields show it as it is; hold input back until every pane is mounted."""
        if self._typed_ahead is not None and isinstance(event, events.InputEvent | events.Paste):
            self._typed_ahead.append(event)
            if not isinstance(event, events.MouseMove):
                self._mount_panes()
            return
        if isinstance(event, TYPED) and not event.is_forwarded:
            await self._typing.take(event)
        else:
            await super().on_event(event)

    async def _typed(self, event: events.Event) -> None:
        """Hand on what was typed, or hold it back while the rows that it is meant for have not come."""
        if self._held and self._ends_waiting(event):
            self._held.clear()
        if self._held or self._is_for_other_rows(event):
            if not self._held:
                self._held_timer = self.set_timer(HOLD, self._held.clear)
            self._held.append(event)
            return
        if isinstance(event, events.Paste):
            event.text = letters_of_lines(event.text)
        await super().on_event(event)
        if isinstance(event, events.Key):
            self._typing.handed_on()

    def _ends_waiting(self, event: events.Event) -> bool:
        keys = self.settings.now.keys
        return isinstance(event, events.Key) and any(event.key in keys.keys(action) for action in NEVER_HELD)

    def _is_for_other_rows(self, event: events.Event) -> bool:
        """Whether the person does something to rows that have not come yet: what is typed goes on."""
        if not self.paging.for_person or self._ends_waiting(event):
            return False
        return isinstance(self.screen, MainScreen) and not isinstance(self.focused, Input)

    async def _release(self) -> None:
        """Go on with the keys that were held back, until one of them asks for other rows again."""
        if self._held and self._held_timer is not None:
            self._held_timer.stop()
        held = list(self._held)
        self._held.clear()
        await self._typing.take_first(held)

    @property
    def _main(self) -> MainScreen | None:
        """The main screen, which lies below all others; None before it is mounted and while the app closes."""
        stack = self.screen_stack
        return stack[0] if stack and isinstance(stack[0], MainScreen) and stack[0].is_mounted else None

    def _rows_came(self) -> None:
        if self._rows_first:
            self._rows_first = False
            self.ask_status()

    def _listed(self) -> None:
        self._rows_came()
        self.options.painted()
        self._mount_panes()

    def _mount_panes(self) -> None:
        if self._typed_ahead is not None and (main := self._main) is not None:
            main.call_later(main.mount_panes)

    async def on_main_screen_panes_mounted(self) -> None:
        ahead, self._typed_ahead = self._typed_ahead or [], None
        for event in ahead:
            await self.on_event(event)

    # Asking the marketplace

    def start_session(self) -> None:
        """Follow the events, and load everything as soon as they run."""
        start(self, self._follow, group="follow")
        self.set_timer(STATUS_WAITS, self._rows_came)

    def load(self) -> None:
        """Load the rows in sight again."""
        self.model.table.reload = True
        self.paging.consider()

    def ask_status(self) -> None:
        """Ask for status and peers, or once more after a request that is under way."""
        if self._rows_first:
            return  # `_rows_came` asks
        if runs(self, "status"):
            self._status_due = True
        else:
            start(self, self._ask_status, group="status")

    async def _follow(self) -> None:
        attempt = 0

        def opened() -> None:
            nonlocal attempt
            attempt = 0
            self.post_message(StreamState())

        def arrived(events: Sequence[Event]) -> None:
            self.post_message(EventsArrived(events))

        while True:
            silent = False
            try:
                await self.bridge.follow(arrived, opened)
                error = "the peer has stopped"
            except BetarError as lost:
                error, silent = str(lost), isinstance(lost, UnansweredError)
            self.post_message(StreamState(error or "the connection to the peer is lost", silent))
            await asyncio.sleep(RETRY_DELAYS[min(attempt, len(RETRY_DELAYS) - 1)])
            attempt += 1

    async def _ask_status(self) -> None:
        self._status_due = True
        while self._status_due:
            self._status_due = False
            self.post_message(await self._status())
            # One request follows a burst of events, not one per event.
            await asyncio.sleep(self.options.interval * 3)

    async def _status(self) -> StatusLoaded:
        try:
            status = await self.bridge.status()
        except BetarError as error:
            return StatusLoaded(None, None, str(error), isinstance(error, UnansweredError))
        try:
            return StatusLoaded(status, await self.bridge.peers())
        except BetarError as error:
            return StatusLoaded(status, None, str(error))

    # Answers

    def on_stream_state(self, message: StreamState) -> None:
        """Load the changes that were missed, or show that the stream is down."""
        if message.error:
            self._sync_screens(self.model.link_lost(message.error, message.silent))
            return
        self._sync_screens(self.model.link_restored())
        self.load()
        self.ask_status()

    def on_events_arrived(self, message: EventsArrived) -> None:
        self._take(self.model.apply(message.events))

    def _take(self, news: News) -> None:
        """Show news, including those held back during a load, and ask for the data that they lack."""
        if news.stale:
            self.load()
        if news.ask_status:
            self.ask_status()
        self._sync_screens(news)
        if news.listings:
            self.paging.consider()

    async def on_page_arrived(self, message: PageArrived) -> None:
        """Show rows, and go on with the keys that were held back for them."""
        first = not self.model.listings_ready
        if self.paging.take(message):
            if first:
                # At once: otherwise the pane is drawn once without its rows.
                if self._main is not None:
                    self._main.refresh(layout=True)
                # Twice: the rows are laid out after the first frame and drawn in the second.
                self.call_after_refresh(self.call_after_refresh, self._listed)
            await self._release()

    def on_counted(self, message: Counted) -> None:
        """Show how many listings match."""
        self.paging.take_count(message)

    def on_status_loaded(self, message: StatusLoaded) -> None:
        if message.status is not None:
            self._sync_screens(self.model.status_loaded(message.status, message.peers, message.error))
            self.actions.peers.returned()
        else:
            self._sync_screens(self.model.status_failed(message.error, message.silent))

    def on_listing_actions_published(self, message: ListingActions.Published) -> None:
        """The cursors go to what was just published."""
        for screen in self.screen_stack:
            if isinstance(screen, ModelScreen):
                screen.deliver(partial(screen.follow, message.listing_id))

    def on_retry(self) -> None:
        self.start_session()

    def _sync_screens(self, news: News) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, ModelScreen):
                screen.deliver(partial(screen.sync, news))

    def _tick(self) -> None:
        self.note_running()
        self.paging.count()
        # A dialogue leaves the screen behind it in sight.
        if screen := next((each for each in reversed(self.screen_stack) if isinstance(each, ModelScreen)), None):
            screen.deliver(screen.tick)

    def went_on(self, seconds: float) -> None:
        """Note it: the peer in here knows nothing of that time."""
        peer = ": the peer in it stood still" if self.options.own_peer() else ""
        text = f"The program was stopped for {fmt.age(seconds)}{peer}"
        self.model.activity.notice("info", text, self.model.clock())
        self._sync_screens(News(activity=True))

    # Navigation

    def open_screen(self, name: str, *arguments: object, then: Callable[[Any], None] | None = None) -> None:
        """Put a screen of the registry on top; `then` is called with its result."""
        self.push_screen(registry.create(name, self.context, *arguments), then)

    def action_go_to(self, name: str) -> None:
        """Go to a pane of the main screen or to a list screen, leaving the screens above the main one."""
        while not isinstance(main := self.screen, MainScreen):
            self.pop_screen()
        if name in PANES:
            main.focus_pane(name)
        else:
            self.open_screen(name)

    def on_pane_tabs_chosen(self, message: PaneTabs.Chosen) -> None:
        if isinstance(self.screen, MainScreen):  # a dialogue may have opened since the click
            self.action_go_to(message.name)

    def action_help(self) -> None:
        if scope := getattr(self.screen, "SCOPE", "main"):
            self.open_screen("help", scope)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "go_to":
            return not isinstance(self.focused, Input)
        return super().check_action(action, parameters)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette."""
        yield from palette.commands(self, screen, self.settings.now.filters)
        yield from self.actions.offers.commands()
        for command in super().get_system_commands(screen):
            if command.title in ("Theme", "Screenshot"):
                yield command
