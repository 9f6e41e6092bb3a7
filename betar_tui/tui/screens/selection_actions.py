"""What keys do to the listing or the peer that is focused_listing_id at; where that is, the main screen knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betar_tui.tui.screens.model_screen import ModelScreen

if TYPE_CHECKING:
    from betar_tui.tui.widgets.peers import PeerTable


class SelectionActions(ModelScreen[None]):
    """The actions on one listing or one peer. `_pane` names the pane in hand, `_peers` is there once panes are."""

    _pane: str
    _peers: PeerTable

    @property
    def current(self) -> str:
        """The id of the chosen listing, or nothing."""
        return ""

    @property
    def focused_listing_id(self) -> str:
        """The id of the listing under the cursor of the pane in hand."""
        return self.current

    def disabled_reason(self, action: str) -> str:
        """Why an action is not allowed now; empty if it is."""
        return ""

    def _filter_by(self, text: str | None) -> None:
        """Show what meets a filter; None leaves all as it is."""

    # Actions

    def action_publish(self) -> None:
        """Publish a listing."""
        self._actions.publish()

    def action_edit(self) -> None:
        """Edit the chosen listing."""
        if reason := self.disabled_reason("edit"):
            self._actions.refuse("edit", self.current, reason)
            return
        self._actions.edit(self.current)

    def action_delist(self) -> None:
        """Delist the chosen listing."""
        if reason := self.disabled_reason("delist"):
            self._actions.refuse("delist", self.current, reason)
            return
        self._actions.delist(self.current)

    def action_copy(self, what: str) -> None:
        """Copy one thing of the chosen listing."""
        if self._pane == "peers":
            # No listing is focused_listing_id at there, least of all one that may be out of sight.
            self.action_copy_menu()
        else:
            self._actions.copy(what, self.focused_listing_id)

    def action_copy_menu(self) -> None:
        """Ask what to copy of the listing, or of the peer."""
        if self._pane == "peers":
            self._actions.peers.copy(self._peers.current)
        else:
            self._actions.copy("", self.focused_listing_id)

    def action_mute(self) -> None:
        """Mute a seller, or hear it again."""
        if self._pane == "peers":
            self._actions.peers.mute(self._peers.current)
        else:
            self._actions.mute(self.focused_listing_id)

    def action_disconnect(self) -> None:
        """Close the connections to the chosen peer."""
        self._actions.peers.disconnect(self._peers.current)

    def action_peer_listings(self) -> None:
        """Show the listings of the chosen peer."""
        if peer := self._peers.current:
            self._filter_by(f"seller:{peer}")

    def action_connect(self) -> None:
        """Add a peer."""
        self._actions.peers.connect()
