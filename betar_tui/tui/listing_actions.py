"""The actions on listings, for all screens: publish, edit, delist, copy, mute; and those on the own peer as a whole.

Workers call the marketplace. The outcome shows as a notification or a line of the activity, and later as an event, like
a change of any other peer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.message import Message

from betar_tui.errors import BetarError, UnknownListingError
from betar_tui.market.marketplace import Listing, ListingPatch, Receipt
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.announcements import other_dialect
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.copying import Copying
from betar_tui.tui.draft_offers import DraftOffers
from betar_tui.tui.drafts import Drafts
from betar_tui.tui.model import ONLY_SELLER, MarketModel, News
from betar_tui.tui.options import TuiOptions
from betar_tui.tui.peer_actions import PeerActions
from betar_tui.tui.saved_filters import SavedFilters
from betar_tui.tui.screens.dialogues import ConfirmScreen
from betar_tui.tui.toasts import ToastingApp
from betar_tui.tui.undo import Delisted
from betar_tui.tui.workers import start

if TYPE_CHECKING:
    from textual.screen import Screen

    from betar_tui.tui.widgets.detail import DetailView

PENDING = "No peer is connected: it is pending and goes out when one is"

SELLER_ACTIONS = {"edit": "edited", "delist": "delisted"}
"""The actions that only the seller of a listing may do, each with its participle."""


class ListingActions:
    """`open_screen` is that of the app; `sync` shows news of the model on all screens."""

    class Published(Message):
        """The person has published this listing, or has changed it."""

        def __init__(self, listing_id: str) -> None:
            super().__init__()
            self.listing_id = listing_id

    def __init__(
        self,
        app: ToastingApp,
        model: MarketModel,
        bridge: Bridge,
        open_screen: Callable[..., None],
        sync: Callable[[News], None],
        options: TuiOptions,
    ) -> None:
        self._app, self._model, self._bridge = app, model, bridge
        self._open_screen, self._sync = open_screen, sync
        self._copying = Copying(app, bridge, self.notify)
        self.peers = PeerActions(app, model, bridge, self._copying, sync, self.notify)
        self.filters = SavedFilters(app, model.settings, self.notify)
        self.drafts = Drafts(app, options.drafts, options.keep_drafts, self._draft_failed)
        self.offers = DraftOffers(app, bridge, self.drafts, lambda: model.keys, options.own_peer, self._say)

    def disabled_reason(self, action: str, listing_id: str) -> str:
        """Why an action on this listing is not allowed; empty if it is."""
        if action not in SELLER_ACTIONS:
            return ""
        return self._model.own_disabled_reason(self._model.listing(listing_id))

    def publish(self) -> None:
        """Open the form for a new listing."""
        self._open_form(None)

    def edit(self, listing_id: str) -> None:
        """Open the form for an own listing, or notify why not."""
        if listing := self._own("edit", listing_id):
            self._open_form(listing)

    def _open_form(self, listing: Listing | None) -> None:
        self._open_screen("form", self.drafts, listing, then=self._published)

    def _say(self, text: str) -> None:
        self.notify(text)
        self._note(text)

    def _draft_failed(self, error: str) -> None:
        self.notify(neutralise(error, 300), "error")

    def delist(self, listing_id: str) -> None:
        """Ask once, then remove an own listing; or notify why not."""
        listing = self._own("delist", listing_id)
        if listing is None:
            return
        name = neutralise(listing.name, 60)
        question = ConfirmScreen(
            f"Delist {name}?",
            f"{neutralise(listing.id, 120)}\nIt disappears from the market at every peer. "
            f"{self._model.keys.name('undo')} publishes it again.",
            "Delist it",
        )

        def answered(yes: bool | None) -> None:
            if yes:
                start(self._app, partial(self._remove, listing), group="delist", exclusive=False)

        self._app.push_screen(question, answered)

    def undo(self, listing_id: str = "") -> None:
        """Publish a listing again that was delisted in this run, the last one if none is named."""
        delisted = self._model.delisted
        found = delisted.get(listing_id) if listing_id else delisted.newest(self._model.clock())
        if found is None:
            mine = self._model.keys.name("place_mine")
            self.notify(
                f"Nothing was delisted in the last minute; {mine} also shows what you delisted earlier in this run",
                "warning",
            )
        else:
            delisted.begin(found.listing.id)
            self._sync(News(status=True))
            start(self._app, partial(self._restore, found), group="undo", exclusive=False)

    def renew(self, listing_id: str) -> None:
        """Publish an own listing once more, as it is."""
        if listing := self._own("edit", listing_id):
            start(self._app, partial(self._renew, listing), group="renew", exclusive=False)

    def copy(self, what: str, listing_id: str) -> None:
        """Copy the id (i), CID (c), JSON (j) or multiaddr (m) of a listing, or ask which if `what` is empty."""
        listing = self._model.listing(listing_id)
        if listing is None:
            self.notify("Nothing to copy: no listing is chosen", "warning")
        elif what:
            self._copying.of_listing(listing, what)
        else:
            self._copying.listing(listing)

    def mute(self, listing_id: str) -> None:
        """Mute the seller of a listing, or show its listings again."""
        listing = self._model.listing(listing_id)
        self.peers.mute(listing.seller_id if listing else "")

    def block(self, listing_id: str) -> None:
        """Have nothing to do with the seller of a listing, or let it in again."""
        listing = self._model.listing(listing_id)
        self.peers.block(listing.seller_id if listing else "")

    def choose_dialect(self) -> None:
        """Ask once, then write own listings in the other dialect."""
        if self._model.status is None:
            return
        other = other_dialect(self._model.status)
        others = "every Go peer, and this program, reads them" if other == "betar-go" else "Go peers hide them"
        consequence = (
            f"{{}} of yours: stored once more, and written so from now on; {others}. "
            "It is kept in config.toml and can be changed back."
        )
        question = ConfirmScreen(
            f"Write your listings in {other}?", consequence.format("All listings"), "Write them so", "Leave it"
        )

        def answered(yes: bool | None) -> None:
            if yes:
                start(self._app, partial(self._choose_dialect, other), group="dialect")

        self._app.push_screen(question, answered)
        start(self._app, partial(self._count_own, question, consequence), group="count-own")

    async def _count_own(self, question: ConfirmScreen, consequence: str) -> None:
        try:
            count = await self._bridge.count("state:mine")
        except BetarError as error:
            self.notify(f"Your listings cannot be counted: {neutralise(str(error), 200)}", "warning")
        else:
            question.explain(consequence.format(fmt.plural(count, "listing")))

    def hold_sync(self) -> None:
        """Hold the fetching of history, or go on."""
        held = bool(self._model.status and self._model.status.sync_held)
        start(self._app, partial(self._hold_sync, not held), group="hold")

    def fetch(self, view: DetailView, listing_id: str) -> None:
        """Ask the peer for a listing's history and hand it to the view."""
        start(self._app, partial(self._fetch, view, listing_id), group=f"show-{id(view)}")

    def versions(self, listing_id: str) -> None:
        """Ask the peer for a listing's versions and open them, unless the person has gone elsewhere meanwhile."""
        if listing_id:
            start(self._app, partial(self._versions, listing_id, self._app.screen), group="versions")

    def look_up(self, listing_id: str) -> None:
        """Have a listing at hand that is chosen outside of the table."""
        if listing_id and self._model.listing(listing_id) is None and self._model.table.is_listed(listing_id):
            start(self._app, partial(self._look_up, listing_id), group="look-up")

    def notify(self, text: str, severity: Any = "information", about: str = "") -> None:
        """A notification; `text` is plain. It takes the place of an earlier one `about` the same thing."""
        if about:
            self._app.notify_about(about, text, severity)
        else:
            self._app.notify(text, severity=severity, markup=False)

    def _own(self, action: str, listing_id: str) -> Listing | None:
        if reason := self.disabled_reason(action, listing_id):
            self.refuse(action, listing_id, reason)
            return None
        return self._model.listing(listing_id)

    def refuse(self, action: str, listing_id: str, reason: str) -> None:
        """Notify why an action is not allowed."""
        listing = self._model.listing(listing_id)
        name = f"{neutralise(listing.name, 40)} cannot be {SELLER_ACTIONS[action]}: " if listing else ""
        seller = f" ({fmt.short_id(listing.seller_id)})" if listing and reason == ONLY_SELLER else ""
        self.notify(f"{name}{reason}{seller}", "warning")

    def _published(self, sent: tuple[str, Receipt] | None) -> None:
        if sent is None:
            return
        name, receipt = sent
        self._show(receipt)
        if not receipt.sent_to:
            self.notify(f"{name} is stored. {PENDING}", "warning", receipt.id)
        elif self._model.activity.paused:  # it does not show the receipt now
            self.notify(f"{name} is stored, sent to {fmt.plural(receipt.sent_to, 'peer')}", about=receipt.id)

    def _show(self, receipt: Receipt) -> None:
        self._sync(self._model.stored(receipt))
        self._app.post_message(self.Published(receipt.id))

    async def _renew(self, listing: Listing) -> None:
        name = neutralise(listing.name, 60)
        try:
            receipt = await self._bridge.update(listing.id, ListingPatch())
        except BetarError as error:
            self.notify(f"{name} is as it was: {neutralise(str(error), 200)}", "error", listing.id)
            return
        self._sync(self._model.stored(receipt))
        sent = f"sent to {fmt.plural(receipt.sent_to, 'peer')}" if receipt.sent_to else PENDING
        self.notify(f"{name} is stored once more. {sent[:1].upper()}{sent[1:]}", about=listing.id)

    async def _remove(self, listing: Listing) -> None:
        name = neutralise(listing.name, 60)
        try:
            # What a metadata file says is gone with the listing.
            named = isinstance(listing.metadata, str)
            document = (await self._bridge.show(listing.id)).document if named else None
            receipt = await self._bridge.delist(listing.id)
        except BetarError as error:
            self.notify(f"{name} is still listed: {neutralise(str(error), 200)}", "error", listing.id)
            return
        undo = self._model.keys.name("undo")
        again = f"{undo} publishes it again"
        if not self._model.delisted.add(listing, document, self._model.clock()):
            again = f"{undo} cannot publish it again: its metadata file is not here"
        self.offers.delisted(listing.id)
        self._sync(self._model.stored(receipt))
        if receipt.sent_to:
            self.notify(f"{name} is delisted. {again}", about=listing.id)
        else:
            self.notify(f"{name} is delisted here. {PENDING}. {again}", "warning", listing.id)

    async def _restore(self, delisted: Delisted) -> None:
        name, listing_id = neutralise(delisted.listing.name, 60), delisted.listing.id
        try:
            (receipt,) = await self._bridge.publish([delisted.draft])
        except BetarError as error:
            self._model.delisted.failed(listing_id)
            self._sync(News(status=True))
            self.notify(f"{name} is not published again: {neutralise(str(error), 200)}", "error", listing_id)
            return
        self._model.delisted.forget(listing_id)
        self.offers.restored(listing_id)
        self._show(receipt)
        if receipt.sent_to:
            self.notify(f"{name} is published again", about=listing_id)
        else:
            self.notify(f"{name} is published again. {PENDING}", "warning", listing_id)

    async def _look_up(self, listing_id: str) -> None:
        try:
            found = await self._bridge.find((listing_id,))
        except BetarError as error:
            self.notify(f"The listing cannot be had: {neutralise(str(error), 200)}", "error")
            return
        for listing in found:
            self._model.table.remember(listing)
        if not found:
            self._model.table.lost(listing_id)

    async def _fetch(self, view: DetailView, listing_id: str) -> None:
        try:
            detail = await self._bridge.show(listing_id)
            if listing_id not in self._model.table.window:
                self._model.table.remember(detail.listing)
            view.post_message(view.Loaded(listing_id, detail))
        except UnknownListingError as error:
            self._model.table.lost(listing_id)
            view.post_message(view.Loaded(listing_id, None, neutralise(str(error), 200)))
        except BetarError as error:
            view.post_message(view.Loaded(listing_id, None, neutralise(str(error), 200)))

    async def _versions(self, listing_id: str, screen: Screen[Any]) -> None:
        try:
            detail = await self._bridge.show(listing_id)
        except BetarError as error:
            self.notify(f"The versions cannot be had: {neutralise(str(error), 200)}", "error")
            return
        if self._app.screen is screen:
            self._open_screen("versions", detail)

    async def _choose_dialect(self, dialect: str) -> None:
        try:
            await self._bridge.choose_dialect(dialect)
        except BetarError as error:
            self.notify(f"The dialect is unchanged: {neutralise(str(error), 200)}", "error")
            return
        self._note(f"Your listings are written in {dialect} from now on")

    async def _hold_sync(self, held: bool) -> None:
        try:
            await self._bridge.hold_sync(held)
        except BetarError as error:
            self.notify(f"Nothing is held or let go: {neutralise(str(error), 200)}", "error")
            return
        self._note("The fetching of history is held" if held else "The fetching of history goes on")

    def _note(self, text: str) -> None:
        self._model.activity.notice("info", text, self._model.clock())
        self._sync(News(activity=True, status=True))
