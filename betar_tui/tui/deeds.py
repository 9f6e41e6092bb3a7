"""What a person does to listings: publish, edit, delist, copy, look at. Screens and keys lead here.

The marketplace is asked in workers; what it answers comes back as a notification, a line of the activity, and later
as an event like anybody else's change.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.app import App

from betar_tui.errors import BetarError
from betar_tui.market.marketplace import DelistReceipt, Listing, PeerInfo, Receipt
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.form import FormValues
from betar_tui.tui.model import ONLY_SELLER, MarketModel, News
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.screens.dialogues import ConfirmScreen, ConnectScreen
from betar_tui.tui.screens.publish import FormScreen
from betar_tui.tui.widgets.detail import DetailView
from betar_tui.tui.workers import start

OWN_ACTIONS = {"edit": "edited", "delist": "delisted"}


class Deeds:
    """The actions on listings, for all screens."""

    def __init__(
        self, app: App[None], model: MarketModel, bridge: Bridge, options: TuiOptions, tell: Callable[[News], None]
    ) -> None:
        self._app, self._model, self._bridge, self._options = app, model, bridge, options
        self.bridge = bridge
        self._tell = tell
        self._drafts: dict[str, FormValues] = {}

    def why_not(self, action: str, listing_id: str) -> str:
        """Why an action on this listing is not allowed; empty if it is."""
        if action not in OWN_ACTIONS:
            return ""
        return self._model.why_not_own(self._model.listing(listing_id))

    def publish(self) -> None:
        """Open the form for a new listing."""
        screen = FormScreen(self._model, self._bridge, self._options, self._drafts)
        self._app.push_screen(screen, lambda receipt: self._published(screen, receipt))

    def edit(self, listing_id: str) -> None:
        """Open the form for an own listing, or say why not."""
        listing = self._own("edit", listing_id)
        if listing is None:
            return
        screen = FormScreen(self._model, self._bridge, self._options, self._drafts, listing)
        self._app.push_screen(screen, lambda receipt: self._published(screen, receipt))

    def delist(self, listing_id: str) -> None:
        """Ask once, then remove an own listing; or say why not."""
        listing = self._own("delist", listing_id)
        if listing is None:
            return
        name = neutralise(listing.name, 60)
        question = ConfirmScreen(
            f"Delist {name}?",
            f"{neutralise(listing.id, 120)}\nIt disappears from the market at every peer. It can be published again.",
            "Delist it",
        )

        def answered(yes: bool | None) -> None:
            if yes:
                start(self._app, partial(self._remove, listing), group="delist", exclusive=False)

        self._app.push_screen(question, answered)

    def copy(self, what: str, listing_id: str) -> None:
        """Copy the id or the CID to the clipboard, through the terminal (OSC 52)."""
        listing = self._model.listing(listing_id)
        if listing is None:
            self.say("Nothing to copy: no listing is chosen", "warning")
            return
        text = neutralise(listing.cid if what == "cid" else listing.id)
        self._app.copy_to_clipboard(text)
        self.say(f"Copied {fmt.short_cid(text) if what == 'cid' else neutralise(text, 80)}")

    def connect(self) -> None:
        """Ask for a peer's address and dial it."""
        self._app.push_screen(ConnectScreen(self._bridge), self._connected)

    def fetch(self, view: DetailView, listing_id: str) -> None:
        """Ask the peer for a listing's history and hand it to the view."""
        start(self._app, partial(self._fetch, view, listing_id), group=f"show-{id(view)}")

    def say(self, text: str, severity: Any = "information") -> None:
        """A notification; `text` is plain."""
        self._app.notify(text, severity=severity, markup=False)

    def _own(self, action: str, listing_id: str) -> Listing | None:
        if reason := self.why_not(action, listing_id):
            self.refuse(action, listing_id, reason)
            return None
        return self._model.listing(listing_id)

    def refuse(self, action: str, listing_id: str, reason: str) -> None:
        """Say why an action is not allowed."""
        listing = self._model.listing(listing_id)
        name = f"{neutralise(listing.name, 40)} cannot be {OWN_ACTIONS[action]}: " if listing else ""
        seller = f" ({fmt.short_id(listing.seller_id)})" if listing and reason == ONLY_SELLER else ""
        self.say(f"{name}{reason}{seller}", "warning")

    def _published(self, screen: FormScreen, receipt: Receipt | None) -> None:
        if receipt is None:
            return
        if receipt.sent_to == 0:
            self._model.waiting.add(receipt.id)
        self._report(fmt.sent(screen.sent_name, receipt.sent_to))

    async def _remove(self, listing: Listing) -> None:
        name = neutralise(listing.name, 60)
        try:
            receipt: DelistReceipt = await self._bridge.delist(listing.id)
        except BetarError as error:
            self.say(f"{name} is still listed: {neutralise(str(error), 200)}", "error")
            return
        self._model.waiting.discard(listing.id)
        where = f"sent to {fmt.plural(receipt.sent_to, 'peer')}" if receipt.sent_to else "no peer is connected yet"
        self._report(f"{name} is delisted, {where}")

    async def _fetch(self, view: DetailView, listing_id: str) -> None:
        try:
            view.post_message(DetailView.Told(listing_id, await self._bridge.show(listing_id)))
        except BetarError as error:
            view.post_message(DetailView.Told(listing_id, None, neutralise(str(error), 200)))

    def _connected(self, peer: PeerInfo | None) -> None:
        if peer is not None:
            agent = f", {neutralise(peer.agent, 40)}" if peer.agent else ""
            self._report(f"Connected to {fmt.short_id(peer.peer_id)}{agent}")

    def _report(self, text: str) -> None:
        """Say it now, and keep it in the activity."""
        self.say(text)
        self._model.activity.notice("info", text, self._model.clock())
        self._tell(News(activity=True, status=True))
