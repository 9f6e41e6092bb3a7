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
    if model.listings_load is Load.LOADING and not model.link_error:
        return PaneState("loading", "Reading the stored listings…")
    error = model.link_error or model.listings_error
    if error and not len(model.index):
        return _error("The listings cannot be read", error)
    if len(model.index):
        return PaneState(
            "empty",
            f"None of {len(model.index):,} listings matches",
            "The filter leaves nothing. / changes it, Esc takes it away.",
            "leave",
            "Take it away (Esc)",
        )
    if model.connectivity in (Connectivity.STOPPED, Connectivity.FAILED):
        why = "No network runs here, so nothing can arrive.\nWhat you publish is stored and goes out later: press n."
        return PaneState("offline", "Offline, and nothing is stored yet", why, "publish", "Publish (n)")
    if model.connectivity is Connectivity.ONLINE:
        why = "Peers are connected, but nobody lists anything yet.\nBe the first: press n."
        return PaneState("empty", "The market is empty", why, "publish", "Publish (n)")
    why = "Listings arrive as soon as a peer is found.\nPress a to add one by its address, or n to publish your own."
    return PaneState("empty", "No listings yet", why, "connect", "Add a peer (a)")


def peers(model: MarketModel) -> PaneState | None:
    """The peers' state; None while there are some."""
    if model.peers:
        return None
    if model.peers_load is Load.LOADING:
        return PaneState("loading", "Asking for peers…")
    if model.connectivity is Connectivity.STOPPED:
        why = neutralise(model.peers_error, 300) or "No network runs here."
        return PaneState("offline", "Offline", why, "retry", "Try again (r)")
    if model.peers_load is Load.FAILED:
        return _error("The peers cannot be read", model.peers_error)
    why = "Looking on the local network, at the bootstrap addresses and at known peers.\nPress a to add one."
    return PaneState("empty", "No peers yet", why, "connect", "Add a peer (a)")


def activity(model: MarketModel) -> PaneState | None:
    """The activity's state; None while there are lines."""
    if len(model.activity):
        return None
    if model.link_error:
        return _error("Nothing can be followed", model.link_error)
    if model.connectivity is Connectivity.STOPPED:
        return PaneState("offline", "Offline", "Only your own changes show up here: press n to publish.")
    return PaneState("empty", "Nothing has changed yet", "Each delta appears here as it is applied.")


def detail(model: MarketModel, listing_id: str) -> PaneState | None:
    """The side pane's state; None while a listing is chosen."""
    if listing_id:
        return None
    return PaneState("empty", "No listing is chosen", "↑ and ↓ choose one.")


def _error(what: str, why: str) -> PaneState:
    return PaneState("error", what, neutralise(why, 300), "retry", "Try again (r)")
