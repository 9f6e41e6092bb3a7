"""Everything a person can do, in one table; bindings, footer, help and command palette follow from it.

The scope of an action says where its keys work: "app" everywhere, "main" in the main screen, "navigation" in each
screen that covers it but the form, "list_screen" in those that are a list, "table", "log", "peers", "list_lines" and
"lines" while that list has the focus, "view" in the page of a listing, "page" in all that scrolls without a cursor, the
others in the screen of that name. The order
of the table is the order of footer and help. These are the keys without settings; `keymap` knows those in force."""

import re
from dataclasses import KW_ONLY, dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do.

    `name` is the Textual action; `keys` are separated by commas, the first one is shown. `footer` and `palette` say
    whether it is shown there, `panes` in which panes of the main screen alone the footer has it. `also` names further
    scopes with the same keys, where it is not in the footer and the help shows `short_help`, if there is one. `identity`
    is its id in the settings if that is not made of the name."""

    name: str
    keys: str
    label: str
    help: str
    scope: str
    _: KW_ONLY
    footer: bool = False
    palette: bool = False
    panes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    short_help: str = ""
    identity: str = ""

    @property
    def id(self) -> str:
        """The name in the settings: publish, copy_id. Actions with the same id have the same keys in every scope."""
        return self.identity or re.sub(r"\W+", "_", self.name.removeprefix("app.")).strip("_")

    @property
    def scopes(self) -> tuple[str, ...]:
        """All scopes in which its keys work."""
        return (self.scope, *self.also)

    def help_in(self, scope: str) -> str:
        """What it does, for the help on one scope."""
        return self.short_help or self.help if scope in self.also else self.help


OVER_MAIN = ("detail", "peer", "list_screen")
"""The scopes of the screens that cover the main one, without the form."""


def _go_to(
    name: str, keys: str, label: str, help: str, identity: str, *, footer: bool = False, short_help: str = ""
) -> Action:
    """The way to a pane of the main screen or to a list screen, from each of them."""
    return Action(
        f"app.go_to('{name}')",
        keys,
        label,
        help,
        "main",
        footer=footer,
        palette=True,
        also=("navigation",),
        short_help=short_help,
        identity=identity,
    )


# fmt: off
ACTIONS: tuple[Action, ...] = (
    Action("app.help", "question_mark,f1", "Help", "This help", "app", footer=True, palette=True),
    Action("undo", "U", "Undo delist", "Publish again what you have just delisted", "main", footer=True, palette=True,
           also=("detail",)),
    Action("filter", "slash", "Filter", "Type a filter, for the activity where that has the focus; Enter goes back",
           "main", footer=True, palette=True, panes=("listings", "activity")),
    Action("open", "enter", "Open", "Show the listing with its history", "table", footer=True),
    Action("open", "enter", "Its listing", "Go to the listing of this line", "log", footer=True),
    Action("open", "enter", "Open", "Everything that is known of this peer", "peers", footer=True),
    Action("peer_listings", "f", "Its listings", "Filter the market by this peer", "peers", footer=True),
    Action("disconnect", "x", "Disconnect", "Close the connections to this peer; asks once", "peers", footer=True),
    Action("publish", "n", "Publish", "Publish a listing of yours", "main",
           footer=True, palette=True, panes=("listings", "detail")),
    Action("edit", "e", "Edit", "Change this listing, if it is yours", "main",
           footer=True, palette=True, panes=("listings", "detail")),
    Action("delist", "d", "Delist", "Remove this listing, if it is yours; asks once", "main",
           footer=True, palette=True, panes=("listings", "detail")),
    Action("connect", "a", "Add peer", "Connect to a peer by its multiaddr", "main",
           footer=True, palette=True, panes=("peers",)),
    Action("own_address", "Y", "My address", "Copy the address by which others connect to you", "main",
           footer=True, palette=True, also=OVER_MAIN, panes=("peers",)),
    Action("mute", "m", "Mute", "Mute this seller or peer, or hear it again; state:muted shows its listings", "main",
           footer=True, palette=True, panes=("detail", "peers")),
    Action("block", "X", "Block", "Have nothing to do with this peer or seller, or let it in again; asks once", "main",
           footer=True, palette=True, panes=("peers",)),
    Action("copy_menu", "y", "Copy", "Copy the id, CID, JSON or address of what is chosen: i c j m", "main",
           footer=True, palette=True, panes=("detail", "peers")),
    Action("pause", "p", "Pause", "Hold the activity still, or let it go on", "main",
           footer=True, palette=True, panes=("activity",)),
    Action("go_online", "o", "Go online", "Go online, on a free port; run a peer that is gone", "main",
           palette=True, also=OVER_MAIN),
    Action("back", "escape,q", "Back", "Back to the table", "detail", footer=True),
    Action("raw", "J", "JSON", "The value as it is stored, or as a page again", "view", footer=True),
    Action("versions", "v", "Versions", "Its versions, the newest first, each as it was", "view", footer=True),
    Action("versions", "v", "Versions", "The versions of this listing, the newest first", "table"),
    Action("next_pane", "tab", "Pane", "Next pane", "main", footer=True),
    Action("next_pane(-1)", "shift+tab", "Previous pane", "Previous pane", "main", identity="previous_pane"),
    _go_to("listings", "1", "Market", "The market", "pane_listings"),
    _go_to("peers", "2", "Peers", "The peers", "pane_peers"),
    _go_to("activity", "3", "Activity", "The activity", "pane_activity"),
    _go_to("replica", "4", "Replica", "The replica: heads, sync and the Merkle-DAG", "place_replica",
           footer=True, short_help="The replica"),
    _go_to("mine", "5", "Mine", "Your own listings and what became of each", "place_mine",
           footer=True, short_help="Your own listings"),
    _go_to("log", "6", "Log", "What the peer logged", "place_log", footer=True),
    Action("show_new", "f5", "Show new", "Take in new rows and order the table now", "main", palette=True),
    Action("sort", "s", "Sort", "Sort by the next column, or by a click on a header", "main", palette=True),
    Action("reverse", "S,R", "Reverse", "Turn the order around", "main", palette=True),
    Action("saved_filters", "b", "Saved filters", "Apply a filter that you have saved", "main", palette=True),
    Action("save_filter", "B", "Save this filter", "Save the filter of the market under a name", "main", palette=True),
    Action("forget_filter", "F", "Forget a filter", "Forget a filter that you have saved", "main", palette=True),
    Action("zoom", "z", "Zoom", "This pane alone, or all of them again (where there are several)", "main",
           palette=True),
    Action("resize(1)", "less_than_sign", "Wider listing", "More room for the listing, less for the table", "main",
           palette=True, identity="wider_listing"),
    Action("resize(-1)", "greater_than_sign", "Wider table", "More room for the table, less for the listing", "main",
           palette=True, identity="wider_table"),
    Action("hold_sync", "h", "Hold sync", "Hold the fetching of history, or go on", "main",
           palette=True, also=OVER_MAIN),
    Action("choose_dialect", "D", "Dialect", "Write your listings in the other dialect; asks once", "main",
           palette=True, also=OVER_MAIN),
    Action("copy('c')", "c", "Copy CID", "Copy the CID of the block that carries the listing", "main",
           palette=True, identity="copy_cid"),
    Action("retry", "r", "Retry", "Load again", "main", palette=True, also=("detail",)),
    Action("columns(-1)", "left", "Columns left", "Columns further left", "table", identity="columns_left"),
    Action("columns(1)", "right", "Columns right", "Columns further right", "table", identity="columns_right"),
    _go_to("settings", "comma", "Settings", "Theme, columns, density, keys", "settings", footer=True),
    Action("leave", "escape", "Back", "Leave the zoom or the filter, or take the filter away", "main", footer=True),
    Action("edit", "e", "Edit", "Change this listing, if it is yours", "detail", footer=True),
    Action("delist", "d", "Delist", "Remove this listing, if it is yours; asks once", "detail", footer=True),
    Action("copy_menu", "y", "Copy", "Copy its id, CID, JSON or address: i c j m", "detail", footer=True),
    Action("copy('c')", "c", "Copy CID", "Copy the CID of the block that carries it", "detail", identity="copy_cid"),
    Action("mute", "m", "Mute", "Mute its seller, or hear it again", "detail", footer=True),
    Action("block", "X", "Block", "Have nothing to do with its seller, or let it in again; asks once", "detail"),
    Action("back", "escape,q", "Back", "Back to the peers", "peer", footer=True),
    Action("listings", "f", "Its listings", "Filter the market by this peer", "peer",
           footer=True, identity="peer_listings"),
    Action("mute", "m", "Mute", "Mute its listings, or hear it again", "peer", footer=True),
    Action("disconnect", "x", "Disconnect", "Close the connections to it; asks once", "peer", footer=True),
    Action("block", "X", "Block", "Have nothing to do with it, or let it in again; asks once", "peer"),
    Action("copy_menu", "y", "Copy", "Copy its id, its address, or our own: i a o", "peer", footer=True),
    Action("open", "enter", "Open", "Look closer at this line", "list_lines", footer=True),
    Action("back", "escape,q", "Back", "Back to the market", "list_screen", footer=True),
    Action("retry", "r", "Retry", "Ask again", "list_screen"),
    Action("choose", "enter,space", "Choose", "Choose what this line names", "settings", footer=True),
    Action("publish", "n", "Publish", "Publish a listing", "mine", footer=True),
    Action("edit", "e", "Edit", "Change this listing", "mine", footer=True),
    Action("delist", "d", "Delist", "Remove this listing; asks once", "mine", footer=True),
    Action("undo", "U", "Undo delist", "Publish this delisted listing again", "mine", footer=True),
    Action("renew", "u", "Renew", "Publish this listing once more, as it is", "mine", footer=True),
    Action("submit", "f2", "Send", "Check and send the form", "form", footer=True),
    Action("leave", "escape", "Back", "Leave; the draft is kept", "form", footer=True),
    Action("quit", "q", "Quit", "Quit; in the pane of a listing, back to the table", "main",
           footer=True),
    Action("app.suspend", "ctrl+z", "Suspend", "Stop, and leave the terminal to the shell; its fg goes on", "app",
           palette=True),
    Action("app.quit", "ctrl+q", "Quit", "Quit, from everywhere", "app", palette=True, identity="quit_everywhere"),
)

MOVES: tuple[Action, ...] = (
    Action("move(-1)", "up,k", "Up", "One line up", "lines", also=("page",), identity="up"),
    Action("move(1)", "down,j", "Down", "One line down", "lines", also=("page",), identity="down"),
    Action("page(-1)", "pageup", "Page up", "One page up", "lines", also=("page",), identity="page_up"),
    Action("page(1)", "pagedown,space", "Page down", "One page down", "lines", also=("page",), identity="page_down"),
    Action("half_page(-1)", "ctrl+u", "Half up", "Half a page up", "lines", also=("page",), identity="half_page_up"),
    Action("half_page(1)", "ctrl+d", "Half down", "Half a page down", "lines", also=("page",), identity="half_page_down"),
    Action("edge(-1)", "home,g", "Top", "To the first line", "lines", also=("page",), identity="top"),
    Action("edge(1)", "end,G", "Bottom", "To the last line", "lines", also=("page",), identity="bottom"),
)
# fmt: on

SCOPE_TITLES = {
    "app": "Everywhere",
    "main": "Main screen",
    "table": "Listings",
    "lines": "Moving in lists, pages and this help",
    "page": "",
    "log": "Activity",
    "peers": "Peers",
    "detail": "One listing",
    "view": "The page of a listing",
    "peer": "One peer",
    "list_screen": "Replica, mine, log",
    "navigation": "From one place to another",
    "list_lines": "Lines of these places",
    "mine": "Mine",
    "settings": "Settings",
    "form": "Publish and edit",
}
"""The titles in the help; the keys of a scope without one are those of another."""

CHAINS: tuple[tuple[str, ...], ...] = (
    ("app", "main", "table", "lines"),
    ("app", "main", "log", "lines"),
    ("app", "main", "peers", "lines"),
    ("app", "main", "view", "page"),
    ("app", "navigation", "detail", "view", "page"),
    ("app", "navigation", "peer", "page"),
    ("app", "navigation", "list_screen", "list_lines", "lines"),
    ("app", "navigation", "list_screen", "mine", "list_lines", "lines"),
    ("app", "navigation", "list_screen", "settings", "list_lines", "lines"),
    ("app", "form"),
)
"""The scopes whose keys are in force at the same time."""


PANES_OF: dict[str, tuple[str, ...]] = {action.id: action.panes for action in ACTIONS if action.panes}
"""The panes of the main screen in which the footer has an action, by its id; those not named are in all of them."""

SLASHES: dict[str, str] = {
    "/help": "help",
    "/peers": "pane_peers",
    "/status": "place_replica",
    "/agent list": "pane_listings",
    "/agent discover": "filter",
    "/settings": "settings",
    "/exit": "quit_everywhere",
}
"""Commands with a slash, most of them of the upstream program, and the action that each is in the palette."""


def actions_in(scope: str) -> list[Action]:
    """The actions of one scope, in the order of the help: its own first, then those of other scopes."""
    own = [action for action in (*ACTIONS, *MOVES) if action.scope == scope]
    return own + [action for action in (*ACTIONS, *MOVES) if scope in action.also]


def bindings(*scopes: str, first: bool | tuple[str, ...] = False) -> list[Binding]:
    """The bindings of these scopes.

    `first`, true or the names of some actions, takes the keys before the focused widget does. Without it Textual puts
    each key into the queue of the widget that has the focus now, also those typed ahead: the letters of a name, typed
    right after the key that opens the form, would be taken for commands."""
    return [
        Binding(
            key,
            action.name,
            action.label,
            show=action.footer and action.scope == scope and position == 0,
            priority=first if isinstance(first, bool) else action.name in first,
            id=action.id,
        )
        for scope in scopes
        for action in actions_in(scope)
        for position, key in enumerate(action.keys.split(","))
    ]
