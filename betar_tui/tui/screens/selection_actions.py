"""The actions on the selected listing, or on the selected peer."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from betar_tui.tui.listing_actions import ListingActions
from betar_tui.tui.model import MarketModel

if TYPE_CHECKING:
    from betar_tui.tui.context import ScreenContext
    from betar_tui.tui.widgets.detail import DetailView
    from betar_tui.tui.widgets.peers import PeerTable


class SelectionActions:
    """A mixin of the screens that have one; where `_pane`, the focused pane, is that of the peers, a peer is meant."""

    _actions: ListingActions
    _model: MarketModel
    context: ScreenContext
    _pane = "listings"
    _peers: PeerTable

    @property
    @abstractmethod
    def current(self) -> str:
        """The id of the selected listing, or nothing."""

    @property
    def focused_listing_id(self) -> str:
        """The id of the listing under the cursor of the focused pane, or nothing."""
        return self.current

    def disabled_reason(self, action: str) -> str:
        """Why an action is not allowed now; empty if it is."""
        return self._actions.disabled_reason(action, self.current)

    @property
    def selected_peer(self) -> str:
        """The id of the peer that muting and blocking are about, or nothing."""
        if self._pane == "peers":
            return self._peers.current
        listing = self._model.listing(self.focused_listing_id)
        return listing.seller_id if listing else ""

    def on_detail_view_versions_wanted(self, event: DetailView.VersionsWanted) -> None:
        self.context.open_screen("versions", event.detail)

    def action_versions(self) -> None:
        self._actions.versions(self.current)

    def action_publish(self) -> None:
        self._actions.publish()

    def action_edit(self) -> None:
        if reason := self.disabled_reason("edit"):
            self._actions.refuse("edit", self.current, reason)
            return
        self._actions.edit(self.current)

    def action_delist(self) -> None:
        """Delist the selected listing; asks once."""
        if reason := self.disabled_reason("delist"):
            self._actions.refuse("delist", self.current, reason)
            return
        self._actions.delist(self.current)

    def action_connect(self) -> None:
        self._actions.peers.connect()

    def action_disconnect(self) -> None:
        """Close the connections to the selected peer; asks once."""
        self._actions.peers.disconnect(self._peers.current)

    def action_copy(self, what: str) -> None:
        if self._pane == "peers":
            # The listing may be out of sight there.
            self.action_copy_menu()
        else:
            self._actions.copy(what, self.focused_listing_id)

    def action_copy_menu(self) -> None:
        if self._pane == "peers":
            self._actions.peers.copy(self._peers.current)
        else:
            self._actions.copy("", self.focused_listing_id)

    def action_mute(self) -> None:
        if self._pane == "peers":
            self._actions.peers.mute(self._peers.current)
        else:
            self._actions.mute(self.focused_listing_id)

    def action_block(self) -> None:
        if self._pane == "peers":
            self._actions.peers.block(self._peers.current)
        else:
            self._actions.block(self.focused_listing_id)
