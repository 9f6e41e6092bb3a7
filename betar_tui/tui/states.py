"""What a pane says where it has nothing to show: why, and the next key to press. Pure."""

from __future__ import annotations

from betar_tui.market.marketplace import Connectivity
from betar_tui.market.text import neutralise
from betar_tui.tui.model import Load, MarketModel
from betar_tui.tui.widgets.pane import PaneState


def listings(model: MarketModel, rows: int) -> PaneState | None:
    """The market's state; None while rows can be shown."""
    if rows:
        return None
    keys = model.keys
    publish, connect = keys.name("publish"), keys.name("connect")
    if model.listings_load is Load.LOADING and not model.link_error:
        return PaneState("loading", "Reading the stored listings…")
    error = model.link_error or model.listings_error
    if error and not len(model.index):
        return _error(model, "The listings cannot be read", error)
    if len(model.index):
        return PaneState(
            "empty",
            f"None of {len(model.index):,} listings matches",
            f"The filter leaves nothing. {keys.name('filter')} changes it, {keys.name('leave')} takes it away.",
            "leave",
            f"Take it away ({keys.name('leave')})",
        )
    if model.connectivity in (Connectivity.STOPPED, Connectivity.FAILED):
        later = f"What you publish is stored and goes out later: press {publish}."
        why = f"No network runs here, so nothing can arrive.\n{later}"
        return PaneState("offline", "Offline, and nothing is stored yet", why, "publish", f"Publish ({publish})")
    if model.connectivity is Connectivity.ONLINE:
        why = f"Peers are connected, but nobody lists anything yet.\nBe the first: press {publish}."
        return PaneState("empty", "The market is empty", why, "publish", f"Publish ({publish})")
    ways = f"Press {connect} to add one by its address, or {publish} to publish your own."
    why = f"Listings arrive as soon as a peer is found.\n{ways}"
    return PaneState("empty", "No listings yet", why, "connect", f"Add a peer ({connect})")


def peers(model: MarketModel) -> PaneState | None:
    """The peers' state; None while there are some."""
    if model.peers:
        return None
    if model.peers_load is Load.LOADING:
        return PaneState("loading", "Asking for peers…")
    if model.connectivity is Connectivity.STOPPED:
        why = neutralise(model.peers_error, 300) or "No network runs here."
        return PaneState("offline", "Offline", why, "retry", f"Try again ({model.keys.name('retry')})")
    if model.peers_load is Load.FAILED:
        return _error(model, "The peers cannot be read", model.peers_error)
    connect = model.keys.name("connect")
    why = f"Looking on the local network, at the bootstrap addresses and at known peers.\nPress {connect} to add one."
    return PaneState("empty", "No peers yet", why, "connect", f"Add a peer ({connect})")


def activity(model: MarketModel) -> PaneState | None:
    """The activity's state; None while there are lines."""
    if len(model.activity):
        return None
    if model.link_error:
        return _error(model, "Nothing can be followed", model.link_error)
    if model.connectivity is Connectivity.STOPPED:
        why = f"Only your own changes show up here: press {model.keys.name('publish')} to publish."
        return PaneState("offline", "Offline", why)
    return PaneState("empty", "Nothing has changed yet", "Each delta appears here as it is applied.")


def detail(model: MarketModel, listing_id: str) -> PaneState | None:
    """The side pane's state; None while a listing is chosen."""
    if listing_id:
        return None
    return PaneState(
        "empty", "No listing is chosen", f"{model.keys.name('up')} and {model.keys.name('down')} choose one."
    )


def _error(model: MarketModel, what: str, why: str) -> PaneState:
    return PaneState("error", what, neutralise(why, 300), "retry", f"Try again ({model.keys.name('retry')})")
