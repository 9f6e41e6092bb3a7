"""The main screen: market, detail, peers and activity; one pane at a time where there is not enough room for all.

The panes next to the table are imported and mounted after the table has been filled: neither the first frame nor the
first listings wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from betar_tui.tui import empty_states
from betar_tui.tui.context import ScreenContext
from betar_tui.tui.filtering import Filtering
from betar_tui.tui.keybindings import PANES_OF, bindings
from betar_tui.tui.messages import Retry
from betar_tui.tui.model import News
from betar_tui.tui.screens.pane_layout import PaneLayout
from betar_tui.tui.screens.selection_actions import SelectionActions
from betar_tui.tui.screens.table_actions import TableActions
from betar_tui.tui.side import WIDE, side_width
from betar_tui.tui.widgets.activitylog import ActivityLines, LatestChange
from betar_tui.tui.widgets.banner import Banner
from betar_tui.tui.widgets.filterbar import FilterBar
from betar_tui.tui.widgets.keyline import KeyLine
from betar_tui.tui.widgets.lines import LineList
from betar_tui.tui.widgets.listings import ListingRows, ListingTable, TableHeader
from betar_tui.tui.widgets.pane import Pane, is_shown
from betar_tui.tui.widgets.panetabs import PaneTabs
from betar_tui.tui.widgets.status import StatusBar

if TYPE_CHECKING:
    from betar_tui.tui.widgets.activitypanel import ActivityPanel
    from betar_tui.tui.widgets.detail import DetailView

PANES = ("listings", "detail", "peers", "activity")

REST = 0.08
"""Seconds the cursor rests on a listing before it is drawn in full."""
NOT_WHILE_TYPING = {binding.action.split("(")[0] for binding in bindings("main")} - {"next_pane"}
"""The actions of this screen that are off while a person types a filter: all but Tab."""


ON_A_CHOICE = ("open", "edit", "delist", "mute", "block", "copy_menu")
"""The actions, by id, on what is under the cursor."""


class MainScreen(SelectionActions, TableActions, PaneLayout):
    """Everything of the market at a glance, or a key away."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("main", first=True)]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-middle"), (45, "-high")]
    SCOPE = "main"
    AUTO_FOCUS = ""  # `_restore_focus` decides

    _activity: ActivityPanel
    _detail: DetailView

    class PanesMounted(Message):
        """Every pane is mounted; until then the app holds input back."""

    def __init__(self, context: ScreenContext, width: int) -> None:
        # A class that is added later would style all widgets once more before the first frame.
        super().__init__(context, classes=f"-pane-listings {'-wide' if width >= WIDE else '-narrow'}")
        self._filtering = Filtering()
        self._mounting = self._mounted = False

    def compose(self) -> ComposeResult:
        model = self._model
        yield StatusBar(model, self._options.title)
        yield Banner(model)
        yield PaneTabs(model)
        yield FilterBar(id="filter-bar")
        with Horizontal(id="body"):
            # Marked from the first frame on: its table may lose the focus, to a state that replaces it, before it had any.
            yield Pane("listings", "Market", [ListingTable(model, self.context.ask)], current=True)
            with Vertical(id="side") as side:
                if self.has_class("-wide"):
                    side.styles.width = side_width(self.app.size.width, model.settings.now.side)
                yield Pane("detail", "Listing")
                yield Pane("peers", "Peers")
        yield Pane("activity", "Activity")
        yield LatestChange(model)
        yield KeyLine(model)

    def on_mount(self) -> None:
        # One timer for all moves: to start and stop one costs more than to draw the move.
        self._resting = self.set_interval(REST, self._rested, pause=True)
        self.sync(News(listings=True, status=True, activity=True, replaced=True))

    async def mount_panes(self) -> None:
        """Mount the contents of the panes next to the table, once."""
        if self._mounting:
            return
        self._mounting = True
        from betar_tui.tui.widgets.activitypanel import ActivityPanel
        from betar_tui.tui.widgets.detail import DetailView
        from betar_tui.tui.widgets.peers import PeerHeader, PeerTable

        self._detail, self._peers = DetailView(self._model), PeerTable(self._model)
        self._activity = ActivityPanel(self._model)
        contents: dict[str, Sequence[Widget]] = {
            "detail": (self._detail,),
            "peers": (PeerHeader(self._peers), self._peers),
            "activity": (self._activity,),
        }
        for name, content in contents.items():
            if (pane := self._find(name)).is_attached:
                await pane.mount_content(*content)
        if not (self.is_attached and self._activity.children):
            return  # the app is closing: nothing is mounted any more
        self._mounted = True
        self.sync(News(status=True, activity=True))
        self._show_detail()
        self.post_message(self.PanesMounted())

    # Parts

    def _find(self, name: str) -> Pane:
        return self.query_one(f"#pane-{name}", Pane)

    @property
    def current(self) -> str:
        """The id of the listing under the table's cursor, or nothing."""
        return self._rows.current

    @property
    def focused_listing_id(self) -> str:
        """The id of the listing under the cursor of the focused pane: the activity has a cursor of its own."""
        entry = self._activity.lines.current if self._pane == "activity" else None
        return entry.listing_id if entry else self.current

    # Following the model

    def sync(self, news: News) -> None:
        self.refresh_keys()
        if news.listings:
            self._rows.recount()
            self.query_one(TableHeader).redraw()
            self._show_filter()
            if news.replaced or self.current in news.ids:
                self._show_detail()
        if news.status or news.listings:
            self.query_one(StatusBar).refresh()
            if self._mounted:
                self._peers.update_if_changed(news.replaced)
            self._show_states()
        if news.activity:
            if self._mounted:
                self._activity.update_entries()
            self.query_one(LatestChange).refresh()
            self._show_states()
            self._show_title()

    def tick(self) -> None:
        """Redraw ages, marks and the rate; have the rows asked for again where they may be others by now."""
        table = self._model.table
        self.refresh_keys()  # a delist can be undone for a minute
        self._rows.redraw()
        table.dirty = table.dirty or table.stale or table.timed
        self.context.ask(None)
        if self._mounted and is_shown(self._peers):
            self._peers.update_peers()
        if self._mounted and is_shown(self._detail):
            self._detail.tick()
        if self._model.alone:
            self._show_states()  # with the seconds until peers are looked for again
        self.query_one(StatusBar).refresh()
        self._show_title()

    def _show_title(self) -> None:
        if self._wide and self._mounted:
            self._find("activity").border_title = Content(self._activity.title)

    def _show_states(self) -> None:
        model = self._model
        mistake = "" if self._filtering.failed else self._filtering.error
        self._find("listings").show(empty_states.listings(model, self._rows.count, mistake))
        if self._mounted:
            lines = self._activity.lines
            self._find("peers").show(empty_states.peers(model))
            self._find("activity").show(empty_states.activity(model, lines.count, bool(lines.filter_text)))
            self._find("detail").show(empty_states.detail(model, self.current))
        self._restore_focus()

    def _show_detail(self) -> None:
        if self._wide:
            # Drawing a listing in full takes longer than a move of the cursor: only done where the cursor rests.
            self._resting.reset()
            self._resting.resume()
        self.refresh_keys()

    def _rested(self) -> None:
        self._resting.pause()
        self._draw_detail()

    def _draw_detail(self) -> None:
        if self._mounted:
            self._detail.show(self.current)
            self._find("detail").show(empty_states.detail(self._model, self.current))

    def on_resize(self) -> None:
        """Draw the side pane and the activity's title, which may be visible only now."""
        self._lay_out()
        self.call_after_refresh(self._show_detail)
        self.call_after_refresh(self._show_title)

    def disabled_reason(self, action: str) -> str:
        """Why an action is not allowed now; empty if it is."""
        if action in ("edit", "delist") and not self._wide and self._pane != "listings":
            # A listing that is out of sight must not be changed.
            return f"go to the market first ({self._model.keys.name('pane_listings')})"
        return super().disabled_reason(action)

    def hint(self, action_id: str, label: str) -> str:
        """The label of a key in the footer: what it does now in the pane that has the focus."""
        if self._pane not in PANES_OF.get(action_id, PANES) or not self.offers(action_id):
            return ""
        if action_id == "pause" and self._model.activity.paused:
            return "Go on"
        if action_id == "leave":
            return self._leaves
        if action_id == "quit" and self._pane == "detail":
            return ""  # the key before it says that it goes back
        if action_id in ON_A_CHOICE and not self._has_choice:
            return ""
        return super().hint(action_id, label)

    @property
    def _has_choice(self) -> bool:
        """Whether there is something under the cursor of the focused pane that its keys are about."""
        if self._pane == "peers":
            return self._mounted and bool(self._peers.current)
        if self._pane == "activity":
            entry = self._activity.lines.current if self._mounted else None
            return bool(entry and entry.listing_id)
        return bool(self.current)

    @property
    def shows_raw(self) -> bool:
        return self._mounted and self._detail.is_raw

    def offers(self, action_id: str) -> bool:
        """Whether the footer and the palette have an action now; its key says why it does nothing."""
        return action_id != "undo" or self._model.delisted.newest(self._model.clock()) is not None

    @property
    def _leaves(self) -> str:
        """What the key that leaves does now, in a word; nothing if there is nothing to leave."""
        if self._zoomed:
            return "Unzoom"
        if self._pane == "activity" and self._mounted and self._activity.lines.filter_text:
            return "Unfilter"
        return "Back" if self._pane != "listings" else "Unfilter" if self._filtering.text else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        typing = isinstance(self.focused, Input)
        return not typing or action not in NOT_WHILE_TYPING

    # Messages

    def on_line_list_moved(self, event: LineList.Moved) -> None:
        if isinstance(event.lines, ListingRows):
            if event.by_person:
                event.lines.touch()
            self._show_detail()
        elif isinstance(event.lines, ActivityLines):
            self.refresh_keys()
            if entry := event.lines.current:
                self._actions.look_up(entry.listing_id)

    def on_line_list_opened(self, event: LineList.Opened) -> None:
        """Open a listing, or go to the listing of a line of the activity."""
        if isinstance(event.lines, ListingRows):
            self._open(event.lines.listing_of(event.row))
        elif isinstance(event.lines, ActivityLines):
            entry = event.lines.at(event.row)
            if entry is None or not entry.listing_id:
                return
            if not self._model.table.is_listed(entry.listing_id):
                self._actions.notify("It is no longer listed", "warning")
                return
            self.focus_pane("listings")
            if not self._rows.go_to(entry.listing_id):
                self._rows.show_view(self._model.table.wanted, target=entry.listing_id)
        elif peer := self._model.peer(self._peers.current):
            self.context.open_screen("peer", peer, then=self.filter_by)

    def on_pane_current(self, event: Pane.Current) -> None:
        """Mark the pane that has the focus, unless the focus has moved on since."""
        if self.focused is not None and event.pane in self.focused.ancestors:
            self._mark_pane(event.pane.key)

    def on_state_view_offered(self) -> None:
        """Focus a button of a pane in which nothing could take the focus before."""
        self._restore_focus()

    def _restore_focus(self) -> None:
        # A widget that can take the focus may only be visible now, or the one that had it is hidden.
        if self.focused is None or not is_shown(self.focused):
            self._find(self._pane).focus_inside()

    def on_detail_view_wanted(self, event: DetailView.Wanted) -> None:
        """Ask for the history of a listing, unless the cursor has moved on by then."""
        listing_id = event.listing_id

        def ask() -> None:
            if self.current == listing_id:
                self._actions.fetch(event.view, listing_id)

        self.set_timer(0.12, ask)

    # Actions

    def action_filter(self) -> None:
        if self._pane == "activity":
            self._activity.ask_filter()
            return
        self.focus_pane("listings")
        self.set_focus(self.query_one(FilterBar).input)

    def action_filter_done(self) -> None:
        self._apply_filter(self.query_one(FilterBar).input.value)
        self.focus_pane("listings")

    def action_leave(self) -> None:
        """Leave the zoom, take the filter away, or come back to the market."""
        if self._zoomed:
            self.action_zoom()
            return
        if self._pane == "activity" and self._activity.clear_filter():
            return
        # A table that the filter leaves empty has no listing to leave.
        if self._pane == "listings" or (self._pane == "detail" and not self._rows.count):
            self.action_unfilter()
        self.focus_pane("listings")

    async def action_quit(self) -> None:
        """Go back to the table from the pane of a listing, as from the screen of one; else quit."""
        if self._pane != "detail":
            await self.app.action_quit()
            return
        if self._zoomed:
            self.action_zoom()
        self.focus_pane("listings")

    def action_unfilter(self) -> None:
        if self.query_one(FilterBar).input.value:
            self.filter_by("")
        self.focus_pane("listings")

    def action_next_pane(self, by: int = 1) -> None:
        """Go to the next pane, or to the one before it (-1)."""
        panes = [pane for pane in PANES if self._wide or pane != "detail"]
        at = panes.index(self._pane) if self._pane in panes else 0
        self.focus_pane(panes[(at + by) % len(panes)])

    def focus_pane(self, name: str) -> None:
        """Go to a pane."""
        self._mark_pane(name)
        self._find(name).focus_inside()

    def action_peer_listings(self) -> None:
        if peer := self._peers.current:
            self.filter_by(f"seller:{peer}")

    def action_pause(self) -> None:
        paused = self._model.activity.toggle_pause()
        key = self._model.keys.name("pause")
        text = f"Activity is paused: {key} goes on" if paused else "Activity goes on"
        self._actions.notify(text, about="activity")
        self.sync(News(activity=True))
        self.show_modes()

    def action_retry(self) -> None:
        self._detail.show(self.current)
        self.post_message(Retry())

    def _open(self, listing_id: str) -> None:
        if not listing_id:
            return
        if self._wide:
            self.focus_pane("detail")
        else:
            self.context.open_screen("listing", listing_id)

    def _mark_pane(self, name: str) -> None:
        self._pane = name
        for pane in PANES:
            self.set_class(pane == name, f"-pane-{pane}")
            self._find(pane).set_class(pane == name, "-current")
        self.query_one(PaneTabs).set_current(name)
