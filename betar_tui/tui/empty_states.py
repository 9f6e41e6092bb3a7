"""The states of panes that have nothing to show: the reason, and the next key to press. Pure."""

from betar_tui.market.advice import advice
from betar_tui.market.marketplace import Connectivity
from betar_tui.market.peer_facts import FIRST_LISTINGS, awaits_first_listings, looking_text
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.model import Load, MarketModel
from betar_tui.tui.widgets.pane import PaneState


def listings(model: MarketModel, rows: int, filter_error: str = "") -> PaneState | None:
    """The state of the market; None while there are rows. `filter_error` is what is wrong with the filter that is typed,
    which is not in force then."""
    if rows:
        return None
    keys = model.keys
    publish, connect = keys.name("publish"), keys.name("connect")
    if model.listings_load is Load.LOADING and not model.link_error:
        return PaneState("loading", "Reading the stored listings…")
    error = model.link_error or model.listings_error
    if error and not model.table.total:
        return _error(model, "The listings cannot be read", error)
    if model.table.total and model.table.total == model.table.muted_count and not model.table.window.view.query:
        key = keys.name("filter")
        reason = f"state:muted in the filter ({key}) shows them; {keys.name('mute')} hears a seller again."
        one, total = "The one listing here is from a muted seller", model.table.total
        title = one if total == 1 else f"All {fmt.plural(total, 'listing')} are from muted sellers"
        return PaneState("empty", title, reason, "filter", f"Filter ({key})")
    if model.table.total and filter_error:
        return _wrong_filter(model, filter_error)
    if model.table.total:
        steps = f"{keys.name('filter')} changes the filter, {keys.name('leave')} takes it away."
        return PaneState(
            "empty",
            f"No match among {fmt.plural(model.table.total, 'listing')}",
            "\n".join(filter(None, (_meant(model.table.window.view.query), steps))),
            "unfilter",
            f"Take it away ({keys.name('leave')})",
        )
    later = _later(model)
    if offline := _offline(model, "Offline, and nothing is stored yet", later):
        return offline
    if model.connectivity is Connectivity.FAILED:
        return PaneState("offline", "Nothing is stored yet", later, "publish", f"Publish ({publish})")
    if model.status and awaits_first_listings(model.status, model.peers, model.clock()):
        wait = FIRST_LISTINGS.replace(": ", ":\n")
        reason = f"{wait}.\nPress {publish} to publish your own meanwhile."
        return PaneState("empty", "No listings yet", reason, "publish", f"Publish ({publish})")
    if model.connectivity is Connectivity.ONLINE:
        reason = f"Peers are connected, but nobody lists anything yet.\nBe the first: press {publish}."
        return PaneState("empty", "The market is empty", reason, "publish", f"Publish ({publish})")
    ways = f"Press {connect} to add one by its address, or {publish} to publish your own."
    reason = f"Listings arrive as soon as a peer is found.\n{_search(model)}{ways}"
    return PaneState("empty", "No listings yet", reason, "connect", f"Add a peer ({connect})")


def peers(model: MarketModel) -> PaneState | None:
    """The state of the peers; None while there are some."""
    if model.peers:
        return None
    if model.peers_load is Load.LOADING:
        return PaneState("loading", "Asking for peers…")
    if model.peers_load is Load.FAILED and model.connectivity is not Connectivity.STOPPED:
        return _error(model, "The peers cannot be read", model.peers_error)
    if offline := _offline(model, "Offline"):
        return offline
    connect = model.keys.name("connect")
    own = f"\n{model.keys.name('own_address')} copies your own address, for them to add you." if model.status else ""
    # The keys first: a small pane has no room for the rest.
    reason = f"Press {connect} to add one.{own}\n{_search(model)}".rstrip()
    return PaneState("empty", "No peer is connected", reason, "connect", f"Add a peer ({connect})")


def activity(model: MarketModel, shown: int, filtered: bool) -> PaneState | None:
    """The state of the activity; None while there are lines, or a visible filter that leaves none."""
    if shown or filtered:
        return None
    if len(model.activity):
        reason = f"{model.keys.name('mute')} on a peer or a listing hears its seller again."
        return PaneState("empty", "All of it is from muted sellers", reason)
    if model.link_error:
        return _error(model, "Nothing can be followed", model.link_error)
    if model.status is None:
        return PaneState("loading", "Waiting for the peer…")
    publish = model.keys.name("publish")
    if offline := _offline(model, "Offline", f"Only your own changes show up here: {publish} publishes."):
        return offline
    reason = f"Each change appears here as it is applied: {publish} publishes a listing."
    return PaneState("empty", "Nothing has changed yet", reason)


def detail(model: MarketModel, listing_id: str) -> PaneState | None:
    """The state of the side pane; None while a listing is chosen."""
    if listing_id:
        return None
    if model.listings_load is Load.LOADING and not model.link_error:
        return PaneState("loading", "Reading the stored listings…")
    if error := (model.link_error or model.listings_error) if not model.table.total else "":
        return _error(model, "There is no listing to show", error)
    if not model.table.total:
        reason = f"The one under the cursor is shown here. {model.keys.name('publish')} publishes one of yours."
        return PaneState("empty", "There is no listing to show", reason)
    if not model.table.window.count and not model.table.window.view.query:
        return PaneState("empty", "There is no listing to show", "Every listing here is from a muted seller.")
    if not model.table.window.count:
        return PaneState("empty", "No match", f"{model.keys.name('leave')} takes the filter away.")
    up, down = model.keys.name("up"), model.keys.name("down")
    return PaneState("empty", "No listing is chosen", f"{up} and {down} choose one.")


def replica(model: MarketModel, asked: bool, error: str) -> PaneState:
    """The state of the replica without a delta to show."""
    if error:
        return _error(model, "The deltas cannot be read", error)
    if not asked:
        return PaneState("loading", "Reading the newest deltas…")
    if offline := _offline(
        model, "Offline, and the replica is empty", "A delta appears with the first listing of yours."
    ):
        return offline
    reason = "A delta appears with the first listing, of yours or of a peer."
    return PaneState("empty", "The replica is empty", reason, "retry", f"Look again ({model.keys.name('retry')})")


def mine(model: MarketModel) -> PaneState:
    """The state of the person's own listings when there are none."""
    key = model.keys.name("publish")
    if model.own_load is Load.LOADING and not model.link_error:
        return PaneState("loading", "Reading the stored listings…")
    if error := (model.link_error or model.own_error) if not model.own else "":
        return _error(model, "Your listings cannot be read", error)
    later = _later(model)
    if offline := _offline(model, "Offline, and you have no listings yet", later):
        return offline
    reason = "A listing of yours is announced to every peer, again and again, as long as the program runs."
    reason += f"\nPress {key} to publish one."
    return PaneState("empty", "You have no listings yet", reason, "publish", f"Publish ({key})")


def log(model: MarketModel, asked: bool, error: str) -> PaneState:
    """The state of the log without lines. It is a local file and can be read offline."""
    if error:
        return _error(model, "The log cannot be read", error)
    if not asked:
        return PaneState("loading", "Reading the log…")
    return PaneState("empty", "Nothing was logged yet", "What the peer does is written here as it happens.")


def _wrong_filter(model: MarketModel, error: str) -> PaneState:
    """What is wrong with a filter, and that the last right one, which stays in force, finds nothing."""
    keys, query = model.keys, neutralise(model.table.window.view.query, 60)
    before = f"The rows are those of the last right one, {query}: nothing matches it.\n" if query else ""
    steps = f"{keys.name('filter')} changes the filter, {keys.name('leave')} takes it away."
    return PaneState(
        "error",
        "The filter is not understood",
        f"{neutralise(error, 200)}\n{before}{steps}",
        "unfilter",
        f"Take it away ({keys.name('leave')})",
    )


def _meant(query: str) -> str:
    """What a filter that finds nothing was perhaps meant to say."""
    text = neutralise(advice(query), 200)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _search(model: MarketModel) -> str:
    """What is done to find peers, as a line of its own; empty while that is not known."""
    if not model.alone or model.status is None:
        return ""
    text = looking_text(model.status, model.clock())
    return f"{neutralise(text, 300)}.\n" if text else ""


def _later(model: MarketModel) -> str:
    """What becomes of a publish without a network."""
    return f"What you publish is stored and goes out later: press {model.keys.name('publish')}."


def _offline(model: MarketModel, title: str, more: str = "") -> PaneState | None:
    """The state of a pane without a network; None if there is one."""
    why = model.status.offline if model.status else ""
    if not why and model.connectivity is not Connectivity.STOPPED:
        return None
    key = model.keys.name("go_online")
    step = "takes a free port" if model.status and model.status.port_taken else "tries again" if why else "opens one"
    text = neutralise(why or model.peers_error, 300) or "no network is open"
    reason = "\n".join(filter(None, (f"{text[:1].upper()}{text[1:]}.", f"Press {key}: it {step}.", more)))
    return PaneState("offline", title, reason, "go_online", f"Go online ({key})")


def _error(model: MarketModel, title: str, reason: str) -> PaneState:
    if model.gone:
        key = model.keys.name("go_online")
        return PaneState(
            "error", title, f"The peer is gone.\nPress {key} to run it here.", "go_online", f"Run it ({key})"
        )
    return PaneState("error", title, neutralise(reason, 300), "retry", f"Try again ({model.keys.name('retry')})")
