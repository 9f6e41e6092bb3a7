"""The actions on the listing or the peer that is selected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betar_tui.tui.listing_actions import ListingActions

if TYPE_CHECKING:
    from betar_tui.tui.widgets.peers import PeerTable


class SelectionActions:
    """A mixin of the main screen, which knows what is selected."""

    _actions: ListingActions
    _pane: str
    """The name of the pane that has the focus."""
    _peers: PeerTable
    """Present once the panes are mounted."""

    @property
    def current(self) -> str:
        """The id of the listing under the table's cursor, or nothing."""
        raise NotImplementedError

    @property
    def focused_listing_id(self) -> str:
        """The id of the listing under the cursor of the focused pane, or nothing."""
        raise NotImplementedError

    def disabled_reason(self, action: str) -> str:
        """Why an action is not allowed now; empty if it is."""
        raise NotImplementedError

    def filter_by(self, text: str | None) -> None:
        """Set the filter of the table; None leaves it as it is."""
        raise NotImplementedError

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
        """Copy one thing of the focused listing."""
        if self._pane == "peers":
            # The listing may be out of sight there.
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
        """Mute a seller, or unmute it."""
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
            self.filter_by(f"seller:{peer}")

    def action_connect(self) -> None:
        """Add a peer."""
        self._actions.peers.connect()
