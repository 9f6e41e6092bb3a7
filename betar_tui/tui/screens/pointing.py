"""What keys do to the listing or the peer that is pointed at; where that is, the main screen knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betar_tui.tui.screens.live import LiveScreen

if TYPE_CHECKING:
    from betar_tui.tui.widgets.peers import PeerTable


class PointingScreen(LiveScreen[None]):
    """The actions on one listing or one peer. `_pane` names the pane in hand, `_peers` is there once panes are."""

    _pane: str
    _peers: PeerTable

    @property
    def current(self) -> str:
        """The id of the chosen listing, or nothing."""
        return ""

    @property
    def pointed(self) -> str:
        """The id of the listing under the cursor of the pane in hand."""
        return self.current

    def why_not(self, action: str) -> str:
        """Why an action is not allowed now; empty if it is."""
        return ""

    def _filter_by(self, text: str | None) -> None:
        """Show what meets a filter; None leaves all as it is."""

    # Actions

    def action_publish(self) -> None:
        """Publish a listing."""
        self._deeds.publish()

    def action_edit(self) -> None:
        """Edit the chosen listing."""
        if reason := self.why_not("edit"):
            self._deeds.refuse("edit", self.current, reason)
            return
        self._deeds.edit(self.current)

    def action_delist(self) -> None:
        """Delist the chosen listing."""
        if reason := self.why_not("delist"):
            self._deeds.refuse("delist", self.current, reason)
            return
        self._deeds.delist(self.current)

    def action_copy(self, what: str) -> None:
        """Copy one thing of the chosen listing."""
        if self._pane == "peers":
            # No listing is pointed at there, least of all one that may be out of sight.
            self.action_copy_menu()
        else:
            self._deeds.copy(what, self.pointed)

    def action_copy_menu(self) -> None:
        """Ask what to copy of the listing, or of the peer."""
        if self._pane == "peers":
            self._deeds.peers.copy(self._peers.current)
        else:
            self._deeds.copy("", self.pointed)

    def action_mute(self) -> None:
        """Mute a seller, or hear it again."""
        if self._pane == "peers":
            self._deeds.peers.mute(self._peers.current)
        else:
            self._deeds.mute(self.pointed)

    def action_disconnect(self) -> None:
        """Close the connections to the chosen peer."""
        self._deeds.peers.disconnect(self._peers.current)

    def action_peer_listings(self) -> None:
        """Show the listings of the chosen peer."""
        if peer := self._peers.current:
            self._filter_by(f"seller:{peer}")

    def action_connect(self) -> None:
        """Add a peer."""
        self._deeds.peers.connect()
