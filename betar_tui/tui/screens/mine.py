"""The own listings, each with its state: announced, pending, healed."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from betar_tui.choices import CURRENCY
from betar_tui.errors import BetarError
from betar_tui.market.filter import STALE_AFTER
from betar_tui.market.marketplace import Listing, ListingPage
from betar_tui.market.text import neutralise
from betar_tui.tui import empty_states
from betar_tui.tui import format as fmt
from betar_tui.tui.format import fit
from betar_tui.tui.keybindings import bindings
from betar_tui.tui.messages import Retry
from betar_tui.tui.model import MarketModel, News
from betar_tui.tui.screens.list_screen import ListScreen
from betar_tui.tui.undo import Delisted
from betar_tui.tui.widgets.lines import Span
from betar_tui.tui.window import MAX_PAGE
from betar_tui.tui.workers import runs, start

MAX_OWN = 5_000
"""Maximum own listings that are shown."""


class MineScreen(ListScreen):
    """One line per listing; Enter edits it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("mine", first=True)]
    TITLE = "Mine"
    SCOPE = "mine"

    _due = False
    _wanted = ""

    @property
    def current(self) -> str:
        """The id of the chosen listing, or nothing."""
        own = self._own()
        return own[self.lines.cursor].id if self.lines.cursor < len(own) else ""

    def show(self) -> None:
        """Draw the listings."""
        own = self._own()
        pending = sum(listing.id in self._model.receipts.pending for listing in own)
        parts = [fmt.plural(len(own), "listing") + (f", prices in {CURRENCY}" if own else "")]
        parts += [f"{pending} pending"] if pending else []
        parts += [f"{len(gone)} delisted in this run"] if (gone := self._delisted()) else []
        lines = [_spans(self._model, listing) for listing in own]
        lines += [_gone_spans(self._model, delisted) for delisted in gone]
        ids = [*(listing.id for listing in own), *(f"delisted {each.listing.id}" for each in gone)]
        self.show_lines(Content(", ".join(parts)), lines, empty_states.mine(self._model), keys=ids)
        if self._wanted and self.lines.go_to(self._wanted):
            self._wanted = ""

    def tick(self) -> None:
        super().tick()
        self.show()

    def ask(self) -> None:
        """Ask for the own listings, or once more after a request that is under way."""
        self._due = True
        if not runs(self, "own"):
            start(self, self._load, group="own")

    def sync(self, news: News) -> None:
        if news.own or news.replaced:
            self.ask()
        super().sync(news)

    async def _load(self) -> None:
        while self._due:
            self._due = False
            try:
                self._model.own_loaded(await self._all())
            except BetarError as error:
                self._model.own_failed(str(error))
            self.deliver(self.show)
            # One request follows a burst of events, not one per event.
            await asyncio.sleep(self._options.interval * 3)

    async def _all(self) -> list[Listing]:
        own: list[Listing] = []
        page: ListingPage | None = None
        while len(own) < MAX_OWN and (page is None or page.last is not None):
            after = page.last if page else None
            page = await self.context.bridge.listings("state:mine", "name", MAX_PAGE, after=after)
            own += page.listings
            if len(page.listings) < MAX_PAGE:
                break
        return own

    def disabled_reason(self, action: str) -> str:
        """Why an action is not allowed now; empty if it is."""
        if action not in ("edit", "delist", "renew") or self.current or not self._gone:
            return ""
        return f"it is delisted: {self._model.keys.name('undo')} publishes it again"

    def hint(self, action_id: str, label: str) -> str:
        """The label of a key in the footer: Enter edits here, so that the other key for it is left out."""
        if action_id in ("open", "delist", "renew") and not self.lines.count:
            return ""
        now = {"open": "Publish again" if self._gone else "Edit", "edit": "", "undo": label if self._delisted() else ""}
        return now.get(action_id, label)

    def follow(self, listing_id: str) -> None:
        """Put the cursor on a listing that was just stored, as soon as it is here."""
        self._wanted = listing_id
        self.show()

    def open(self, row: int) -> None:
        """Edit the listing, or publish a delisted one again."""
        if self._gone:
            self.action_undo()
        else:
            self.action_edit()

    def action_retry(self) -> None:
        self.ask()
        self.post_message(Retry())

    def action_publish(self) -> None:
        self._actions.publish()

    def action_edit(self) -> None:
        if self.current:
            self._actions.edit(self.current)

    def action_delist(self) -> None:
        """Delist the chosen listing; asks once."""
        if self.current:
            self._actions.delist(self.current)

    def action_undo(self) -> None:
        """Publish the chosen listing again, or the one that was delisted last."""
        if gone := self._gone or next(reversed(self._delisted()), None):
            self._actions.undo(gone.listing.id)
        else:
            self._actions.notify("No listing of yours was delisted in this run", "warning")

    def action_renew(self) -> None:
        if self.current:
            self._actions.renew(self.current)

    @property
    def _gone(self) -> Delisted | None:
        """The delisted listing under the cursor."""
        row = self.lines.cursor - len(self._own())
        gone = self._delisted()
        return gone[row] if 0 <= row < len(gone) else None

    def _delisted(self) -> Sequence[Delisted]:
        return [delisted for delisted in self._model.delisted if delisted.listing.id not in self._model.own]

    def _own(self) -> Sequence[Listing]:
        return sorted(self._model.own.values(), key=lambda listing: (listing.name.casefold(), listing.id))


def _spans(model: MarketModel, listing: Listing) -> list[Span]:
    sign, state, style = _state(model, listing)
    return [
        (f" {sign} ", style),
        (fit(neutralise(listing.name, 60), 20) + " ", "strong"),
        (fmt.aligned_price(listing.price, "", 11) + " ", ""),
        (fit(fmt.ago(max(0.0, model.clock() - listing.timestamp)), 8) + "  ", "dim"),
        (state, style),
    ]


def _gone_spans(model: MarketModel, delisted: Delisted) -> list[Span]:
    listing = delisted.listing
    return [
        (" × ", "gone"),
        (fit(neutralise(listing.name, 60), 20) + " ", "gone"),
        (fmt.aligned_price(listing.price, "", 11) + " ", "gone"),
        (fit(fmt.ago(max(0.0, model.clock() - delisted.at)), 8) + "  ", "dim"),
        (f"delisted: {model.keys.name('undo')} publishes it again", "warn"),
    ]


def _state(model: MarketModel, listing: Listing) -> tuple[str, str, str]:
    healed, outcome = model.healed.get(listing.id, ""), model.receipts.get(listing.id)
    if outcome and outcome.pending:
        return outcome.sign, outcome.text, "warn"
    if healed:
        seen = f"; {outcome.text}" if outcome else ""
        return "!", f"healed: {neutralise(healed, 80)}{seen}", "warn"
    if model.clock() - listing.timestamp > STALE_AFTER:
        return "·", "stale: not renewed for two hours", "warn"
    if outcome:
        return outcome.sign, outcome.text, "good"
    peers = model.status.topic_peers if model.status else 0
    return (
        "✓",
        f"announced to {fmt.plural(peers, 'peer')}" if peers else "stored, no peer is here",
        "good" if peers else "dim",
    )
