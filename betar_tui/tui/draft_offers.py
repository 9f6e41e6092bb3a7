"""What a person is told at the start of drafts that an earlier run has left, and what becomes of those without a listing."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from textual.app import App, SystemCommand

from betar_tui.errors import BetarError
from betar_tui.market.text import neutralise
from betar_tui.tui import format as fmt
from betar_tui.tui.bridge import Bridge
from betar_tui.tui.drafts import NEW, Drafts
from betar_tui.tui.form import FormValues
from betar_tui.tui.keymap import KeyMap
from betar_tui.tui.workers import start

MAX_ASKED = 200
"""Maximum listings that are asked for; drafts of others are taken for drafts of listings that are there."""


class DraftOffers:
    """`say` shows a sentence and keeps it in the activity; `own_peer` says whether the peer runs in this process, where
    there is one."""

    def __init__(
        self,
        app: App[None],
        bridge: Bridge,
        drafts: Drafts,
        keys: Callable[[], KeyMap],
        own_peer: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self._app, self._bridge, self._drafts = app, bridge, drafts
        self._keys, self._own_peer, self._say = keys, own_peer, say
        self._without_listing: list[str] = []
        self._delisted: dict[str, FormValues] = {}

    def begin(self) -> None:
        """Say which drafts there are, as soon as it is known which listings there are."""
        if found := list(self._drafts.load()):
            start(self._app, partial(self._offer, found), group="offer-drafts")

    def delisted(self, listing_id: str) -> None:
        """The draft of a listing ends with it, unless that is undone."""
        if draft := self._drafts.get(listing_id):
            self._delisted[listing_id] = draft
            self._drafts.keep(listing_id, {})

    def restored(self, listing_id: str) -> None:
        """A listing that was delisted is there again, and so is its draft."""
        if draft := self._delisted.pop(listing_id, None):
            self._drafts.keep(listing_id, draft)

    def commands(self) -> Iterator[SystemCommand]:
        """What the palette has for drafts of listings that are gone, while there are any."""
        if gone := [key for key in self._without_listing if key in self._drafts.load()]:
            names = ", ".join(_name(key) for key in gone[:3]) + (", …" if len(gone) > 3 else "")
            yield SystemCommand("Throw away drafts", f"Edits of what is not listed: {names}", self._throw_away)

    async def _offer(self, found: Sequence[str]) -> None:
        edits = [key for key in found if key != NEW]
        asked = edits[:MAX_ASKED]
        try:
            listed = {listing.id for listing in await self._bridge.find(tuple(asked))}
        except BetarError:  # the app says it
            listed = set(asked)
        self._without_listing = [key for key in asked if key not in listed]
        # Where the peer is another process, so may be a window in which somebody types.
        elsewhere = "" if self._own_peer() else ", or being typed in another window"
        if NEW in found:
            self._say(f"A draft of a new listing is kept{elsewhere}: {self._keys().name('publish')} goes on with it")
        self._offer_edits([key for key in edits if key not in self._without_listing], elsewhere)
        self._offer_to_throw_away(self._without_listing)

    def _offer_edits(self, edits: Sequence[str], elsewhere: str) -> None:
        keys = self._keys()
        where = f"{keys.name('place_mine')} shows your listings, and {keys.name('edit')} goes on"
        if len(edits) == 1:
            self._say(f"An unsent edit of {_name(edits[0])} is kept{elsewhere}: {where}")
        elif edits:
            self._say(f"Unsent edits of {len(edits)} listings are kept{elsewhere}: {where}")

    def _offer_to_throw_away(self, gone: Sequence[str]) -> None:
        way = '"Throw away drafts" in the palette (ctrl+p) forgets'
        if len(gone) == 1:
            self._say(f"An unsent edit of {_name(gone[0])} is kept, which is not listed any more: {way} it")
        elif gone:
            self._say(f"Unsent edits of {len(gone)} listings are kept that are not listed any more: {way} them")

    def _throw_away(self) -> None:
        start(self._app, self._throw_away_what_is_gone, group="offer-drafts")

    async def _throw_away_what_is_gone(self) -> None:
        gone, self._without_listing = self._without_listing, []
        try:
            # A listing may have come since: undone in another window, or read only now.
            listed = {listing.id for listing in await self._bridge.find(tuple(gone))}
        except BetarError as error:
            self._without_listing = gone
            self._say(f"The drafts are kept still: {neutralise(str(error), 200)}")
            return
        for key in gone:
            if key not in listed:
                self._drafts.keep(key, {})


def _name(listing_id: str) -> str:
    return fmt.short_listing(listing_id)[0]
