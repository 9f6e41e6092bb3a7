"""Everything a person can do, in one table; bindings, footer, help and command palette follow from it.

A key is bound where its scope says: "app" everywhere, "main" in the main screen, "table", "log" and "peers" while that
list has the focus, "detail", "view", "form", "peer", "place" and "mine" there, "beside" on each of these screens but the
form. The order in the table is the order in footer and help.
The keys here are the ones without settings; `keymap` knows which are in force.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. `name` is the Textual action; the first of `keys` (separated by commas) is the one shown.
    `identity` is its id in the settings where its name would not do."""

    name: str
    keys: str
    label: str
    help: str
    scope: str
    footer: bool = False
    shown_key: str = ""
    palette: bool = False
    identity: str = ""

    @property
    def id(self) -> str:
        """What the settings call it: publish, copy_id. Actions of one id have the same keys wherever they are."""
        return self.identity or re.sub(r"\W+", "_", self.name.removeprefix("app.")).strip("_")


ACTIONS: tuple[Action, ...] = (
    Action("app.help", "question_mark,f1", "Help", "This help", "app", True, "?", True),
    Action(
        "filter",
        "slash",
        "Filter",
        "Type a filter, for the activity where that has the focus; Enter goes back",
        "main",
        True,
        "/",
        True,
    ),
    Action("open", "enter", "Open", "Show the listing with its history", "table", True, "⏎"),
    Action("open", "enter", "Open", "Go to the listing of this line", "log", True, "⏎"),
    Action("open", "enter", "Open", "Everything that is known of this peer", "peers", True, "⏎"),
    Action("peer_listings", "f", "Its listings", "Filter the market by this peer", "peers", True),
    Action("disconnect", "x", "Disconnect", "Close the connections to this peer; asks once", "peers", True),
    Action("publish", "n", "Publish", "Publish a listing of yours", "main", True, "", True),
    Action("edit", "e", "Edit", "Change this listing, if it is yours", "main", True, "", True),
    Action("delist", "d", "Delist", "Remove this listing, if it is yours; asks once", "main", True, "", True),
    Action("connect", "a", "Add peer", "Connect to a peer by its multiaddr", "main", False, "", True),
    Action("next_pane", "tab", "Pane", "Next pane", "main", True, "Tab"),
    Action("previous_pane", "shift+tab", "Previous pane", "Previous pane", "main"),
    Action("pane('listings')", "1", "Market", "The market", "main", False, "", True),
    Action("pane('peers')", "2", "Peers", "The peers", "main", False, "", True),
    Action("pane('activity')", "3", "Activity", "The activity", "main", False, "", True),
    Action("place('replica')", "4", "Replica", "The replica: heads, sync and the Merkle-DAG", "main", True, "", True),
    Action("place('mine')", "5", "Mine", "Your own listings and what became of each", "main", True, "", True),
    Action("place('log')", "6", "Log", "What the peer logged", "main", True, "", True),
    Action("show_new", "f5", "Show new", "Take in new rows and order the table now", "main", False, "F5", True),
    Action("sort", "s", "Sort", "Sort by the next column, or by a click on a header", "main", False, "", True),
    Action("reverse", "S,R", "Reverse", "Turn the order around", "main", False, "", True),
    Action(
        "zoom", "z", "Zoom", "This pane alone, or all of them again (where there are several)", "main", False, "", True
    ),
    Action(
        "mute",
        "m",
        "Mute",
        "Mute this seller or peer, or hear it again; state:muted shows its listings",
        "main",
        palette=True,
    ),
    Action("hold_sync", "h", "Hold sync", "Hold the fetching of history, or go on", "main", False, "", True),
    Action(
        "choose_dialect", "D", "Dialect", "Write your listings in the other dialect; asks once", "main", palette=True
    ),
    Action("pause", "p", "Pause", "Hold the activity still, or let it go on", "main", False, "", True),
    Action(
        "copy_menu", "y", "Copy", "Copy the id, CID, JSON or address of what is chosen: i c j m", "main", palette=True
    ),
    Action(
        "copy('c')",
        "c",
        "Copy CID",
        "Copy the CID of the block that carries the listing",
        "main",
        palette=True,
        identity="copy_cid",
    ),
    Action("retry", "r", "Retry", "Load again", "main", False, "", True),
    Action("columns(-1)", "left", "Columns left", "Columns further left", "table", identity="columns_left"),
    Action("columns(1)", "right", "Columns right", "Columns further right", "table", identity="columns_right"),
    Action(
        "place('settings')", "comma", "Settings", "Theme, columns, density, keys", "main", True, "", True, "settings"
    ),
    Action("leave", "escape", "Back", "Leave the zoom or the filter, or take the filter away", "main"),
    Action("pane('listings')", "1", "Market", "The market", "beside"),
    Action("pane('peers')", "2", "Peers", "The peers", "beside"),
    Action("pane('activity')", "3", "Activity", "The activity", "beside"),
    Action("place('replica')", "4", "Replica", "The replica", "beside"),
    Action("place('mine')", "5", "Mine", "Your own listings", "beside"),
    Action("place('log')", "6", "Log", "What the peer logged", "beside"),
    Action("place('settings')", "comma", "Settings", "Theme, columns, density, keys", "beside", identity="settings"),
    Action("back", "escape,q", "Back", "Back to the table", "detail", True, "Esc"),
    Action("edit", "e", "Edit", "Change this listing, if it is yours", "detail", True),
    Action("delist", "d", "Delist", "Remove this listing, if it is yours; asks once", "detail", True),
    Action("copy_menu", "y", "Copy", "Copy its id, CID, JSON or address: i c j m", "detail", True),
    Action("copy('c')", "c", "Copy CID", "Copy the CID of the block that carries it", "detail", identity="copy_cid"),
    Action("mute", "m", "Mute", "Mute its seller, or hear it again", "detail", True),
    Action("hold_sync", "h", "Hold sync", "Hold the fetching of history, or go on", "detail"),
    Action("choose_dialect", "D", "Dialect", "Write your listings in the other dialect; asks once", "detail"),
    Action("raw", "j", "JSON", "The value as it is stored, or as a page again", "view", True),
    Action("back", "escape,q", "Back", "Back to the peers", "peer", True, "Esc"),
    Action("listings", "f", "Its listings", "Filter the market by this peer", "peer", True, identity="peer_listings"),
    Action("mute", "m", "Mute", "Mute its listings, or hear it again", "peer", True),
    Action("disconnect", "x", "Disconnect", "Close the connections to it; asks once", "peer", True),
    Action("copy_menu", "y", "Copy", "Copy its id, its address, or our own: i a o", "peer", True),
    Action("hold_sync", "h", "Hold sync", "Hold the fetching of history, or go on", "peer"),
    Action("choose_dialect", "D", "Dialect", "Write your listings in the other dialect; asks once", "peer"),
    Action("open", "enter", "Open", "Look closer at this line", "placelines", True, "⏎"),
    Action("back", "escape,q", "Back", "Back to the market", "place", True, "Esc"),
    Action("retry", "r", "Retry", "Ask again", "place"),
    Action("hold_sync", "h", "Hold sync", "Hold the fetching of history, or go on", "place"),
    Action("choose_dialect", "D", "Dialect", "Write your listings in the other dialect; asks once", "place"),
    Action("choose", "enter,space", "Choose", "Choose what this line names", "settings", True, "⏎"),
    Action("publish", "n", "Publish", "Publish a listing", "mine", True),
    Action("edit", "e", "Edit", "Change this listing", "mine", True),
    Action("delist", "d", "Delist", "Remove this listing; asks once", "mine", True),
    Action("renew", "u", "Renew", "Publish this listing once more, as it is", "mine", True),
    Action("submit", "f2", "Send", "Check and send the form", "form", True, "F2"),
    Action("leave", "escape", "Back", "Leave; the draft is kept", "form", True, "Esc"),
    Action("app.quit", "q", "Quit", "Quit", "main"),
    Action("app.quit", "ctrl+q", "Quit", "Quit, from everywhere", "app", False, "", True, "quit_everywhere"),
)

MOVES: tuple[Action, ...] = (
    Action("move(-1)", "up,k", "Up", "One line up", "lines", identity="up"),
    Action("move(1)", "down,j", "Down", "One line down", "lines", identity="down"),
    Action("page(-1)", "pageup", "Page up", "One page up", "lines", identity="page_up"),
    Action("page(1)", "pagedown,space", "Page down", "One page down", "lines", identity="page_down"),
    Action("edge(-1)", "home,g", "Top", "To the first line", "lines", identity="top"),
    Action("edge(1)", "end,G", "Bottom", "To the last line", "lines", identity="bottom"),
)

SCOPE_TITLES = {
    "app": "Everywhere",
    "main": "Main screen",
    "table": "Listings",
    "lines": "Moving in lists",
    "log": "Activity",
    "peers": "Peers",
    "detail": "One listing",
    "view": "The page of a listing",
    "peer": "One peer",
    "place": "Replica, mine, log",
    "beside": "From one place to another",
    "placelines": "Lines of these places",
    "mine": "Mine",
    "settings": "Settings",
    "form": "Publish and edit",
}

CHAINS: tuple[tuple[str, ...], ...] = (
    ("app", "main", "table", "lines"),
    ("app", "main", "log", "lines"),
    ("app", "main", "peers"),
    ("app", "main", "view"),
    ("app", "beside", "detail", "view"),
    ("app", "beside", "peer"),
    ("app", "beside", "place", "placelines", "lines"),
    ("app", "beside", "place", "mine", "placelines", "lines"),
    ("app", "beside", "place", "settings", "placelines", "lines"),
    ("app", "form"),
)
"""The scopes whose keys are in force at the same time."""


SLASHES: dict[str, str] = {
    "/help": "app.help",
    "/peers": "pane('peers')",
    "/status": "place('replica')",
    "/agent list": "pane('listings')",
    "/agent discover": "filter",
    "/settings": "place('settings')",
    "/exit": "app.quit",
}
"""Commands with a slash, most of them from the upstream program, which the palette knows as well."""


def bindings(scope: str, *, first: bool = False) -> list[Binding]:
    """The bindings of one scope.

    `first` takes the keys before the focused widget does. Without it Textual puts each key into the queue of what has
    the focus now, also those typed ahead: the letters of a name, typed right after the key that opens the form, would
    be taken for commands.
    """
    result = []
    for action in (*ACTIONS, *MOVES):
        if action.scope != scope:
            continue
        for position, key in enumerate(action.keys.split(",")):
            result.append(
                Binding(
                    key,
                    action.name,
                    action.label,
                    show=action.footer and position == 0,
                    key_display=action.shown_key or None,
                    tooltip=action.help,
                    priority=first,
                    id=action.id,
                )
            )
    return result
